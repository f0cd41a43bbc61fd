"""What is done in another network namespace, from here."""

from __future__ import annotations

import contextlib
import ctypes
import select
import socket
from collections.abc import Callable, Iterator

_CLONE_NEWNET = 0x40000000
PATIENCE = 20.0  # seconds


@contextlib.contextmanager
def inside(pid: int) -> Iterator[None]:
    """Within the block, sockets that this thread makes are in the network namespace of a process."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", "rb") as home, open(f"/proc/{pid}/ns/net", "rb") as there:
        assert libc.setns(there.fileno(), _CLONE_NEWNET) == 0
        try:
            yield
        finally:
            assert libc.setns(home.fileno(), _CLONE_NEWNET) == 0


class Changes:
    """The kernel's word that something of these groups changed in a namespace (rtnetlink(7))."""

    def __init__(self, pid: int, groups: int) -> None:
        with inside(pid):
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.bind((0, groups))

    def __enter__(self) -> Changes:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def until(self, check: Callable[[], bool]) -> None:
        while not check():
            assert select.select([self._socket], [], [], PATIENCE)[0], "nothing changed"
            self._socket.recv(1 << 16)
