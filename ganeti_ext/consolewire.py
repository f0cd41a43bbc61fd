"""What the front says to ganeti-ext-consoled on a node, both ends: a request and its answer, then the guest's octets.

Each is a JSON object behind its length (two octets, big-endian). A request is {"do": "screen" or "log", "instance":
NAME}. The answer is {"octets": N}, or {"error": WORDS, "absent": whether there is no such console here}. Behind it come
the N last octets of the log; of a screen, N is absent and the connection is the guest's VNC from then on.

{"do": "password", "instance": NAME, "user": USER, "password": PASSWORD} is for the guest's agent. The answer is {}
when the agent has said that it is set, {"error": WORDS, "why": one of WHY, "said": the guest's own words} when not.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any, Protocol

from ganeti_ext.errors import ExtError
from ganeti_ext.guestname import is_name

if TYPE_CHECKING:
    Record = dict[str, Any]

PORT = 1819
SCREEN, LOG, PASSWORD = "screen", "log", "password"
NEWEST = 102_400  # octets of a log that are told: as many as Nova tells

# Why a password was not set: the guest has no socket for an agent, none answers there, it has been told and said
# nothing since, it will not.
WHY = (NO_SOCKET, SILENT, LOST, REFUSED) = ("no socket", "silent", "lost", "refused")
# Seconds for an agent to say that it is there, and to set a password.
AWAKE, SET = 5.0, 10.0

_LENGTH = struct.Struct("!H")


class Stream(Protocol):
    """A socket, with TLS or without."""

    def recv(self, most: int, /) -> bytes: ...

    def sendall(self, data: bytes, /) -> None: ...


def send(stream: Stream, record: Record) -> None:
    """Say one object."""
    data = json.dumps(record, separators=(",", ":")).encode()
    stream.sendall(_LENGTH.pack(len(data)) + data)


def receive(stream: Stream) -> Record:
    """Hear one object, and not an octet more; ExtError when it is none."""
    (length,) = _LENGTH.unpack(exactly(stream, _LENGTH.size))
    try:
        record = json.loads(exactly(stream, length))
    except (ValueError, RecursionError) as err:
        raise ExtError(f"not JSON: {str(err)[:100]}") from err
    if not isinstance(record, dict):
        raise ExtError(f"expected a JSON object, not {str(record)[:40]!r}")
    return record


def exactly(stream: Stream, length: int) -> bytes:
    """So many octets; ExtError when the other end has fewer."""
    found = b""
    while len(found) < length:
        chunk = stream.recv(length - len(found))
        if not chunk:
            raise ExtError(f"the other end closed the connection after {len(found)} of {length} octets")
        found += chunk
    return found


def request(record: Record) -> tuple[str, str]:
    """What is wanted and of which instance; ExtError names what is wrong."""
    do, name = record.get("do"), record.get("instance")
    if do not in (SCREEN, LOG, PASSWORD):
        raise ExtError(f"unknown request {str(do)[:40]!r}; known: {SCREEN}, {LOG}, {PASSWORD}")
    if not is_name(name):
        raise ExtError(f"no name of an instance: {str(name)[:40]!r}")
    return str(do), str(name)


def account(record: Record) -> tuple[str, str]:
    """A user of the guest's and the password that he is to have; the words of ExtError have neither."""
    user, password = record.get("user"), record.get("password")
    for given in (user, password):
        if not (isinstance(given, str) and given and given.isprintable()):
            raise ExtError("a password: expected a user and what he is to have, both of printable characters")
    return str(user), str(password)
