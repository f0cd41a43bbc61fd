"""A guest's serial console: the unix socket that Ganeti gives QEMU on the instance's node."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from types import TracebackType

from lab.node import Node

_FOLDER = "run/ganeti/kvm-hypervisor/ctrl"


class Console:
    """A shell in a guest, for the length of a `with` block. One at a time: QEMU serves one client."""

    def __init__(self, node: Node, instance: str) -> None:
        self._node, self._instance = node, instance
        self._asked = 0
        self.log = ""

    def __enter__(self) -> Console:
        # The socket's path as the host sees it is too long for connect(2); a descriptor of its folder is not.
        folder = os.open(f"/proc/{self._node.leader()}/root/{_FOLDER}", os.O_PATH | os.O_DIRECTORY)
        try:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.connect(f"/proc/self/fd/{folder}/{self._instance}.serial")
        finally:
            os.close(folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def ask(self, command: str, timeout: float = 60) -> str:
        """Run a shell command in the guest, once, and return what it prints.

        A guest that is still booting is waited for. AssertionError when the command fails, TimeoutError with the
        console's last words when there is no answer.
        """
        end = time.monotonic() + timeout
        self._asked += 1
        mark = f"{os.getpid()}-{self._asked}"
        # The terminal echoes what is typed: split marks are only whole in what the command prints.
        while not self._hear(f'\necho RE"A"DY{mark}\n', re.compile(f"READY{mark}"), min(end, time.monotonic() + 3)):
            if time.monotonic() > end:
                raise TimeoutError(f"{self._instance} has no shell after {timeout:g} s: {self.log[-2000:]}")
        answer = re.compile(rf"BEGIN{mark}\r?\n(.*?)END{mark}:(\d+)", re.DOTALL)
        found = self._hear(f'echo BEG"IN"{mark}; {command}; echo EN"D"{mark}:$?\n', answer, end)
        if not found:
            raise TimeoutError(f"{self._instance} did not answer {command!r} in {timeout:g} s: {self.log[-2000:]}")
        assert found[2] == "0", f"in the guest: {command}: exit code {found[2]}: {found[1]}"
        return found[1].replace("\r", "")

    def report(self, timeout: float = 90) -> dict[str, str]:
        """What the guest was told (see guest.py): mark boots address router dns hostname mtu address6 router6."""
        line = next(line for line in self.ask("report", timeout).splitlines() if line.startswith("GUEST "))
        return dict(word.split("=", 1) for word in line.split()[1:])

    def rest(self, timeout: float = 30) -> str:
        """All that it has said, once the guest has ended."""
        self._socket.settimeout(timeout)
        with contextlib.suppress(ConnectionResetError):
            while piece := self._socket.recv(4096):
                self.log += piece.decode(errors="replace")
        return self.log

    def _hear(self, said: str, wanted: re.Pattern[str], end: float) -> re.Match[str] | None:
        """Type something and listen for an answer until `end`."""
        self._socket.sendall(said.encode())
        received = ""
        while not (found := wanted.search(received)) and (left := end - time.monotonic()) > 0:
            self._socket.settimeout(left)
            with contextlib.suppress(TimeoutError):
                piece = self._socket.recv(4096).decode(errors="replace")
                if not piece:
                    raise ConnectionError(f"{self._instance}: its console was closed; last words: {self.log[-500:]}")
                received += piece
                self.log += piece
        return found
