"""The kernel's word on interfaces and their IPv6 addresses: a dump, then every change (rtnetlink(7))."""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import TYPE_CHECKING

from nfdhcpd.interfaces import ADDRESS, HEADER, LINK, Interfaces, messages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nfdhcpd.client import Link

GETLINK, GETADDR = 18, 22
_ERROR, _DONE = 2, 3
_GROUPS = 0x1 | 0x100  # RTMGRP_LINK, RTMGRP_IPV6_IFADDR
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_EXT_MASK, _SKIP_STATS = 29, 8
_BUFFER = 1 << 18
# An event has about 1.5 kB: a thousand taps at once must find room.
_WAITING = 8 << 20
_FORCE = 33  # SO_RCVBUFFORCE, which Python does not name


class Watch:
    """Interfaces as they are; `fileno` is readable when something changed."""

    def __init__(self) -> None:
        self._known = Interfaces()
        self._socket = _socket(_GROUPS)
        self._socket.setblocking(False)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _FORCE, _WAITING)
        except PermissionError:  # without CAP_NET_ADMIN
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WAITING)
        # After the subscription: what happens meanwhile comes as an event, too.
        self._dump()

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def look(self, name: str) -> Link | None:
        """The interface of that name."""
        return self._known.look(name)

    def changed(self) -> set[str]:
        """Take in what has happened; the names of the interfaces concerned."""
        names: set[str] = set()
        while True:
            try:
                data = self._socket.recv(_BUFFER)
            except BlockingIOError:
                return names
            except OSError as err:
                if err.errno != errno.ENOBUFS:
                    raise
                names |= self._dump()  # events were lost
                continue
            for kind, body in messages(data):
                names |= self._known.take(kind, body)

    def _dump(self) -> set[str]:
        names = self._known.clear()
        no_statistics = struct.pack("=HHI", 8, _EXT_MASK, _SKIP_STATS)
        for kind, body in (
            (GETLINK, LINK.pack(0, 0, 0, 0, 0) + no_statistics),
            (GETADDR, ADDRESS.pack(socket.AF_INET6, 0, 0, 0, 0)),
        ):
            for found, message in _ask(kind, body):
                names |= self._known.take(found, message)
        return names


def _socket(groups: int) -> socket.socket:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    sock.bind((0, groups))
    return sock


def _ask(kind: int, body: bytes) -> Iterator[tuple[int, bytes]]:
    """Messages of a dump."""
    with _socket(0) as sock:
        sock.send(HEADER.pack(HEADER.size + len(body), kind, _DUMP, 1, 0) + body)
        while True:
            for found, message in messages(sock.recv(_BUFFER)):
                if found == _DONE:
                    return
                if found == _ERROR:
                    code = -struct.unpack_from("=i", message)[0]
                    raise OSError(code, f"rtnetlink dump {kind}: {os.strerror(code)}")
                yield found, message
