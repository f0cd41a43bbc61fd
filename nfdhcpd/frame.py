"""Ethernet, UDP over IPv4 and IPv6, and ICMPv6 as bytes. Addresses are packed: 6, 4 and 16 bytes."""

from __future__ import annotations

import struct
from typing import NamedTuple

IPV4 = b"\x08\x00"
IPV6 = b"\x86\xdd"
BROADCAST = b"\xff" * 6
UDP = 17
ICMP6 = 58

_IP4 = struct.Struct("!BBHHHBBH4s4s")
_IP6 = struct.Struct("!IHBB16s16s")
_UDP = struct.Struct("!HHHH")
_ICMP = struct.Struct("!BBH")
_FRAGMENT = 0x3FFF  # more-fragments flag and offset


class FrameError(ValueError):
    """A packet that is cut short, contradicts itself or is of no use here."""


class Datagram(NamedTuple):
    """A UDP datagram; the addresses are of IPv4 or of IPv6."""

    src: bytes
    dst: bytes
    sport: int
    dport: int
    payload: bytes


class Icmp6(NamedTuple):
    """An ICMPv6 message; `body` starts behind the checksum."""

    src: bytes
    dst: bytes
    hop_limit: int
    type: int
    code: int
    body: bytes


def checksum(data: bytes) -> int:
    """The Internet checksum of RFC 1071, never 0.

    A ones' complement sum of 16-bit words is the whole number modulo 0xffff, as 2**16 is 1 modulo 0xffff:
    one division instead of a loop. Where the sum is 0 this returns 0xffff, its other ones' complement form,
    which UDP asks for and the other headers take as well.
    """
    if len(data) % 2:
        data += b"\0"
    return 0xFFFF - int.from_bytes(data, "big") % 0xFFFF


def parse_datagram(packet: bytes) -> Datagram:
    """A UDP datagram out of an IPv4 packet, whose padding is cut off.

    The checksum of UDP is not verified: guests leave it to their virtual card, which leaves it unset.
    """
    if len(packet) < _IP4.size:
        raise FrameError(f"IPv4 header of {len(packet)} bytes")
    first, _, total, _, fragment, _, protocol, _, src, dst = _IP4.unpack_from(packet)
    start = (first & 15) * 4
    if first >> 4 != 4 or start < _IP4.size or not start + _UDP.size <= total <= len(packet):
        raise FrameError(f"IPv4 header says {first:#04x}, {total} bytes, in a packet of {len(packet)}")
    if fragment & _FRAGMENT:
        raise FrameError("IPv4 fragment")
    if protocol != UDP:
        raise FrameError(f"IPv4 protocol {protocol}")
    sport, dport, length, _ = _UDP.unpack_from(packet, start)
    if not _UDP.size <= length <= total - start:
        raise FrameError(f"UDP length {length} in {total - start} bytes")
    return Datagram(src, dst, sport, dport, packet[start + _UDP.size : start + length])


def build_datagram(datagram: Datagram) -> bytes:
    """The IPv4 packet of a datagram, with both checksums."""
    src, dst, sport, dport, payload = datagram
    length = _UDP.size + len(payload)
    pseudo = src + dst + struct.pack("!HH", UDP, length)
    total = checksum(pseudo + _UDP.pack(sport, dport, length, 0) + payload)
    size = _IP4.size + length
    header = checksum(_IP4.pack(0x45, 0, size, 0, 0, 64, UDP, 0, src, dst))
    return _IP4.pack(0x45, 0, size, 0, 0, 64, UDP, header, src, dst) + _UDP.pack(sport, dport, length, total) + payload


def parse_datagram6(packet: bytes) -> Datagram:
    """A UDP datagram that follows its IPv6 header at once; its checksum is not verified, as above.

    Fragments and extension headers are refused: what a guest asks fits into one packet.
    """
    src, dst, _, content = _ip6(packet, UDP, _UDP.size)
    sport, dport, size, _ = _UDP.unpack_from(content)
    if not _UDP.size <= size <= len(content):
        raise FrameError(f"UDP length {size} in {len(content)} bytes")
    return Datagram(src, dst, sport, dport, content[_UDP.size : size])


def build_datagram6(datagram: Datagram) -> bytes:
    """The IPv6 packet of a datagram, with the checksum, which UDP needs here (RFC 8200, 8.1)."""
    src, dst, sport, dport, payload = datagram
    length = _UDP.size + len(payload)
    total = checksum(_pseudo6(src, dst, length, UDP) + _UDP.pack(sport, dport, length, 0) + payload)
    return _IP6.pack(6 << 28, length, UDP, 64, src, dst) + _UDP.pack(sport, dport, length, total) + payload


def parse_icmp6(packet: bytes) -> Icmp6:
    """An ICMPv6 message that follows its IPv6 header at once; its checksum is verified (RFC 4861, 6.1)."""
    src, dst, hops, message = _ip6(packet, ICMP6, _ICMP.size)
    if checksum(_pseudo6(src, dst, len(message), ICMP6) + message) != 0xFFFF:
        raise FrameError("ICMPv6 checksum is wrong")
    kind, code, _ = _ICMP.unpack_from(message)
    return Icmp6(src, dst, hops, kind, code, message[_ICMP.size :])


def build_icmp6(message: Icmp6) -> bytes:
    """The IPv6 packet of an ICMPv6 message, with its checksum."""
    src, dst, hops, kind, code, body = message
    length = _ICMP.size + len(body)
    total = checksum(_pseudo6(src, dst, length, ICMP6) + _ICMP.pack(kind, code, 0) + body)
    return _IP6.pack(6 << 28, length, ICMP6, hops, src, dst) + _ICMP.pack(kind, code, total) + body


def mac_bytes(text: str) -> bytes:
    """The six bytes of a MAC written with colons; ValueError else."""
    raw = bytes.fromhex(text.replace(":", ""))
    if len(raw) != 6 or text.count(":") != 5:
        raise ValueError(f"bad MAC {text!r}")
    return raw


def _ip6(packet: bytes, protocol: int, least: int) -> tuple[bytes, bytes, int, bytes]:
    """Source, destination, hop limit and content, of `least` bytes at least, of a packet of this protocol."""
    if len(packet) < _IP6.size + least:
        raise FrameError(f"IPv6 packet of {len(packet)} bytes")
    first, length, following, hops, src, dst = _IP6.unpack_from(packet)
    if first >> 28 != 6 or not least <= length <= len(packet) - _IP6.size:
        raise FrameError(f"IPv6 header says {first >> 28}, {length} bytes, in a packet of {len(packet)}")
    if following != protocol:
        raise FrameError(f"IPv6 next header {following}")
    return src, dst, hops, packet[_IP6.size : _IP6.size + length]


def _pseudo6(src: bytes, dst: bytes, length: int, protocol: int) -> bytes:
    return src + dst + struct.pack("!II", length, protocol)
