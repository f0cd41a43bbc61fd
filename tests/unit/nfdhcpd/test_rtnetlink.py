from __future__ import annotations

import errno
import socket
from typing import Any

import pytest

from nfdhcpd.rtnetlink import Watch


class Socket:
    """Gives what it is told to, then nothing more."""

    def __init__(self, *found: Any) -> None:
        self.found = list(found)

    def recv(self, _size: int) -> bytes:
        if not self.found:
            raise BlockingIOError(errno.EAGAIN, "nothing")
        item = self.found.pop(0)
        if isinstance(item, OSError):
            raise item
        return bytes(item)

    def close(self) -> None:
        pass


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_what_the_kernel_says_of_loopback(watch: Watch) -> None:
    found = watch.look("lo")
    assert found is not None
    assert (found.ifindex, found.mac) == (socket.if_nametoindex("lo"), bytes(6))
    assert watch.fileno() > 0
    watch.close()


def test_lost_events_bring_a_dump_of_all(watch: Watch) -> None:
    watch.close()
    watch._known.take(16, bytes(4) + b"\xf0\xff\xff\x7f" + bytes(8) + b"\x09\0\3\0gone\0\0\0\0")
    assert watch.look("gone") is not None
    watch._socket = Socket(OSError(errno.ENOBUFS, "No buffer space"))  # type: ignore[assignment]
    assert {"gone", "lo"} <= watch.changed()
    assert watch.look("gone") is None
    assert watch.look("lo") is not None


def test_another_error_is_raised(watch: Watch) -> None:
    watch.close()
    watch._socket = Socket(OSError(errno.EBADF, "Bad file descriptor"))  # type: ignore[assignment]
    with pytest.raises(OSError, match="Bad file"):
        watch.changed()
