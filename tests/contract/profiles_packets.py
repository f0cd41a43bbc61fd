"""What a peer says to a guest unasked, and which profiles let it pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import DHCP6_Reply
from scapy.layers.inet import ICMP, TCP, UDP, fragment
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6MLQuery,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_Redirect,
    ICMPv6PacketTooBig,
    ICMPv6ParamProblem,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    fragment6,
)
from scapy.layers.sctp import SCTP, SCTPChunkInit
from scapy.packet import Packet, Raw

from tests.contract.profiles_node import Ends, new_tag

# An administrator's. More ports than one match of iptables takes; sources that the peer is among, and is not.
OWN = """[profile]
description = Web server and more

[allow web]
protocol = tcp
ports = 80, 443, 8000-8010, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27

[allow names]
protocol = udp
ports = 53
sources = 10.0.0.0/8, 2001:db8::/32

[allow time]
protocol = udp
ports = 123
sources = 192.0.2.0/24, 2001:db8:ffff::/48

[allow tunnels]
protocol = gre

[allow routes]
protocol = 89
family = ipv4

[allow signals]
protocol = sctp
ports = 22
family = ipv6

[allow icmp-of-any-type]
protocol = icmp
"""
NOBODY, OPEN = frozenset[str](), frozenset(("unprotected",))
LIMITED, OF_OWN, SSH = OPEN | {"limited"}, OPEN | {"own"}, OPEN | {"ssh"}

Make = Callable[[Ends], list[Packet]]
_LONG = Raw(b"0123456789abcdef" * 100)
_TEXT = Raw(b"what nobody asked for")


def _to(payload: Packet) -> Make:
    return lambda ends: [ends.to_guest(payload)]


def _other(number: int) -> Make:
    """Another protocol, by its number."""
    return lambda ends: [ends.to_guest(Raw(bytes(40)), **{"nh" if ends.version == 6 else "proto": number})]


def fragments(ends: Ends, payload: Packet) -> list[Packet]:
    """Two fragments to the guest; the first has all headers."""
    if ends.version == 4:
        found: list[Packet] = fragment(ends.to_guest(payload), 1000)
    else:
        tag = new_tag()
        found = fragment6(ends.to_guest(IPv6ExtHdrFragment(id=tag) / payload, tag), 1000)
    assert len(found) == 2
    return found


def _last(payload: Packet) -> Make:
    return lambda ends: fragments(ends, payload)[1:]


def _both(payload: Packet) -> Make:
    return lambda ends: fragments(ends, payload)


_NEW: Mapping[str, tuple[Make, frozenset[str]]] = {
    "tcp 22": (_to(TCP(sport=2001, dport=22)), LIMITED),
    "tcp 3389": (_to(TCP(sport=2001, dport=3389)), LIMITED),
    "tcp 80": (_to(TCP(sport=2001, dport=80)), OF_OWN),
    "tcp 27, the last of many": (_to(TCP(sport=2001, dport=27)), OF_OWN),
    "tcp 8005, in a range": (_to(TCP(sport=2001, dport=8005)), OF_OWN),
    "tcp 8011, behind a range": (_to(TCP(sport=2001, dport=8011)), OPEN),
    "tcp from 22": (_to(TCP(sport=22, dport=2001)), OPEN),
    "tcp ack of nothing": (_to(TCP(sport=2002, dport=81, flags="A", seq=7, ack=7)), OPEN),
    "tcp syn and ack of nothing": (_to(TCP(sport=2003, dport=81, flags="SA", seq=7, ack=7)), OPEN),
    "tcp without flags": (_to(TCP(sport=2004, dport=22, flags="")), OPEN),
    "udp 3389": (_to(UDP(sport=2001, dport=3389) / _TEXT), LIMITED),
    "udp 53 from where it may": (_to(UDP(sport=2001, dport=53) / _TEXT), OF_OWN),
    "udp 123 from where it may not": (_to(UDP(sport=2001, dport=123) / _TEXT), OPEN),
    "udp from 53": (_to(UDP(sport=53, dport=2001) / _TEXT), OPEN),
    "udp from a dhcp server to another port": (_to(UDP(sport=67, dport=69) / _TEXT), OPEN),
    "udp from a dhcpv6 server to another port": (_to(UDP(sport=547, dport=545) / _TEXT), OPEN),
    "udp 53 in fragments": (_both(UDP(sport=2001, dport=53) / _LONG), OF_OWN),
    "udp 54 in fragments": (_both(UDP(sport=2001, dport=54) / _LONG), OPEN),
    "udp, the last fragment alone": (_last(UDP(sport=2001, dport=53) / _LONG), NOBODY),
    "gre": (_other(47), OF_OWN),
    "esp": (_other(50), OPEN),
}
_INIT = SCTP(sport=2001, dport=22) / SCTPChunkInit(init_tag=7, n_out_streams=1, n_in_streams=1)
_NEW4 = {
    **_NEW,
    "tcp 22": (_to(TCP(sport=2001, dport=22)), LIMITED | SSH),
    "ping": (_to(ICMP() / _TEXT), LIMITED | OF_OWN | SSH),
    "ping in fragments": (_both(ICMP() / _LONG), LIMITED | OF_OWN | SSH),
    "timestamp request": (_to(ICMP(type=13)), OF_OWN | SSH),
    "echo reply of nothing": (_to(ICMP(type=0) / _TEXT), OPEN),
    "redirect": (_to(ICMP(type=5) / _TEXT), OPEN),
    "parameter problem of nothing": (_to(ICMP(type=12) / Raw(bytes(28))), OPEN),
    "protocol 89": (_other(89), OF_OWN),
    "sctp 22": (_to(_INIT), OPEN),
}
_NEW6 = {
    **_NEW,
    "ping": (_to(ICMPv6EchoRequest(data=bytes(_TEXT))), LIMITED | SSH),
    "ping in fragments": (_both(ICMPv6EchoRequest(data=bytes(_LONG))), LIMITED | SSH),
    "ping behind options": (_to(IPv6ExtHdrDestOpt() / ICMPv6EchoRequest()), LIMITED | SSH),
    "tcp 22 behind options": (_to(IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / TCP(sport=2011, dport=22)), LIMITED),
    "tcp 81 behind options": (_to(IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / TCP(sport=2012, dport=81)), OPEN),
    "echo reply of nothing": (_to(ICMPv6EchoReply(data=bytes(_TEXT))), OPEN),
    "protocol 89": (_other(89), OPEN),
    "sctp 22": (_to(_INIT), OF_OWN),
}
NEW = {4: _NEW4, 6: _NEW6}

# Whatever the profile. Their quotations are of connections that nobody knows.
_QUOTED6 = IPv6(src="2001:db8:1::5", dst="2001:db8:9::9") / UDP(sport=1, dport=2) / _TEXT
_DHCP = UDP(sport=67, dport=68) / BOOTP(op=2) / DHCP(options=[("message-type", "ack"), "end"])
ALWAYS: Mapping[int, Mapping[str, Make]] = {
    4: {
        "fragmentation needed": _to(ICMP(type=3, code=4, nexthopmtu=1400) / Raw(bytes(28))),
        "port unreachable": _to(ICMP(type=3, code=3) / Raw(bytes(28))),
        "time exceeded": _to(ICMP(type=11) / Raw(bytes(28))),
        "dhcp answer": _to(_DHCP),
    },
    6: {
        "destination unreachable": _to(ICMPv6DestUnreach() / _QUOTED6),
        "packet too big": _to(ICMPv6PacketTooBig(mtu=1400) / _QUOTED6),
        "time exceeded": _to(ICMPv6TimeExceeded() / _QUOTED6),
        "parameter problem": _to(ICMPv6ParamProblem() / _QUOTED6),
        "dhcpv6 answer": _to(UDP(sport=547, dport=546) / DHCP6_Reply()),
    },
}
_LL, _NODES = "fe80::9", "ff02::1"


def _on_link(payload: Packet, destination: str) -> Make:
    return lambda _: [Ends(destination, _LL).to_guest(payload)]


# On one link, from a link-local address.
ON_LINK: Mapping[str, Make] = {
    "neighbour solicitation": _on_link(ICMPv6ND_NS(tgt="2001:db8:1::5"), "ff02::1:ff00:5"),
    "neighbour solicitation, reachable yet": _on_link(ICMPv6ND_NS(tgt="2001:db8:1::5"), "2001:db8:1::5"),
    "neighbour advertisement": _on_link(ICMPv6ND_NA(tgt="2001:db8:1::9"), "2001:db8:1::5"),
    "router advertisement": _on_link(ICMPv6ND_RA(), _NODES),
    "mld query": _on_link(IPv6ExtHdrHopByHop() / ICMPv6MLQuery(), _NODES),
}
REDIRECT = _on_link(ICMPv6ND_Redirect(tgt="fe80::9", dst="2001:db8:9::9"), "2001:db8:1::5")
