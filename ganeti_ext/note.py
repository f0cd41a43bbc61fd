"""Notes for eventd on this node: messages (event.py) that hooks and storage providers leave in its directory.

A note is a JSON object in a file TIME_NS-PID.json of mode 0600. eventd adds `node` when it takes the note in: the name
by which Ganeti knows this machine costs a look-up, and hooks hold up jobs.
"""

from __future__ import annotations

import os
import time

from ganeti_ext import event, files
from ganeti_ext.errors import ExtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DIRECTORY = "/var/spool/ganeti-ext/notes"
# A directory that nobody empties must not fill the disk of the node.
MOST = 10_000


def leave(folder: str, message: dict[str, Any], *, sync: bool = True) -> str:
    """Put a note there whole; its path. ExtError when that cannot be done or too many wait.

    Without `sync` a loss of power may take it, but who leaves it need not wait for the disk.
    """
    path = os.path.join(folder, f"{time.time_ns()}-{os.getpid()}.json")
    try:
        if _is_full(folder):
            raise ExtError(f"{folder}: more than {MOST} notes wait for ganeti-ext-eventd, this one is dropped")
        files.replace(path, event.encode(message) + "\n", mode=0o600, sync=sync)
    except OSError as err:
        raise ExtError(f"no note for ganeti-ext-eventd: {err}") from err
    return path


def moment(now_ns: int) -> list[int]:
    """[seconds, microseconds] of a time in nanoseconds since the epoch."""
    seconds, nanoseconds = divmod(now_ns, 10**9)
    return [seconds, nanoseconds // 1000]


def _is_full(folder: str) -> bool:
    with os.scandir(folder) as entries:
        return sum(1 for _ in entries) > MOST
