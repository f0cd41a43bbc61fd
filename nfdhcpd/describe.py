"""A frame for a guest in plain words: pairs of what is told and its value. Bytes in, words out."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from nfdhcpd import describe4, describe6, frame
from nfdhcpd.frame import FrameError

if TYPE_CHECKING:
    from collections.abc import Iterator

    Words = Iterator[tuple[str, str]]


def describe(data: bytes) -> Words:
    """A frame from Ethernet on; what is cut short or of no known kind ends with itself, in hex."""
    try:
        yield from _frame(data)
    except (FrameError, ValueError, IndexError, struct.error) as err:
        yield "unreadable", str(err)
        yield "frame", data.hex()


def _frame(data: bytes) -> Words:
    destination, source, kind, packet = data[:6], data[6:12], data[12:14], data[14:]
    if kind == frame.IPV4:
        found = frame.parse_datagram(packet)
        yield "from", f"{IPv4Address(found.src)} port {found.sport} at {source.hex(':')}"
        yield "to", f"{IPv4Address(found.dst)} port {found.dport} at {_mac(destination)}"
        yield from describe4.words(found.payload)
    elif kind == frame.IPV6:
        following, hops = packet[6], packet[7]
        yield "from", f"{IPv6Address(packet[8:24])} at {source.hex(':')}"
        yield "to", f"{IPv6Address(packet[24:40])} at {_mac(destination)}, hop limit {hops}"
        yield from describe6.words(following, packet[40:])
    else:
        raise FrameError(f"EtherType {kind.hex()}")


def _mac(mac: bytes) -> str:
    return "everybody" if mac == frame.BROADCAST else mac.hex(":")
