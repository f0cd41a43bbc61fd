"""Fragments by which a guest might say what it may not, and by which others might reach a guest whom they may not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from scapy.layers import inet
from scapy.layers.dhcp6 import DHCP6_Advertise
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_RA,
    ICMPv6NDOptPrefixInfo,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
)
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from tests.contract.kvm_ifup_frames import IP, IP6, MAC, OTHER_IP6, OWN_LL, PASS
from tests.contract.kvm_ifup_tenants import Who

_BROADCAST, _ALL_NODES = "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01"


class Attack(NamedTuple):
    """Frames in their order, and those of them that do no harm without the others."""

    frames: tuple[bytes, ...]
    innocent: list[bytes]


def _attack(*frames: bytes, harmless: Iterable[int]) -> Attack:
    return Attack(frames, [frames[index] for index in harmless])


def _part4(part: bytes, at: int, *, more: bool, **fields: object) -> bytes:
    header = inet.IP(src=IP, dst="255.255.255.255", id=9, proto=17, frag=at // 8, flags="MF" if more else 0, **fields)
    return bytes(Ether(src=MAC, dst=_BROADCAST) / header / Raw(part))


def _part6(part: bytes, at: int, kind: int, *, more: bool, src: str = OWN_LL) -> bytes:
    header = IPv6(src=src, dst="ff02::1", hlim=255) / IPv6ExtHdrFragment(nh=kind, offset=at // 8, m=more, id=9)
    return bytes(Ether(src=MAC, dst=_ALL_NODES) / header / Raw(part))


def _message(packet: Packet) -> bytes:
    """What stands behind the IPv6 header."""
    return bytes(IPv6(src=OWN_LL, dst="ff02::1", hlim=255) / packet)[40:]


_OFFER = bytes(UDP(sport=67, dport=68, len=48, chksum=0) / Raw(bytes(40)))
_QUERY = bytes(UDP(sport=1024, dport=68, len=48, chksum=0) / Raw(bytes(40)))
_RA = _message(ICMPv6ND_RA(routerlifetime=1800) / ICMPv6NDOptPrefixInfo(prefix="2001:db8:bad::"))
_HIDDEN = _message(IPv6ExtHdrDestOpt() / ICMPv6ND_RA(routerlifetime=1800))
_CLAIM = _message(ICMPv6ND_NA(tgt=OTHER_IP6, R=0))
_SERVER = _message(UDP(sport=547, dport=546) / DHCP6_Advertise())
_ECHO = _message(ICMPv6EchoRequest(data=bytes(40)))
_INNER = bytes(IPv6ExtHdrFragment(nh=58, id=10))

# By what a guest would be a server, a router or another guest.
SPOKEN = {
    "offer": _attack(_part4(_OFFER[:8], 0, more=True), _part4(_OFFER[8:], 8, more=False), harmless=[1]),
    "offer, last part first": _attack(
        _part4(_OFFER[8:], 8, more=False), _part4(_OFFER[:8], 0, more=True), harmless=[0]
    ),
    "offer over a question": _attack(
        _part4(_QUERY[:24], 0, more=True),
        _part4(_OFFER[:24], 0, more=True),
        _part4(_QUERY[24:], 24, more=False),
        harmless=[0, 2],
    ),
    "offer behind options": _attack(
        _part4(_OFFER[:8], 0, more=True, options=[inet.IPOption_Router_Alert()]),
        _part4(_OFFER[8:], 8, more=False),
        harmless=[1],
    ),
    "an octet of an offer": _attack(_part4(_OFFER[:1], 0, more=True), _part4(_OFFER[8:], 8, more=False), harmless=[1]),
    "advertisement": _attack(_part6(_RA[:8], 0, 58, more=True), _part6(_RA[8:], 8, 58, more=False), harmless=[1]),
    "advertisement, last part first": _attack(
        _part6(_RA[8:], 8, 58, more=False), _part6(_RA[:8], 0, 58, more=True), harmless=[0]
    ),
    "advertisement over an echo": _attack(
        _part6(_ECHO[:24], 0, 58, more=True),
        _part6(_RA[:24], 0, 58, more=True),
        _part6(_ECHO[24:], 24, 58, more=False),
        harmless=[0, 2],
    ),
    "advertisement in the second part": _attack(
        _part6(_HIDDEN[:8], 0, 60, more=True), _part6(_HIDDEN[8:], 8, 60, more=False), harmless=[1]
    ),
    "advertisement in fragments of fragments": _attack(
        _part6(_INNER, 0, 44, more=True), _part6(_RA, 8, 44, more=False), harmless=[1]
    ),
    "neighbour advertisement": _attack(
        _part6(_CLAIM[:8], 0, 58, more=True), _part6(_CLAIM[8:], 8, 58, more=False), harmless=[1]
    ),
    "neighbour advertisement in one": _attack(_part6(_CLAIM, 0, 58, more=False, src=IP6), harmless=[]),
    "server of dhcpv6": _attack(
        _part6(_SERVER[:8], 0, 17, more=True), _part6(_SERVER[8:], 8, 17, more=False), harmless=[1]
    ),
}
# Where the whole is allowed, so are its parts.
ALLOWED = [
    PASS["ipv4 udp, first fragment"],
    PASS["ipv4 udp, last fragment"],
    PASS["ipv6 udp, last fragment"],
    _part6(_ECHO[:24], 0, 58, more=True),
    _part6(_ECHO[24:], 24, 58, more=False),
]


def unwanted(who: Who, to: Who) -> dict[str, list[bytes]]:
    """What a guest that lets nothing in, or SSH and ping alone, must not get."""

    def four(part: bytes, at: int, kind: int = 17, *, more: bool = False) -> bytes:
        header = inet.IP(src=who.ip, dst=to.ip, id=7, proto=kind, frag=at // 8, flags="MF" if more else 0)
        return bytes(Ether(src=who.mac, dst=to.mac) / header / Raw(part))

    def six(part: bytes, at: int, kind: int = 17, *, more: bool = False) -> bytes:
        header = IPv6(src=who.ip6, dst=to.ip6) / IPv6ExtHdrFragment(nh=kind, id=7, offset=at // 8, m=more)
        return bytes(Ether(src=who.mac, dst=to.mac) / header / Raw(part))

    udp = bytes(UDP(sport=9, dport=9, len=48, chksum=0) / Raw(bytes(40)))
    telnet, ssh = (bytes(TCP(sport=9, dport=port, flags="S") / Raw(bytes(28))) for port in (23, 22))
    return {
        "first": [four(udp[:24], 0, more=True)],
        "last": [four(udp[24:], 24)],
        "both": [four(udp[:24], 0, more=True), four(udp[24:], 24)],
        "both, last part first": [four(udp[24:], 24), four(udp[:24], 0, more=True)],
        "tiny": [four(telnet[:8], 0, 6, more=True), four(telnet[8:], 8, 6)],
        "another over the first": [
            *(four(ssh[:8], 0, 6, more=True), four(telnet[:8], 0, 6, more=True)),
            four(telnet[8:], 8, 6),
        ],
        "another over all": [
            *(four(ssh[:24], 0, 6, more=True), four(telnet[:16], 0, 6, more=True)),
            *(four(telnet[8:24], 8, 6, more=True), four(telnet[24:], 24, 6)),
        ],
        "first of ipv6": [six(udp[:24], 0, more=True)],
        "last of ipv6": [six(udp[24:], 24)],
        "both of ipv6": [six(udp[:24], 0, more=True), six(udp[24:], 24)],
        "one of ipv6": [six(udp, 0)],
        "tiny of ipv6": [six(telnet[:8], 0, 6, more=True), six(telnet[8:], 8, 6)],
        "another over the first of ipv6": [
            *(six(ssh[:8], 0, 6, more=True), six(telnet[:8], 0, 6, more=True)),
            six(telnet[8:], 8, 6),
        ],
    }


def ping(who: Who, to: Who) -> list[bytes]:
    """An echo request in two fragments."""
    whole = bytes(ICMP() / Raw(b"ping" * 10))
    parts: list[tuple[bytes, dict[str, object]]] = [(whole[:24], {"flags": "MF"}), (whole[24:], {"frag": 3})]
    headers = [inet.IP(src=who.ip, dst=to.ip, id=8, proto=1, **where) / Raw(part) for part, where in parts]
    return [bytes(Ether(src=who.mac, dst=to.mac) / packet) for packet in headers]
