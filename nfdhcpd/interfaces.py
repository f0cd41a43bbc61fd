"""The interfaces of this host as the kernel tells them: a dump, then every change (rtnetlink(7))."""

from __future__ import annotations

import errno
import socket
import struct
from typing import TYPE_CHECKING

from nfdhcpd.client import Link

if TYPE_CHECKING:
    from collections.abc import Iterator

NEWLINK, DELLINK, GETLINK, NEWADDR, DELADDR, GETADDR = 16, 17, 18, 20, 21, 22
_DONE, _ERROR = 3, 2
_GROUPS = 0x1 | 0x100  # RTMGRP_LINK, RTMGRP_IPV6_IFADDR
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")  # struct ifinfomsg
_ADDRESS = struct.Struct("=BBBBI")  # struct ifaddrmsg
_ATTRIBUTE = struct.Struct("=HH")
_MAC, _NAME = 1, 3  # IFLA_*
_IFA_ADDRESS = 1
_EXT_MASK, _SKIP_STATS = 29, 8
_BUFFER = 1 << 18


class Interfaces:
    """What is known of each interface, kept by events. `fileno` is readable when there are some."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[str, bytes]] = {}
        self._index: dict[str, int] = {}
        self._addresses: dict[int, frozenset[bytes]] = {}
        self._socket = _socket(_GROUPS)
        self._socket.setblocking(False)
        # Creating a thousand taps at once must not overflow it: an event has about 1.5 kB.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._dump()

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def look(self, name: str) -> Link | None:
        """The interface of that name."""
        index = self._index.get(name)
        if index is None:
            return None
        return Link(index, self._known[index][1], self._addresses.get(index, frozenset()))

    def changed(self) -> set[str]:
        """Take in what has happened; the names of the interfaces concerned, old and new."""
        names: set[str] = set()
        while True:
            try:
                data = self._socket.recv(_BUFFER)
            except BlockingIOError:
                return names
            except OSError as err:
                if err.errno != errno.ENOBUFS:
                    raise
                names |= set(self._index)  # events were lost: begin anew
                self._dump()
                names |= set(self._index)
                continue
            for kind, body in _messages(data):
                names |= self._take(kind, body)

    def _dump(self) -> None:
        self._known, self._index, self._addresses = {}, {}, {}
        skip_stats = struct.pack("=HHI", 8, _EXT_MASK, _SKIP_STATS)
        for kind, body in (
            (GETLINK, _LINK.pack(0, 0, 0, 0, 0) + skip_stats),
            (GETADDR, _ADDRESS.pack(socket.AF_INET6, 0, 0, 0, 0)),
        ):
            for found, message in _ask(kind, body):
                self._take(found, message)

    def _take(self, kind: int, body: bytes) -> set[str]:
        if kind in (NEWLINK, DELLINK):
            family, _, index, _, _ = _LINK.unpack_from(body)
            # A port that leaves its bridge is told as DELLINK of family AF_BRIDGE: the interface lives on.
            return self._link(kind, index, body) if family == socket.AF_UNSPEC else set()
        if kind in (NEWADDR, DELADDR):
            return self._address(kind, body)
        return set()

    def _link(self, kind: int, index: int, body: bytes) -> set[str]:
        before = self._known.pop(index, None)
        names = set()
        if before is not None:
            names.add(before[0])
            if self._index.get(before[0]) == index:
                del self._index[before[0]]
        if kind == DELLINK:
            self._addresses.pop(index, None)
            return names
        attributes = dict(_attributes(body[_LINK.size :]))
        name = attributes[_NAME].rstrip(b"\0").decode("utf-8", "surrogateescape")
        self._known[index] = (name, attributes.get(_MAC, b""))
        self._index[name] = index
        return names | {name}

    def _address(self, kind: int, body: bytes) -> set[str]:
        family, _, _, _, index = _ADDRESS.unpack_from(body)
        address = dict(_attributes(body[_ADDRESS.size :])).get(_IFA_ADDRESS)
        if family != socket.AF_INET6 or address is None:
            return set()
        held = self._addresses.get(index, frozenset())
        self._addresses[index] = held | {address} if kind == NEWADDR else held - {address}
        known = self._known.get(index)
        return {known[0]} if known else set()


def _socket(groups: int) -> socket.socket:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    sock.bind((0, groups))
    return sock


def _ask(kind: int, body: bytes) -> Iterator[tuple[int, bytes]]:
    """Messages of a dump."""
    with _socket(0) as sock:
        sock.send(_HEADER.pack(_HEADER.size + len(body), kind, _DUMP, 1, 0) + body)
        while True:
            for found, message in _messages(sock.recv(_BUFFER)):
                if found == _DONE:
                    return
                if found == _ERROR:
                    code = -struct.unpack_from("=i", message)[0]
                    raise OSError(code, f"rtnetlink dump {kind}")
                yield found, message


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        yield kind, data[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind & 0x3FFF, data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
