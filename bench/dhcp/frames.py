"""DISCOVER as a guest sends it, and OFFER as it looks for it. No socket, no clock."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import NamedTuple

_MAGIC = b"\x63\x82\x53\x63"
_OFFER = b"\x35\x01\x02"  # option 53, which nfdhcpd puts first
_WANTED = bytes((1, 3, 6, 12, 15, 26, 28, 51, 58, 59))
_BROADCAST = b"\xff" * 6


class Offer(NamedTuple):
    """To whom an address is offered, in answer to what."""

    mac: str
    xid: int
    ip: str


def discover(mac: str, xid: int) -> bytes:
    """The Ethernet frame of a guest that has no address yet: to everybody."""
    hardware = bytes.fromhex(mac.replace(":", ""))
    options = b"\x35\x01\x01" + bytes((55, len(_WANTED))) + _WANTED + b"\xff"
    message = struct.pack("!4BIHH16x16s192x", 1, 1, 6, 0, xid, 0, 0, hardware) + _MAGIC + options
    return _BROADCAST + hardware + b"\x08\x00" + _datagram("0.0.0.0", "255.255.255.255", 68, 67, message)


def relayed(mac: str, xid: int, relay: str, server: str, server_mac: str) -> bytes:
    """The frame of a guest that is its own relay, which every server answers to `relay`."""
    frame = discover(mac, xid)
    message = bytearray(frame[42:])
    message[24:28] = IPv4Address(relay).packed
    head = bytes.fromhex(server_mac.replace(":", "")) + frame[6:14]
    return head + _datagram(relay, server, 67, 67, bytes(message))


def offer(frame: bytes) -> Offer | None:
    """What a frame of nfdhcpd offers; None for one that is no OFFER."""
    message = frame[42:]
    if (
        frame[12:14] != b"\x08\x00"
        or frame[23:24] != b"\x11"
        or message[236:240] != _MAGIC
        or message[240:243] != _OFFER
    ):
        return None
    (xid,) = struct.unpack_from("!I", message, 4)
    return Offer(message[28:34].hex(":"), xid, str(IPv4Address(message[16:20])))


def _datagram(source: str, target: str, sport: int, dport: int, payload: bytes) -> bytes:
    """IPv4 and UDP around a payload; without a UDP checksum, which RFC 768 leaves to the sender."""
    udp = struct.pack("!4H", sport, dport, 8 + len(payload), 0) + payload
    ends = IPv4Address(source).packed + IPv4Address(target).packed
    head = struct.pack("!BBHHHBBH8s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, ends)
    return head[:10] + struct.pack("!H", _checksum(head)) + head[12:] + udp


def _checksum(head: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(head) // 2}H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
