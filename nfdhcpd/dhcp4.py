"""DHCPv4 messages as bytes (RFC 2131, section 2; options of RFC 2132)."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from nfdhcpd.frame import FrameError

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVER_PORT = 67
CLIENT_PORT = 68
BROADCAST_FLAG = 0x8000
COOKIE = b"\x63\x82\x53\x63"
UNSET = bytes(4)
ETHERNET = b"\1\6"  # hardware type and length of address
# RFC 1542, 2.1: a BOOTP message has 300 bytes at least, and some relays and clients drop a shorter one.
LEAST = 300
HEADER = 240  # bytes before the options, the cookie among them

_FIXED = struct.Struct("!B2sB4sHH4s4s4s4s6s10x64s128s4s")
_PAD, _END = 0, 255


class Kind(IntEnum):
    """Values of option 53: RFC 2132, 9.6, and RFC 4388, 6.1."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8
    LEASEQUERY = 10
    LEASEUNASSIGNED = 11
    LEASEUNKNOWN = 12
    LEASEACTIVE = 13


_KINDS = {bytes((kind,)): kind for kind in Kind}


class Code(IntEnum):
    """Options that are named here."""

    MASK = 1
    ROUTER = 3
    NAMESERVER = 6
    HOSTNAME = 12
    DOMAIN = 15
    MTU = 26
    BROADCAST = 28
    NTP = 42
    VENDOR = 43
    REQUESTED = 50
    LEASE = 51
    OVERLOAD = 52
    KIND = 53
    SERVER = 54
    WANTED = 55
    MESSAGE = 56
    SIZE = 57
    RENEWAL = 58
    REBINDING = 59
    CLASS = 60
    CLIENT = 61
    BOOT_SERVER = 66
    BOOT_FILE = 67
    USER_CLASS = 77
    RAPID = 80
    FQDN = 81
    RELAY = 82
    ARCHITECTURE = 93
    IPV6_ONLY = 108
    AUTOCONF = 116
    SEARCH = 119
    ROUTES = 121
    IPXE = 175
    ROUTES_MS = 249


class Dhcp4(NamedTuple):
    """One message; addresses are 4 packed bytes, `chaddr` the 6 of an Ethernet card, `link` its type and length."""

    op: int
    xid: bytes
    chaddr: bytes
    options: Mapping[int, bytes]
    hops: int = 0
    secs: int = 0
    flags: int = 0
    ciaddr: bytes = UNSET
    yiaddr: bytes = UNSET
    siaddr: bytes = UNSET
    giaddr: bytes = UNSET
    link: bytes = ETHERNET

    @property
    def kind(self) -> Kind:
        """What option 53 says; FrameError without one, as BOOTP has none."""
        value = self.options.get(Code.KIND, b"")
        kind = _KINDS.get(value)
        if kind is None:
            raise FrameError(f"DHCP message type {value.hex() or 'missing'}")
        return kind


def parse(payload: bytes) -> Dhcp4:
    """A message out of a UDP payload; FrameError when it is malformed or not of Ethernet."""
    if len(payload) < HEADER:
        raise FrameError(f"DHCP message of {len(payload)} bytes")
    op, link, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, sname, file, cookie = _FIXED.unpack_from(
        payload
    )
    if cookie != COOKIE:
        raise FrameError("no DHCP cookie: BOOTP")
    options: dict[int, bytes] = {}
    _read(payload, HEADER, options)
    # Options may go on in the fields of network boot (RFC 2132, 9.3); the order is that of RFC 3396, 5.
    if Code.OVERLOAD in options:
        overload = options[Code.OVERLOAD][-1:]
        if overload in (b"\1", b"\3"):
            _read(file, 0, options)
        if overload in (b"\2", b"\3"):
            _read(sname, 0, options)
    # A query about an address or an identifier names no hardware (RFC 4388, 6.2).
    if link != ETHERNET and (any(link) or options.get(Code.KIND) != bytes((Kind.LEASEQUERY,))):
        raise FrameError(f"hardware type {link[0]} of {link[1]} bytes")
    return Dhcp4(op, xid, chaddr, options, hops, secs, flags, ciaddr, yiaddr, siaddr, giaddr, link)


def build(message: Dhcp4) -> bytes:
    """The UDP payload of a message; options in the order of the mapping."""
    return assemble(message, b"".join(option(code, value) for code, value in message.options.items()))


def assemble(message: Dhcp4, options: bytes, file: bytes = b"", sname: bytes = b"") -> bytes:
    """The UDP payload of a message whose options stand ready, without the end mark; its own are not looked at."""
    op, xid, chaddr, _, hops, secs, flags, ciaddr, yiaddr, siaddr, giaddr, link = message
    head = _FIXED.pack(op, link, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, sname, file, COOKIE)
    return (head + options + b"\xff").ljust(LEAST, b"\0")


def option(code: int, value: bytes) -> bytes:
    """One option with its code and length; a long one is split (RFC 3396)."""
    if len(value) <= 255:
        return bytes((code, len(value))) + value
    return b"".join(option(code, value[at : at + 255]) for at in range(0, len(value), 255))


def _read(area: bytes, at: int, options: dict[int, bytes]) -> None:
    """Add the options of one field from `at` on; what comes twice is one value in pieces (RFC 3396)."""
    size = len(area)
    while at < size:
        code = area[at]
        if code == _END:
            return
        if code == _PAD:
            at += 1
            continue
        start = at + 2
        at = start + area[at + 1] if start <= size else size + 1
        if at > size:
            raise FrameError(f"DHCP option {code} is cut short")
        value = area[start:at]
        options[code] = options[code] + value if code in options else value
