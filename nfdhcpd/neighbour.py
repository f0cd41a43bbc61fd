"""Neighbour solicitations of guests behind routed taps (RFC 4861, 7.2), answered only where the kernel would not.

The kernel of this host answers for the addresses of the interface that a solicitation comes in by. Two kinds are left:
a gateway that is no address of the interface, and other addresses of the guest's network, which a guest that was
configured by hand, or is told no router, takes to be on link.
"""

from __future__ import annotations

import struct
from ipaddress import IPv6Address, IPv6Network
from typing import TYPE_CHECKING, NamedTuple

from ganeti_ext.address import eui64, link_local
from nfdhcpd import frame, ndp, ra
from nfdhcpd.answer import Answer, Pass, Silence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ganeti_ext.binding import Binding
    from nfdhcpd.client import Client
    from nfdhcpd.terms import Terms

SOLICIT, ADVERT = 135, 136
ROUTER, SOLICITED, OVERRIDE = 1 << 31, 1 << 30, 1 << 29


class Neighbours(NamedTuple):
    """Who is answered for. Addresses are packed; ranges are numbers, first and last.

    `held` are the interface's own, which the kernel answers for; `guest` and `delegated` are or may be the guest's. Of
    the rest `routers` are ours alone, and those `beyond` are behind us.
    """

    mac: bytes
    source: bytes
    held: frozenset[bytes]
    routers: frozenset[bytes]
    guest: frozenset[bytes]
    beyond: tuple[int, int] | None
    delegated: tuple[int, int] | None


def neighbours(binding: Binding, uplink: ra.Uplink, terms: Terms) -> Neighbours | None:
    """Prepare for a guest; None on a bridge, where the others are and answer themselves. ValueError for a bad binding.

    A guest with more MACs than one (MACSPOOF) may be a bridge itself, with any address of the network behind it: to
    answer for those could win over their own answer. It is told of the gateway alone.
    """
    if not uplink.routed or (binding.subnet6 is None and binding.gateway6 is None):
        return None
    guest = frozenset(IPv6Address(address).packed for address in _guest(binding))
    source = ra.source(uplink)
    gateway = {IPv6Address(binding.gateway6).packed} if binding.gateway6 else set()
    subnet = None if binding.macspoof else ra.subnet(binding.subnet6)
    return Neighbours(
        mac=uplink.mac,
        source=source,
        held=uplink.addresses,
        routers=frozenset({source} | gateway),
        guest=guest,
        beyond=_range(subnet) if subnet else None,
        delegated=_range(IPv6Network(terms.prefix6)) if terms.prefix6 else None,
    )


def answer(packet: bytes, hardware: bytes | None, client: Client) -> Answer:
    """The answer to a neighbour solicitation; `hardware` is the source MAC of its frame.

    Pass where the kernel knows better, Silence or FrameError where nobody is to answer. A gateway of ours overrides
    what the guest knew, as a node's own address does: after a migration its MAC may be another. For the others we are
    a proxy, which must not (RFC 4861, 7.2.8).
    """
    near = client.neighbours
    if near is None:
        raise Pass
    message, target = _parse(packet, hardware, client)
    if target in near.held:
        raise Pass
    if message.src == ndp.UNSPECIFIED:
        raise Silence("ignored", f"duplicate address detection for {IPv6Address(target)}", "NS")
    if target == message.src or target in near.guest or _within(target, near.delegated):
        raise Silence("ignored", f"{IPv6Address(target)} is the guest's own", "NS")
    if target in near.routers:
        flags = ROUTER | SOLICITED | OVERRIDE
    elif _within(target, near.beyond):
        flags = ROUTER | SOLICITED
    else:
        raise Pass
    body = struct.pack("!I", flags) + target + ndp.option(ndp.TLLA, near.mac)
    reply = frame.build_icmp6(frame.Icmp6(near.source, message.src, 255, ADVERT, 0, body))
    return Answer("NS", f"NA {IPv6Address(target)}", (hardware or client.mac) + near.mac + frame.IPV6 + reply)


def _parse(packet: bytes, hardware: bytes | None, client: Client) -> tuple[frame.Icmp6, bytes]:
    """The solicitation and its target, by the rules of RFC 4861, 7.1.1, and from no other MAC than the guest's."""
    message, options = ndp.parse(packet, SOLICIT, 20)
    target = message.body[4:20]
    if target[0] == 0xFF:
        raise frame.FrameError(f"solicitation for {IPv6Address(target)}")
    if message.src == ndp.UNSPECIFIED and message.dst != _solicited_node(target):
        raise frame.FrameError(f"solicitation from :: to {IPv6Address(message.dst)}")
    macs = {hardware or b"", *(value for kind, value in options if kind == ndp.SLLA)}
    if macs != {client.mac} and not client.macspoof:
        raise Silence("spoofed", f"spoofed: {', '.join(sorted(mac.hex(':') for mac in macs - {client.mac}))}", "NS")
    return message, target


def _solicited_node(target: bytes) -> bytes:
    """RFC 4291, 2.7.1."""
    return b"\xff\x02" + bytes(9) + b"\1\xff" + target[13:]


def _guest(binding: Binding) -> Iterator[str]:
    """Addresses that the guest has or forms by default."""
    yield link_local(binding.mac)
    if binding.eui64:
        yield binding.eui64
    if binding.subnet6 and IPv6Network(binding.subnet6, strict=False).prefixlen == 64:
        yield eui64(binding.mac, binding.subnet6)


def _range(network: IPv6Network) -> tuple[int, int]:
    return int(network.network_address), int(network.broadcast_address)


def _within(address: bytes, numbers: tuple[int, int] | None) -> bool:
    return numbers is not None and numbers[0] <= int.from_bytes(address, "big") <= numbers[1]
