"""What a hook leaves for eventd: one JSON note in the spool directory of its node.

A note is a message of type NET_STATUS (ganeti_ext/event.py) in a file TIME_NS-PID.json of mode 0600. eventd adds
`node` when it takes the note in: the name by which Ganeti knows this machine costs a look-up, and hooks hold up jobs.
"""

from __future__ import annotations

import os
import time

from ganeti_ext import event, files
from ganeti_ext.errors import ExtError
from ganeti_ext.hookenv import Hook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

SPOOL = "/var/spool/ganeti-ext/notes"
# A spool that nobody empties must not fill the disk of the node.
MOST = 10_000


def main(_verb: str, env: Mapping[str, str]) -> None:
    """Leave a note about an operation on an instance; other objects' hooks leave none.

    The directory is GANETI_EXT_SPOOL or the one that eventd reads by default.
    """
    hook = Hook.from_env(env)
    if hook.object_type == "INSTANCE" and hook.instance:
        leave(env.get("GANETI_EXT_SPOOL") or SPOOL, note(hook, time.time_ns()))


def note(hook: Hook, now_ns: int) -> dict[str, Any]:
    """The message of one run of a hook; `now_ns` is the time by this node's clock."""
    seconds, nanoseconds = divmod(now_ns, 10**9)
    return {
        "type": event.NET_STATUS,
        "version": event.VERSION,
        "event_time": [seconds, nanoseconds // 1000],
        "cluster": hook.cluster,
        "instance": hook.instance,
        "operation": hook.opcode,
        "primary": hook.primary,
        "nics": [_nic(nic) for nic in hook.nics],
    }


def leave(spool: str, message: dict[str, Any]) -> str:
    """Put a note into the spool whole; its path. ExtError when that cannot be done or the spool is full."""
    path = os.path.join(spool, f"{time.time_ns()}-{os.getpid()}.json")
    try:
        if _is_full(spool):
            raise ExtError(f"{spool}: more than {MOST} notes wait for ganeti-ext-eventd, this one is dropped")
        files.replace(path, event.encode(message) + "\n", mode=0o600)
    except OSError as err:
        raise ExtError(f"no note for ganeti-ext-eventd: {err}") from err
    return path


def _is_full(spool: str) -> bool:
    with os.scandir(spool) as entries:
        return sum(1 for _ in entries) > MOST


def _nic(nic: Mapping[str, str]) -> dict[str, str | None]:
    # Ganeti writes a value that it does not have as "None".
    known = {name: value if value not in ("", "None") else None for name, value in nic.items()}
    known["network"] = known.pop("network_name")
    return known
