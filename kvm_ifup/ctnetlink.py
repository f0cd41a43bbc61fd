"""Condemns the connections of a guest, in conntrack's own language (linux/netfilter/nfnetlink_conntrack.h).

conntrack(8) cannot do it for all: its update takes no zone, and what it finds in one it changes outside of it. Nor is
it enough to delete entries: Linux takes the next segment of a connection that it does not know for the start of one
(nf_conntrack_tcp_loose), and what a guest starts is allowed.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
from collections import namedtuple

from ganeti_ext.errors import CommandError
from kvm_ifup.profile import CONDEMNED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_FAMILY = struct.Struct("!BBH")  # of struct nfgenmsg, version, resource
_ATTRIBUTE = struct.Struct("=HH")
_CODE = struct.Struct("=i")
_NETFILTER, _ERROR, _DONE = 12, 2, 3
_NEW, _GET = 0x100, 0x101  # NFNL_SUBSYS_CTNETLINK and IPCTNL_MSG_CT_*
_DUMP, _TELL = 0x301, 0x5  # NLM_F_REQUEST with NLM_F_DUMP; with NLM_F_ACK
_ORIG, _REPLY, _MARK, _ZONE, _MARK_MASK = 1, 2, 8, 18, 21  # CTA_*
_TUPLE_IP, _NESTED = 1, 0x8000
_SOURCE: dict[int, int] = {socket.AF_INET: 1, socket.AF_INET6: 3}  # CTA_IP_V4_SRC, CTA_IP_V6_SRC
_ROOM = 1 << 16


class Entry(namedtuple("Entry", "family orig reply zone mark")):
    """A connection: `orig` and `reply` are its tuples as the kernel told them."""

    __slots__ = ()
    family: int
    orig: bytes
    reply: bytes
    zone: int
    mark: int


def condemn(addresses: Iterable[str], zone: int = 0) -> int:
    """Condemn all connections that these addresses have in a zone; how many there were.

    A connection is a guest's when it has started it, or when it answers: whatever others call it by, behind NAT.
    """
    sources: dict[int, set[bytes]] = {}
    for address in map(ipaddress.ip_address, addresses):
        sources.setdefault(socket.AF_INET if address.version == 4 else socket.AF_INET6, set()).add(address.packed)
    done = 0
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER) as kernel:
        for family, wanted in sources.items():
            found = [entry for entry in _dump(kernel, family, wanted) if entry.zone == zone]
            done += sum(_told(kernel, sentence(entry)) for entry in found if not entry.mark & CONDEMNED)
    return done


def sentence(entry: Entry) -> bytes:
    """The request that sets the bit, and no other."""
    mark = _attribute(_MARK, struct.pack("!I", CONDEMNED)) + _attribute(_MARK_MASK, struct.pack("!I", CONDEMNED))
    zone = _attribute(_ZONE, struct.pack("!H", entry.zone)) if entry.zone else b""
    return _message(_NEW, _TELL, entry.family, _attribute(_ORIG | _NESTED, entry.orig) + zone + mark)


def parse(message: bytes) -> Entry:
    """An entry, from what follows the header of netlink."""
    family, _, _ = _FAMILY.unpack_from(message)
    found = dict(_attributes(message[_FAMILY.size :]))
    return Entry(
        family=family,
        orig=found[_ORIG],
        reply=found[_REPLY],
        zone=int.from_bytes(found.get(_ZONE, b""), "big"),
        mark=int.from_bytes(found.get(_MARK, b""), "big"),
    )


def source(family: int, tuple_: bytes) -> bytes:
    """The source address of a tuple."""
    return dict(_attributes(dict(_attributes(tuple_))[_TUPLE_IP]))[_SOURCE[family]]


def _dump(kernel: socket.socket, family: int, sources: set[bytes]) -> list[Entry]:
    """Entries with one of these sources. Not filtered by the kernel: up to 6.18 it takes IPv6 sources the wrong way."""
    kernel.send(_message(_GET, _DUMP, family, b""))
    found: list[Entry] = []
    while True:
        for kind, body in _messages(kernel.recv(_ROOM)):
            if kind in (_ERROR, _DONE):
                _check(_CODE.unpack_from(body)[0])
                return found
            if any(address in body for address in sources):  # to parse all would take too long
                entry = parse(body)
                if {source(family, entry.orig), source(family, entry.reply)} & sources:
                    found.append(entry)


def _told(kernel: socket.socket, request: bytes) -> bool:
    """Whether the entry was still there."""
    kernel.send(request)
    code = next(_CODE.unpack_from(body)[0] for _, body in _messages(kernel.recv(_ROOM)))
    if code == -errno.ENOENT:
        return False
    _check(code)
    return True


def _check(code: int) -> None:
    if code:
        raise CommandError(f"conntrack: {os.strerror(-code)}")


def _message(kind: int, flags: int, family: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + 4 + len(body), kind, flags, 1, 0) + _FAMILY.pack(family, 0, 0) + body


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        yield kind, data[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        yield kind & ~_NESTED, data[at + 4 : at + length]
        at += (length + 3) & ~3
