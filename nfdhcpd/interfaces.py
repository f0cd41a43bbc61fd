"""The interfaces of this host, kept by what the kernel tells of them (rtnetlink(7)): bytes in, names out."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from nfdhcpd.client import Link

if TYPE_CHECKING:
    from collections.abc import Iterator

NEWLINK, DELLINK, NEWADDR, DELADDR = 16, 17, 20, 21
AF_UNSPEC, AF_INET6 = 0, 10
HEADER = struct.Struct("=IHHII")
LINK = struct.Struct("=BxHiII")  # struct ifinfomsg
ADDRESS = struct.Struct("=BBBBI")  # struct ifaddrmsg
_ATTRIBUTE = struct.Struct("=HH")
_MAC, _NAME = 1, 3  # IFLA_*
_IFA_ADDRESS = 1


class Interfaces:
    """What is known of each interface."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[str, bytes]] = {}
        self._index: dict[str, int] = {}
        self._addresses: dict[int, frozenset[bytes]] = {}

    def look(self, name: str) -> Link | None:
        """The interface of that name."""
        index = self._index.get(name)
        if index is None:
            return None
        return Link(index, self._known[index][1], self._addresses.get(index, frozenset()))

    def clear(self) -> set[str]:
        """Forget all of them; their names."""
        names = set(self._index)
        self._known, self._index, self._addresses = {}, {}, {}
        return names

    def take(self, kind: int, body: bytes) -> set[str]:
        """Take in one message; the names of the interfaces concerned, old and new."""
        if kind in (NEWLINK, DELLINK):
            family, _, index, _, _ = LINK.unpack_from(body)
            # A port that leaves its bridge is told as DELLINK of family AF_BRIDGE: the interface lives on.
            return self._link(kind, index, body) if family == AF_UNSPEC else set()
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
        attributes = dict(_attributes(body[LINK.size :]))
        name = attributes[_NAME].rstrip(b"\0").decode("utf-8", "surrogateescape")
        self._known[index] = (name, attributes.get(_MAC, b""))
        self._index[name] = index
        return names | {name}

    def _address(self, kind: int, body: bytes) -> set[str]:
        family, _, _, _, index = ADDRESS.unpack_from(body)
        address = dict(_attributes(body[ADDRESS.size :])).get(_IFA_ADDRESS)
        if family != AF_INET6 or address is None:
            return set()
        held = self._addresses.get(index, frozenset())
        self._addresses[index] = held | {address} if kind == NEWADDR else held - {address}
        known = self._known.get(index)
        return {known[0]} if known else set()


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and body of each netlink message."""
    at = 0
    while at + HEADER.size <= len(data):
        length, kind, *_ = HEADER.unpack_from(data, at)
        if length < HEADER.size:
            return
        yield kind, data[at + HEADER.size : at + length]
        at += (length + 3) & ~3


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind & 0x3FFF, data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
