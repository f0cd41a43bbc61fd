"""Checks of frames for Wire.expect, and what is in messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import DHCP6OptIA_NA, DHCP6OptIA_PD, DHCP6OptIAAddress, DHCP6OptIAPrefix
from scapy.layers.inet import IP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
ANYONE, NOBODY = "255.255.255.255", "0.0.0.0"


def dhcp(kind: int) -> Callable[[Packet], bool]:
    """Whether a frame is a DHCPv4 message of this type."""
    return lambda packet: DHCP in packet and options(packet).get("message-type") == kind


def options(packet: Packet) -> dict[str, Any]:
    """The options of a DHCPv4 message by scapy's names; several values are a tuple."""
    found = (option for option in packet[DHCP].options if isinstance(option, tuple))
    return {name: values[0] if len(values) == 1 else values for name, *values in found}


def addressed(packet: Packet) -> tuple[str, str, str]:
    """Of an IPv4 packet: destination MAC, source, destination."""
    return packet[Ether].dst, packet[IP].src, packet[IP].dst


def named(packet: Packet) -> tuple[str, str | None, str | None]:
    """Of a DHCPv4 request: ciaddr, the address requested, the server chosen."""
    told = options(packet)
    return packet[BOOTP].ciaddr, told.get("requested_addr"), told.get("server_id")


def of(kind: type[Packet]) -> Callable[[Packet], bool]:
    """Whether a frame has this layer, such as DHCP6_Solicit."""
    return lambda packet: kind in packet


def granted(packet: Packet) -> list[tuple[str, int, int]]:
    """Of a DHCPv6 message: each address or prefix of its IAs, with its preferred and valid lifetime."""
    layers = [packet]
    while layers[-1].payload:
        layers.append(layers[-1].payload)
    addresses = [one for ia in layers if isinstance(ia, DHCP6OptIA_NA) for one in ia.ianaopts]
    prefixes = [one for ia in layers if isinstance(ia, DHCP6OptIA_PD) for one in ia.iapdopt]
    found = [(one.addr, one.preflft, one.validlft) for one in addresses if isinstance(one, DHCP6OptIAAddress)]
    return found + [
        (f"{one.prefix}/{one.plen}", one.preflft, one.validlft) for one in prefixes if isinstance(one, DHCP6OptIAPrefix)
    ]
