"""The asking end of the control socket."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, NamedTuple

from ganeti_ext.errors import ExtError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ganeti_ext.session import Record

PATIENCE = 10.0  # seconds without a word


class Unavailable(ExtError):
    """There is no daemon to ask, or it does not answer."""

    exit_code = 69  # EX_UNAVAILABLE of sysexits.h


class Daemon(NamedTuple):
    """Whom one asks: its unit's name, and the group that may."""

    name: str
    group: str = "ganeti-ext"


def ask(path: str, request: Record, daemon: Daemon, patience: float | None = PATIENCE) -> Iterator[Record]:
    """The records of an answer; ExtError is what the daemon refuses with. `patience` of None waits for ever."""
    with _connect(path, daemon) as sock, sock.makefile("rb") as lines:
        try:
            sock.sendall(json.dumps(request).encode() + b"\n")
            sock.settimeout(patience)
            for line in lines:
                record = json.loads(line)
                if "error" in record:
                    raise ExtError(record["error"])
                if "end" in record:
                    return
                yield record
        except TimeoutError as err:
            raise Unavailable(f"{path}: {daemon.name} has not answered for {patience:g} s") from err
        except (OSError, ValueError) as err:
            raise Unavailable(f"{path}: {err}") from err
        raise Unavailable(f"{path}: {daemon.name} went away")


def _connect(path: str, daemon: Daemon) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    sock.settimeout(PATIENCE)
    try:
        sock.connect(path)
    except PermissionError as err:
        sock.close()
        raise ExtError(f"{path}: permission denied: be root, or a member of the group {daemon.group}") from err
    except OSError as err:
        sock.close()
        why, name = err.strerror or str(err), daemon.name
        raise Unavailable(f"{path}: {why}: is {name} running? systemctl start {name}") from err
    return sock
