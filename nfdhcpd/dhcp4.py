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
# RFC 1542, 2.1: a BOOTP message has 300 bytes at least, and some relays and clients drop a shorter one.
LEAST = 300

_FIXED = struct.Struct("!BBBB4sHH4s4s4s4s6s10x64s128s4s")
_REPLY = struct.Struct("!BBBB4sHH4s4s4s4s6s202x4s")
_PAD, _END = 0, 255


class Kind(IntEnum):
    """Values of option 53."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


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
    CLIENT = 61
    SEARCH = 119
    ROUTES = 121


class Dhcp4(NamedTuple):
    """One message; addresses are 4 packed bytes, `chaddr` the 6 of an Ethernet card."""

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
    if len(payload) < _FIXED.size:
        raise FrameError(f"DHCP message of {len(payload)} bytes")
    (op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, sname, file, cookie) = (
        _FIXED.unpack_from(payload)
    )
    if cookie != COOKIE:
        raise FrameError("no DHCP cookie: BOOTP")
    if (htype, hlen) != (1, 6):
        raise FrameError(f"hardware type {htype} of {hlen} bytes")
    options: dict[int, bytes] = {}
    _read(payload[_FIXED.size :], options)
    # Options may go on in the fields of network boot (RFC 2132, 9.3); the order is that of RFC 3396, 5.
    overload = options.get(Code.OVERLOAD, b"\0")[-1:]
    if overload in (b"\1", b"\3"):
        _read(file, options)
    if overload in (b"\2", b"\3"):
        _read(sname, options)
    return Dhcp4(op, xid, chaddr, options, hops, secs, flags, ciaddr, yiaddr, siaddr, giaddr)


def build(message: Dhcp4) -> bytes:
    """The UDP payload of a message; options in the order of the mapping."""
    return assemble(message, b"".join(option(code, value) for code, value in message.options.items()))


def assemble(message: Dhcp4, tail: bytes) -> bytes:
    """The UDP payload of a message whose options stand ready in `tail`; its own are not looked at."""
    op, xid, chaddr, _, hops, secs, flags, ciaddr, yiaddr, siaddr, giaddr = message
    head = _REPLY.pack(op, 1, 6, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, COOKIE)
    return (head + tail + b"\xff").ljust(LEAST, b"\0")


def option(code: int, value: bytes) -> bytes:
    """One option with its code and length; a long one is split (RFC 3396)."""
    if len(value) <= 255:
        return bytes((code, len(value))) + value
    return b"".join(option(code, value[at : at + 255]) for at in range(0, len(value), 255))


def _read(area: bytes, options: dict[int, bytes]) -> None:
    """Add the options of one field; what comes twice is one value in pieces (RFC 3396)."""
    at = 0
    while at < len(area):
        code = area[at]
        if code == _END:
            return
        at += 1
        if code == _PAD:
            continue
        if at >= len(area) or at + 1 + area[at] > len(area):
            raise FrameError(f"DHCP option {code} is cut short")
        end = at + 1 + area[at]
        options[code] = options.get(code, b"") + area[at + 1 : end]
        at = end
