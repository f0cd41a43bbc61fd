"""What QEMU and its guest agent answer on an instance's control sockets (QEMU's qmp-spec, qga/qapi-schema.json).

What an agent answers is the guest's to choose: any octets, any JSON, as much of it as it likes.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from typing import TYPE_CHECKING

from ganeti_ext.errors import ExtError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Any

SYNC = 0xFF  # guest-sync-delimited: the agent forgets what it was told before, and its answer begins with this
LONGEST = 4 << 20  # octets of an answer
WORDS = 500  # characters of an error


class Refused(ExtError):
    """An answer that is an error. `said` is what it says, in printable characters: an agent's words are its guest's."""

    def __init__(self, text: str, said: str = "") -> None:
        super().__init__(text)
        self.said = said


def listens(path: str) -> bool:
    """Whether QEMU does: of an instance that crashed the socket's file stays. Whatever else is wrong, one may run."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as one:
        return one.connect_ex(path) not in (errno.ECONNREFUSED, errno.ENOENT)


class Monitor:
    """One connection to a JSON socket. QEMU serves one client at a time: keep it short."""

    def __init__(self, path: str, timeout: float) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(timeout)
        self._timeout = timeout
        self._rest = b""
        try:
            self._socket.connect(path)
        except OSError as err:
            self._socket.close()
            raise ExtError(f"{path}: {err.strerror or err}") from err

    def __enter__(self) -> Monitor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def greet(self) -> None:
        """QEMU's own monitor wants this first."""
        self._message(time.monotonic() + self._timeout)
        self.ask("qmp_capabilities")

    def sync(self) -> None:
        """The agent wants this first; ExtError when none answers."""
        number = int.from_bytes(os.urandom(4), "big") >> 1
        self._send("guest-sync-delimited", {"id": number}, bytes([SYNC]))
        end = time.monotonic() + self._timeout
        while self._message(end).get("return") != number:
            pass

    def ask(self, command: str, timeout: float | None = None, arguments: Mapping[str, Any] | None = None) -> Any:
        """The value that a command returns; Refused for an error, ExtError when there is no answer in time."""
        self._send(command, arguments or {}, b"")
        return self._answer(command, timeout)

    def give(self, fd: int) -> int:
        """Let QEMU have a descriptor, which it then opens as /dev/fdset/NUMBER; returns that number."""
        try:
            socket.send_fds(self._socket, [b" "], [fd])
        except OSError as err:
            raise ExtError(f"{self.path}: {err.strerror or err}") from err
        return int(self.ask("add-fd")["fdset-id"])

    def _answer(self, command: str, timeout: float | None) -> Any:
        end = time.monotonic() + (timeout or self._timeout)
        while True:
            message = self._message(end)
            if "error" in message:
                said = _words(message["error"])
                raise Refused(f"{self.path}: {command}: {said}", said)
            if "return" in message:  # neither the greeting nor an event
                return message["return"]

    def _send(self, command: str, arguments: Mapping[str, Any], before: bytes) -> None:
        text = json.dumps({"execute": command, **({"arguments": arguments} if arguments else {})})
        self._socket.settimeout(self._timeout)
        try:
            self._socket.sendall(before + text.encode() + b"\n")
        except OSError as err:
            raise ExtError(f"{self.path}: {command}: {err.strerror or err}") from err

    def _message(self, end: float) -> dict[str, Any]:
        while b"\n" not in self._rest:
            left = end - time.monotonic()
            if left <= 0:
                raise ExtError(f"{self.path}: no answer")
            self._socket.settimeout(left)
            try:
                block = self._socket.recv(65536)
            except TimeoutError:
                raise ExtError(f"{self.path}: no answer") from None
            except OSError as err:
                raise ExtError(f"{self.path}: {err.strerror or err}") from err
            if not block:
                raise ExtError(f"{self.path}: closed by the other side")
            self._rest += block
            if len(self._rest) > LONGEST:
                raise ExtError(f"{self.path}: an answer of more than {LONGEST} octets")
        text, _, self._rest = self._rest.partition(b"\n")
        try:
            found = json.loads(text.rpartition(bytes([SYNC]))[2] or b"{}")
        except (ValueError, RecursionError):
            return {}  # what an earlier client left half-read
        return found if isinstance(found, dict) else {}


def _words(error: object) -> str:
    """An error's description."""
    said = error.get("desc", error) if isinstance(error, dict) else error
    return "".join(one if one.isprintable() else " " for one in str(said)[:WORDS])


def monitor(path: str, timeout: float) -> Monitor:
    """QEMU's monitor, ready for commands."""
    found = Monitor(path, timeout)
    try:
        found.greet()
    except BaseException:
        found.close()
        raise
    return found


def agent(path: str, timeout: float) -> Monitor:
    """The guest's agent, ready for commands; ExtError when the guest runs none."""
    found = Monitor(path, timeout)
    try:
        found.sync()
    except BaseException:
        found.close()
        raise
    return found
