"""Neighbour discovery as scapy reads it."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Any

from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_RA, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import NoPayload, Raw


def read(frame: bytes) -> Any:
    """A frame, whose checksum and lengths are as scapy computes them, and which scapy understands to its end."""
    ether = Ether(frame)
    again = ether.copy()
    message = ICMPv6ND_RA if again.haslayer(ICMPv6ND_RA) else ICMPv6ND_NA
    del again[message].cksum, again[IPv6].plen
    assert bytes(again) == frame
    assert not ether.haslayer(Raw)
    return ether


def options(ether: Any) -> list[Any]:
    """The options of an advertisement, in their order."""
    found, layer = [], ether[IPv6].payload.payload
    while not isinstance(layer, NoPayload):
        found.append(layer)
        layer = layer.payload
    return found


def packed(*texts: str) -> frozenset[bytes]:
    return frozenset(IPv6Address(text).packed for text in texts)
