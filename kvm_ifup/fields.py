"""What the rules of nftables see of a packet, by the names that they have for it (nft(8), payload expressions).

A field that a packet does not have is not there: a rule that looks at it does not match. One that was not described
is Unsaid.
"""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING

from kvm_ifup.packet import IN, Packet
from kvm_ifup.packet_words import ARP, FIRST, IP4, IP6, LATER, RARP
from kvm_ifup.profile import CONDEMNED, ICMP, ICMPV6, PORTED, PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Iterator

STATES = {"invalid": 1, "established": 2, "related": 4, "new": 8, "untracked": 64}  # of `ct state`
_TAGGED = 0x8100
_NAMES = {number: name for name, number in PROTOCOLS.items()}
_MORE, _OFFSET = 0x2000, 3  # of IPv4's field of flags and offset: more follow; not at the start
_OFFSET6 = 5


class Unsaid(namedtuple("Unsaid", "word")):
    """A field whose value was not described, and the word that would."""

    __slots__ = ()
    word: str


Fields = dict[str, int | str | Unsaid]


def of(packet: Packet, interfaces: dict[str, str]) -> Fields:
    """All fields; `interfaces` are iifname and oifname, as far as there are such."""
    found: Fields = {
        **interfaces,
        "meta mark": 0,
        "ether saddr": mac(str(packet.values["mac"])),
        "ether daddr": mac(str(packet.values.get("to-mac", "00:00:00:00:00:00"))),
        "ether type": packet.number("ethertype") or 0,
    }
    vlan = packet.number("vlan")
    if vlan is not None:  # what is behind the tag is not read
        return found | {"ether type": _TAGGED, "vlan id": vlan}
    found.update(_NETWORK.get(packet.number("ethertype") or 0, _nothing)(packet))
    return found


def behind_tag(packet: Packet, interfaces: dict[str, str]) -> Fields:
    """The fields that the IP tables see of a tagged frame where they see it at all."""
    values = {name: value for name, value in packet.values.items() if name != "vlan"}
    return of(Packet(packet.direction, values, packet.assumed), interfaces)


def mac(text: str) -> int:
    return int(text.replace(":", ""), 16)


def _nothing(_packet: Packet) -> Iterator[tuple[str, int | Unsaid]]:
    return iter(())


def _arp(packet: Packet) -> Iterator[tuple[str, int | Unsaid]]:
    yield "arp saddr ether", mac(str(packet.values.get("sender-mac", packet.values["mac"])))
    yield "arp saddr ip", _said(packet, "src")
    yield "@nh,48,16", _said(packet, "op")


def _rarp(packet: Packet) -> Iterator[tuple[str, int | Unsaid]]:
    yield "@nh,48,16", _said(packet, "op")


def _ip4(packet: Packet) -> Iterator[tuple[str, int | Unsaid]]:
    fragment = packet.values.get("fragment")
    yield "meta nfproto", 2
    yield "ip saddr", _said(packet, "src")
    yield "ip daddr", _said(packet, "dst")
    yield "ip frag-off", {FIRST: _MORE, LATER: _OFFSET}.get(str(fragment), 0)
    yield "meta l4proto", _said(packet, "proto")
    if fragment != LATER:
        yield from _transport(packet)


def _ip6(packet: Packet) -> Iterator[tuple[str, int | Unsaid]]:
    fragment = packet.values.get("fragment")
    yield "meta nfproto", 10
    yield "ip6 saddr", _said(packet, "src")
    yield "@nh,64,128", _said(packet, "src")
    yield "ip6 daddr", _said(packet, "dst")
    if fragment:
        yield "frag frag-off", 0 if fragment == FIRST else _OFFSET6
    if "headless" in packet.values:
        return
    yield "meta l4proto", _said(packet, "proto")
    if fragment != LATER:
        yield from _transport(packet)


def _transport(packet: Packet) -> Iterator[tuple[str, int | Unsaid]]:
    proto = packet.number("proto") or 0
    name = _NAMES.get(proto, "")
    if proto in (ICMP, ICMPV6):
        yield f"{name} type", _said(packet, "type")
        yield f"{name} code", _said(packet, "code")
    elif proto in PORTED:
        yield f"{name} sport", _said(packet, "sport")
        yield f"{name} dport", _said(packet, "dport")
        if packet.number("sport") is not None:  # else the rules that look at it by its name ask for it
            yield "@th,0,16", _said(packet, "sport")
    target = _said(packet, "target")
    if proto == ICMPV6:
        yield "@th,64,128", target
        yield "@th,64,64", target if isinstance(target, Unsaid) else target >> 64
    if packet.direction == IN:
        yield from _connection(packet)


def _connection(packet: Packet) -> Iterator[tuple[str, int | Unsaid]]:
    state = str(packet.values["state"])
    yield "ct state", STATES[state]
    if state not in ("invalid", "untracked"):
        yield "ct mark", CONDEMNED if "cut" in packet.values else 0


def _said(packet: Packet, name: str) -> int | Unsaid:
    value = packet.number(name)
    return Unsaid(f"{name}=") if value is None else value


_NETWORK = {IP4: _ip4, IP6: _ip6, ARP: _arp, RARP: _rarp}
