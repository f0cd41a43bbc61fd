"""Frames that a guest may send, and frames that it may not.

The guest has MAC, IP and IP6 (which is the EUI-64 address of its MAC in 2001:db8::/64); its network's routers are
known as fe80::1 (the gateway) and BRIDGE_LL (nfdhcpd's, on the bridge of kvm_ifup_node.py).
"""

from __future__ import annotations

from scapy.layers import inet
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import DHCP6_Advertise, DHCP6_Reply, DHCP6_Request, DHCP6_Solicit
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6MLQuery,
    ICMPv6MLReport2,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_Redirect,
    ICMPv6ND_RS,
    ICMPv6NDOptDstLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

MAC, IP, IP6 = "52:54:00:00:00:01", "10.0.0.5", "2001:db8::5054:ff:fe00:1"
OTHER_MAC, OTHER_IP, OTHER_IP6 = "52:54:00:00:00:02", "10.0.0.6", "2001:db8::5054:ff:fe00:2"
PREFIX6 = "2001:db8:77::/56"  # delegated to the guest
OWN_LL, PRIVATE_LL, BRIDGE_LL = "fe80::5054:ff:fe00:1", "fe80::1234:5678:9abc:def0", "fe80::ff:fe00:b0"
BROADCAST, UNKNOWN, ALL_NODES = "ff:ff:ff:ff:ff:ff", "02:00:00:00:00:99", "33:33:00:00:00:01"


def _frame(packet: Packet, src: str = MAC, dst: str = UNKNOWN, **fields: int) -> bytes:
    return bytes(Ether(src=src, dst=dst, **fields) / packet)


def _arp(mac: str = MAC, ip: str = IP, op: int = 1) -> bytes:
    return _frame(ARP(op=op, hwsrc=mac, psrc=ip, hwdst="00:00:00:00:00:00", pdst="10.0.0.1"), dst=BROADCAST)


def _ip4(packet: Packet, src: str = IP, **fields: object) -> bytes:
    return _frame(inet.IP(src=src, dst="10.0.0.1", **fields) / packet)


def _ip6(packet: Packet, src: str = IP6, dst: str = "2001:db8::99") -> bytes:
    return _frame(IPv6(src=src, dst=dst, hlim=255) / packet, dst=ALL_NODES if dst.startswith("ff") else UNKNOWN)


def _na(target: str, src: str = IP6) -> bytes:
    return _ip6(ICMPv6ND_NA(tgt=target, R=0, O=1) / ICMPv6NDOptDstLLAddr(lladdr=MAC), src, "ff02::1")


def _dad(target: str) -> bytes:
    return _ip6(ICMPv6ND_NS(tgt=target), "::", "ff02::1:ff00:1")


def _dhcp(kind: str, src: str, sport: int, dport: int) -> bytes:
    message = BOOTP(chaddr=bytes.fromhex(MAC.replace(":", ""))) / DHCP(options=[("message-type", kind), "end"])
    return _frame(inet.IP(src=src, dst="255.255.255.255") / UDP(sport=sport, dport=dport) / message, dst=BROADCAST)


def _dhcp6(message: Packet, src: str, dst: str = "ff02::1:2", sport: int = 546) -> bytes:
    return _ip6(UDP(sport=sport, dport=547) / message, src, dst)


_RA = ICMPv6ND_RA(routerlifetime=1800)
_TEXT = Raw(b"0123456789abcdef")

PASS = {
    "arp request": _arp(),
    "arp reply": _arp(op=2),
    "arp probe": _arp(ip="0.0.0.0"),
    "rarp announcement of a migration": _frame(ARP(op=3, hwsrc=MAC, psrc="0.0.0.0"), dst=BROADCAST, type=0x8035),
    "dhcp discover": _dhcp("discover", "0.0.0.0", 68, 67),
    "dhcp renewal": _dhcp("request", IP, 68, 67),
    "ipv4 icmp": _ip4(ICMP() / _TEXT),
    "ipv4 tcp": _ip4(TCP(sport=67, dport=80)),
    "ipv4 udp": _ip4(UDP(sport=1024, dport=53) / _TEXT),
    "ipv4 udp, first fragment": _ip4(UDP(sport=1024, dport=53, len=100) / _TEXT, flags="MF"),
    "ipv4 udp, last fragment": _ip4(Raw(b"\x00\x43" * 8), frag=3, proto=17),
    "ipv6 echo": _ip6(ICMPv6EchoRequest()),
    "ipv6 tcp": _ip6(TCP(sport=547, dport=80)),
    "ipv6 udp": _ip6(UDP(sport=1024, dport=53) / _TEXT),
    "ipv6 udp, last fragment": _ip6(IPv6ExtHdrFragment(nh=17, offset=5) / _TEXT),
    "ipv6 echo behind options": _ip6(IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / ICMPv6EchoRequest()),
    "ipv6 echo, link-local of the mac": _ip6(ICMPv6EchoRequest(), OWN_LL),
    "ipv6 echo, link-local of rfc 7217": _ip6(ICMPv6EchoRequest(), PRIVATE_LL),
    "dhcpv6 solicit": _dhcp6(DHCP6_Solicit(), OWN_LL),
    "dhcpv6 solicit, link-local of rfc 7217": _dhcp6(DHCP6_Solicit(), PRIVATE_LL),
    "dhcpv6 request": _dhcp6(DHCP6_Request(), OWN_LL),
    "dhcpv6 renewal to the server itself": _dhcp6(DHCP6_Request(), IP6, dst=BRIDGE_LL),
    "ipv6 echo, delegated prefix": _ip6(ICMPv6EchoRequest(), "2001:db8:77:ff::1"),
    "neighbour solicitation": _ip6(ICMPv6ND_NS(tgt="2001:db8::99"), dst="ff02::1:ff00:99"),
    "neighbour advertisement": _na(IP6),
    "neighbour advertisement, link-local": _na(PRIVATE_LL, PRIVATE_LL),
    "dad": _dad(IP6),
    "dad, link-local": _dad(PRIVATE_LL),
    "router solicitation": _ip6(ICMPv6ND_RS(), OWN_LL, "ff02::2"),
    "router solicitation without address": _ip6(ICMPv6ND_RS(), "::", "ff02::2"),
    "mld report without address": _ip6(IPv6ExtHdrHopByHop() / ICMPv6MLReport2(), "::", "ff02::16"),
}

DROP = {
    "foreign source mac": _frame(inet.IP(src=IP, dst="10.0.0.1") / ICMP(), src=OTHER_MAC),
    "arp, foreign sender mac": _arp(mac=OTHER_MAC),
    "arp, foreign sender ip": _arp(ip=OTHER_IP),
    "arp reply for the gateway": _arp(ip="10.0.0.1", op=2),
    "arp probe with a foreign mac": _arp(mac=OTHER_MAC, ip="0.0.0.0"),
    "rarp reply": _frame(ARP(op=4, hwsrc=MAC, psrc=IP), dst=BROADCAST, type=0x8035),
    "ethertype of pppoe": _frame(_TEXT, type=0x8863),
    "802.3 with llc": _frame(Raw(b"\x42\x42\x03" + bytes(43)), type=46),
    "vlan tag": _frame(Dot1Q(vlan=7) / inet.IP(src=IP, dst="10.0.0.1") / ICMP()),
    "priority tag": _frame(Dot1Q(vlan=0) / inet.IP(src=IP, dst="10.0.0.1") / ICMP()),
    "vlan tag within another": _frame(Dot1Q(type=0x88A8) / Dot1Q(vlan=7) / inet.IP(src=IP, dst="10.0.0.1") / ICMP()),
    "ipv4, foreign source": _ip4(ICMP(), OTHER_IP),
    "ipv4, no source": _ip4(ICMP(), "0.0.0.0"),
    "ipv4 udp, no source": _ip4(UDP(sport=68, dport=53) / _TEXT, "0.0.0.0"),
    "ipv4, foreign source, last fragment": _ip4(_TEXT, OTHER_IP, frag=3, proto=17),
    "dhcp offer": _dhcp("offer", IP, 67, 68),
    "dhcp offer, no source": _dhcp("offer", "0.0.0.0", 67, 68),
    "dhcp offer, foreign source": _dhcp("offer", "10.0.0.1", 67, 68),
    "dhcp offer, first fragment": _ip4(UDP(sport=67, dport=68, len=100) / _TEXT, flags="MF"),
    "ipv6, foreign source": _ip6(ICMPv6EchoRequest(), OTHER_IP6),
    "ipv6, foreign prefix": _ip6(ICMPv6EchoRequest(), "2001:db8:1::5054:ff:fe00:1"),
    "ipv6, link-local of the gateway": _ip6(ICMPv6EchoRequest(), "fe80::1"),
    "ipv6, link-local of the bridge": _ip6(ICMPv6EchoRequest(), BRIDGE_LL),
    "ipv6, link-local outside fe80::/64": _ip6(ICMPv6EchoRequest(), "fe80:0:0:1::1"),
    "ipv6 echo without address": _ip6(ICMPv6EchoRequest(), "::"),
    "ipv6 udp without address": _ip6(UDP(sport=1, dport=2), "::"),
    "mld query without address": _ip6(ICMPv6MLQuery(), "::", "ff02::1"),
    "dhcpv6 advertise": _ip6(UDP(sport=547, dport=546) / DHCP6_Advertise(), OWN_LL),
    "dhcpv6 reply to all": _ip6(UDP(sport=547, dport=546) / DHCP6_Reply(), IP6, "ff02::1"),
    "dhcpv6 from a relay": _dhcp6(DHCP6_Solicit(), OWN_LL, sport=547),
    "dhcpv6 solicit without address": _dhcp6(DHCP6_Solicit(), "::"),
    "dhcpv6 solicit, link-local of the bridge": _dhcp6(DHCP6_Solicit(), BRIDGE_LL),
    "ipv6, beside the delegated prefix": _ip6(ICMPv6EchoRequest(), "2001:db8:77:100::1"),
    "dhcpv6 reply, delegated prefix": _ip6(UDP(sport=547, dport=546) / DHCP6_Reply(), "2001:db8:77::1"),
    "router advertisement": _ip6(_RA, OWN_LL, "ff02::1"),
    "router advertisement, global source": _ip6(_RA, IP6, "ff02::1"),
    "router advertisement without address": _ip6(_RA, "::", "ff02::1"),
    "router advertisement behind options": _ip6(IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / _RA, OWN_LL, "ff02::1"),
    "router advertisement in an atomic fragment": _ip6(IPv6ExtHdrFragment(nh=58) / _RA, OWN_LL, "ff02::1"),
    "first fragment that hides its header": _ip6(
        IPv6ExtHdrFragment(nh=60, m=1) / Raw(b"\x3a\x01" + bytes(6)), OWN_LL, "ff02::1"
    ),
    "redirect": _ip6(ICMPv6ND_Redirect(tgt=PRIVATE_LL, dst="2001:db8::99"), OWN_LL, "ff02::1"),
    "neighbour advertisement, foreign target": _na(OTHER_IP6),
    "neighbour advertisement for the gateway": _na("fe80::1"),
    "neighbour advertisement for the bridge": _na(BRIDGE_LL, PRIVATE_LL),
    "dad, foreign target": _dad(OTHER_IP6),
    "dad for the gateway": _dad("fe80::1"),
}


def of_ip4(ip: str) -> dict[str, bytes]:
    """What the guest says as the owner of an address."""
    return {
        "arp request": _arp(ip=ip),
        "arp reply": _arp(ip=ip, op=2),
        "icmp": _ip4(ICMP() / _TEXT, ip),
        "tcp": _ip4(TCP(dport=80), ip),
    }


def of_ip6(ip: str) -> dict[str, bytes]:
    """The same of IPv6: what it sends, and how it claims the address."""
    return {
        "echo": _ip6(ICMPv6EchoRequest(), ip),
        "tcp": _ip6(TCP(dport=80), ip),
        "neighbour advertisement": _na(ip),
        "dad": _dad(ip),
    }


def offer(ip: str) -> bytes:
    """A DHCP offer from an address."""
    return _dhcp("offer", ip, 67, 68)
