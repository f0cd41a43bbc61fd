"""The socket that a daemon tells when it is ready (sd_notify(3))."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from bench.process import Process
from lab.step import until


class Notice:
    """A socket at `path`, for the length of a `with` block."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def __enter__(self) -> Notice:
        self._socket.bind(str(self._path))
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._path.unlink()

    def came(self) -> bool:
        """Whether it is ready now; what is told besides is passed over."""
        with contextlib.suppress(BlockingIOError):
            while b"READY=1" not in self._socket.recv(4096):
                pass
            return True
        return False

    def wait(self, name: str, process: Process, timeout: float = 60) -> None:
        """Until it is ready; CommandError with its last words if it ends instead."""
        until(f"{name} is ready", lambda: process.alive() and self.came(), timeout, 0.02)
