"""A packet as an administrator describes it, in words such as `src=10.0.0.9 tcp dport=22` (ganeti-ext-net(8)).

What is not said is assumed, as of an honest packet of this guest; what cannot be assumed is left out, and missed only
when a rule looks at it (fields.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

from kvm_ifup import packet_words as words_of
from kvm_ifup.packet_words import ARP, BRIDGED, IP4, IP6, LOCAL, OPERATIONS, RARP, ROUTED, PacketError
from kvm_ifup.profile import ICMP, ICMPV6, PORTED
from kvm_ifup.profile_fields import TYPES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from kvm_ifup.packet_words import Value

IN, OUT = "in", "out"
_EPHEMERAL = 49152  # RFC 6335 section 6
# Of ICMPv6, what conntrack counts to no connection: noct_valid_new of Linux' nf_conntrack_proto_icmpv6.c.
_UNTRACKED = frozenset((130, 131, 132, 133, 134, 135, 136, 143))
# What begins one, valid_new of the same and of nf_conntrack_proto_icmp.c: other messages belong to one, or are invalid.
_BEGINS = {ICMP: frozenset((8, 13, 15, 17)), ICMPV6: frozenset((128, 139))}
_ADVERTISEMENT = 136

_IP = (IP4, IP6)
# What a value goes with: EtherTypes, and protocols.
_PLACES: Mapping[str, tuple[Collection[int], Collection[int]]] = {
    "src": ((*_IP, ARP), ()),
    "dst": ((*_IP, ARP), ()),
    "proto": (_IP, ()),
    "sport": (_IP, PORTED),
    "dport": (_IP, PORTED),
    "type": (_IP, TYPES),
    "code": (_IP, TYPES),
    "target": ((IP6,), (ICMPV6,)),
    "op": ((ARP, RARP), ()),
    "sender-mac": ((ARP, RARP), ()),
    "fragment": (_IP, ()),
    "headless": ((IP6,), ()),
}
_ONE_WAY = {
    **dict.fromkeys(("state", "by", "cut"), (IN, "no rule looks at that in what a guest says")),
    **dict.fromkeys(("fragment", "headless"), (OUT, "what goes to a guest is judged when it is put together again")),
}


@dataclass(frozen=True)
class Guest:
    """What assumptions are made of. `peer` is the MAC of a station that may reach the guest, `host` is the node's."""

    mac: str
    ip4: str | None
    ip6: str | None
    peer: str
    host: str
    routed: bool


@dataclass(frozen=True)
class Packet:
    """`values` by the names of packet_words.py; `assumed` are the names of those that were not said."""

    direction: str
    values: Mapping[str, Value]
    assumed: tuple[str, ...]

    def number(self, name: str) -> int | None:
        """A value that is a number or an address; None when there is none."""
        return _number(self.values, name)


def parse(direction: str, words: Iterable[str], guest: Guest) -> Packet:
    """The packet that the words describe, IN to the guest or OUT of it; PacketError names what is wrong."""
    said = words_of.read(words)
    said.update(_implied(said))
    found = {"ethertype": IP4 if guest.ip4 or not guest.ip6 else IP6, **said}
    ethertype = _number(found, "ethertype") or 0
    if direction == IN:
        found.setdefault("by", BRIDGED if not guest.routed else ROUTED if ethertype in _IP else LOCAL)
        found.setdefault("mac", guest.peer if found["by"] == BRIDGED else guest.host)
    found.setdefault("mac", guest.mac)
    if ethertype in _IP:
        _internet(direction, found, guest, ethertype)
    elif ethertype in (ARP, RARP):
        _arp(direction, found, guest, ethertype)
    _refuse(direction, found, guest)
    return Packet(direction, found, tuple(name for name in found if name not in said))


def shown(packet: Packet) -> dict[str, str]:
    """The values as one says them."""
    found = {name: words_of.show(name, value) for name, value in packet.values.items()}
    names = {number: name for name, number in TYPES.get(packet.number("proto") or 0, {}).items()}
    if "type" in found:
        found["type"] = names.get(packet.number("type") or 0, found["type"])
    return found


def _number(values: Mapping[str, Value], name: str) -> int | None:
    value = values.get(name)
    return None if value is None or isinstance(value, str) else int(value)


def _implied(said: Mapping[str, Value]) -> dict[str, Value]:
    """The EtherType, if an address or a protocol tells; PacketError when they do not go together."""
    versions = {4 if value in (IP4, ARP) else 6 for value in (said.get("ethertype"),) if value in (*_IP, ARP)}
    versions |= {value.version for value in said.values() if isinstance(value, IPv4Address | IPv6Address)}
    versions |= {4 if value == ICMP else 6 for value in (said.get("proto"),) if value in (ICMP, ICMPV6)}
    if len(versions) > 1:
        raise PacketError("IPv4 and IPv6 do not go together in one packet")
    return {"ethertype": said.get("ethertype") or (IP4 if versions == {4} else IP6)} if versions else {}


def _internet(direction: str, found: dict[str, Value], guest: Guest, ethertype: int) -> None:
    _own_address(found, "src" if direction == OUT else "dst", guest, ethertype)
    found.setdefault("proto", ICMP if ethertype == IP4 else ICMPV6)
    proto = _number(found, "proto") or 0
    if proto in PORTED:
        found.setdefault("sport", _EPHEMERAL)
    if proto in TYPES:
        found["type"] = _type(str(found.get("type", "echo-request")), proto)
    kind = _number(found, "type") or 0
    if direction == IN:
        found.setdefault("state", _state(proto, kind))
    elif (proto, kind) == (ICMPV6, _ADVERTISEMENT) and "src" in found:
        found.setdefault("target", found["src"])


def _state(proto: int, kind: int) -> str:
    """What conntrack makes of a packet that belongs to nothing."""
    if proto == ICMPV6 and kind in _UNTRACKED:
        return "untracked"
    return "new" if kind in _BEGINS.get(proto, (kind,)) else "invalid"


def _arp(direction: str, found: dict[str, Value], guest: Guest, ethertype: int) -> None:
    found.setdefault("op", OPERATIONS["request" if ethertype == ARP else "reverse-request"])
    if direction == OUT:
        found.setdefault("sender-mac", found["mac"])
        if ethertype == ARP:
            _own_address(found, "src", guest, IP4)


def _own_address(found: dict[str, Value], name: str, guest: Guest, ethertype: int) -> None:
    own = guest.ip6 if ethertype == IP6 else guest.ip4
    if own:
        found.setdefault(name, ip_address(own))


def _type(text: str, proto: int) -> int:
    names = TYPES[proto]
    if text in names:
        return names[text]
    try:
        return words_of.number(text, 255)
    except ValueError as err:
        raise PacketError(f"'type={text}': {err}, or one of {', '.join(names)}") from err


def _refuse(direction: str, found: Mapping[str, Value], guest: Guest) -> None:
    """PacketError for what such a packet does not have."""
    for name, (ethertypes, protocols) in _PLACES.items():
        fits = found["ethertype"] in ethertypes and (not protocols or found["proto"] in protocols)
        if name in found and not fits:
            raise PacketError(f"such a packet has no {name}")
    for name, (way, why) in _ONE_WAY.items():
        if name in found and direction != way:
            raise PacketError(f"{name}={found[name]}: {why}")
    if found.get("by") == ROUTED and found["ethertype"] not in _IP:
        raise PacketError("only IP is routed")
    if guest.routed and found.get("by") == BRIDGED:
        raise PacketError(f"no bridge leads to this guest: say {ROUTED} or {LOCAL}")
