"""The kernel's word that an interface is gone (rtnetlink(7))."""

from __future__ import annotations

import errno
import socket
import struct

RTMGRP_LINK = 1
RTM_DELLINK = 17
NETLINK_ROUTE = 0

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ROOM = 1 << 16


class Departures:
    """A socket that is readable when links have changed."""

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_NETLINK, kind, NETLINK_ROUTE)
        self._socket.bind((0, RTMGRP_LINK))

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def drain(self) -> bool:
        """Read all that waits; tell whether a link went away, or may have (the kernel lost messages)."""
        gone = False
        while True:
            try:
                gone = departed(self._socket.recv(_ROOM)) or gone
            except BlockingIOError:
                return gone
            except OSError as err:
                if err.errno != errno.ENOBUFS:
                    raise
                gone = True


def departed(data: bytes) -> bool:
    """Whether one of the messages is RTM_DELLINK."""
    start = 0
    while start + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, start)
        if kind == RTM_DELLINK:
            return True
        start += max(_HEADER.size, (length + 3) & ~3)
    return False


def ifindex(name: str) -> int | None:
    """The interface's index, or None when there is no such interface.

    Not from /sys: an interface that RTM_DELLINK has told of may stand there for a moment longer.
    """
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return None
