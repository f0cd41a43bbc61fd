"""What guests send: their discovery in all its disguises, and what looks like it and is not.

Every frame carries the guest's MAC in its payload, too, where its kind allows for that.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from socket import AF_INET6, inet_ntop, inet_pton

from scapy.layers import inet
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import DUID_LL, DHCP6_Confirm, DHCP6_RelayForward, DHCP6_Solicit, DHCP6OptClientId
from scapy.layers.inet import TCP, UDP, IPOption_Router_Alert
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_RS,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw
from scapy.utils6 import in6_getnsma

from ganeti_ext.address import link_local

BROADCAST = "ff:ff:ff:ff:ff:ff"
ROUTER_MAC = "02:00:00:00:00:b0"  # of the bridges and of the routed taps: nfdhcpd_node.py
FAR, FAR6 = "198.51.100.1", "2001:db8:ffff::1"  # beyond the host
OFFER = 2
# Where a DHCP message in a frame has its fields (RFC 2131, 2).
_DHCP = 14 + 20 + 8
_XID, _YIADDR, _OPTIONS = _DHCP + 4, _DHCP + 16, _DHCP + 240


def packed(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def discover(mac: str, xid: int = 1, kind: str = "discover", **header: object) -> bytes:
    """A DHCP message to all, or to `dst`."""
    return bytes(_ether(mac, header.get("dst")) / _dhcp4(mac, xid, kind, **header))


def solicit(mac: str, xid: int = 1, dst: str = "ff02::1:2", *behind: Packet) -> bytes:
    """A DHCPv6 Solicit behind these extension headers."""
    message = DHCP6_Solicit(trid=xid) / DHCP6OptClientId(duid=DUID_LL(lladdr=mac))
    return _six(mac, dst, *behind, UDP(sport=546, dport=547) / message)


def router_solicitation(mac: str, *behind: Packet) -> bytes:
    return _six(mac, "ff02::2", *behind, ICMPv6ND_RS() / ICMPv6NDOptSrcLLAddr(lladdr=mac))


def neighbour_solicitation(mac: str, target: str) -> bytes:
    """To the solicited-node group of the target."""
    group = inet_ntop(AF_INET6, in6_getnsma(inet_pton(AF_INET6, target)))
    return _six(mac, group, ICMPv6ND_NS(tgt=target) / ICMPv6NDOptSrcLLAddr(lladdr=mac))


def neighbour_probe(mac: str, target: str) -> bytes:
    """Whether the target is still there: to itself."""
    return _six(mac, target, ICMPv6ND_NS(tgt=target) / ICMPv6NDOptSrcLLAddr(lladdr=mac))


def discovery4(mac: str) -> dict[str, bytes]:
    """What must never leave the host, of IPv4."""
    whole = bytes(_dhcp4(mac, 7, "discover"))
    return {
        "discover": discover(mac),
        "request": discover(mac, kind="request"),
        "inform": discover(mac, kind="inform", src="10.0.1.9"),
        "renewal at a far server": discover(mac, kind="request", src="10.0.1.9", dst=FAR),
        "discover with ip options": discover(mac, options=[IPOption_Router_Alert()]),
        "discover, first fragment": bytes(_ether(mac) / _fragment(whole[20:180], 0, more=True)),
    }


def discovery6(mac: str) -> dict[str, bytes]:
    """The same of IPv6."""
    udp = bytes(UDP(sport=546, dport=547) / DHCP6_Solicit() / DHCP6OptClientId(duid=DUID_LL(lladdr=mac)))
    return {
        "router solicitation": router_solicitation(mac),
        "router solicitation behind hop-by-hop options": router_solicitation(mac, IPv6ExtHdrHopByHop()),
        "router solicitation behind destination options": router_solicitation(mac, IPv6ExtHdrDestOpt()),
        "router solicitation in an atomic fragment": router_solicitation(mac, IPv6ExtHdrFragment()),
        "solicit": solicit(mac),
        "solicit to all servers": solicit(mac, 1, "ff05::1:3"),
        "solicit behind hop-by-hop options": solicit(mac, 1, "ff02::1:2", IPv6ExtHdrHopByHop()),
        "solicit behind two kinds of options": solicit(mac, 1, "ff02::1:2", IPv6ExtHdrHopByHop(), IPv6ExtHdrDestOpt()),
        "solicit in an atomic fragment": solicit(mac, 1, "ff02::1:2", IPv6ExtHdrFragment()),
        "solicit, first fragment": _six(mac, "ff02::1:2", IPv6ExtHdrFragment(nh=17, m=1) / Raw(udp[:16] + packed(mac))),
        "solicit to another host": solicit(mac, 1, FAR6),
        "confirm": _six(mac, "ff02::1:2", UDP(sport=546, dport=547) / DHCP6_Confirm() / Raw(packed(mac))),
    }


def relayed(mac: str) -> bytes:
    """What a guest says that relays for others behind it."""
    message = DHCP6_RelayForward(linkaddr="::", peeraddr="fe80::2") / DHCP6OptClientId(duid=DUID_LL(lladdr=mac))
    return _six(mac, FAR6, UDP(sport=547, dport=547) / message)


def others(mac: str) -> dict[str, bytes]:
    """What is none of the daemon's business."""
    mark = Raw(packed(mac))
    return {
        "dhcp offer": bytes(_ether(mac, FAR) / inet.IP(src="10.0.1.9", dst=FAR) / UDP(sport=67, dport=68) / mark),
        "tcp to 67": bytes(_ether(mac, FAR) / inet.IP(src="10.0.1.9", dst=FAR) / TCP(dport=67) / mark),
        "udp to 547 of ipv4": bytes(_ether(mac, FAR) / inet.IP(src="10.0.1.9", dst=FAR) / UDP(dport=547) / mark),
        "udp to 67 of ipv6": _six(mac, FAR6, UDP(dport=67) / mark),
        "dhcpv6 advertise": _six(mac, "ff02::1", UDP(sport=547, dport=546) / mark),
        "tcp to 547": _six(mac, FAR6, TCP(dport=547) / mark),
        "echo request": _six(mac, FAR6, ICMPv6EchoRequest(data=bytes(mark))),
        "router advertisement": _six(mac, "ff02::1", ICMPv6ND_RA() / ICMPv6NDOptSrcLLAddr(lladdr=mac)),
        "neighbour solicitation": neighbour_solicitation(mac, "2001:db8:1::99"),
        "last fragment": _six(mac, FAR6, IPv6ExtHdrFragment(nh=17, offset=4) / mark),
    }


def fragments(mac: str) -> list[bytes]:
    """A discover in two parts."""
    whole = bytes(_dhcp4(mac, 7, "discover"))[20:]
    parts = (_fragment(whole[:160], 0, more=True), _fragment(whole[160:], 160, more=False))
    return [bytes(_ether(mac) / part) for part in parts]


def fragments6(mac: str) -> list[bytes]:
    """A router solicitation whose first part hides of what kind it is."""
    message = ICMPv6ND_RS() / ICMPv6NDOptSrcLLAddr(lladdr=mac)
    whole = bytes(IPv6(bytes(IPv6(src=link_local(mac), dst="ff02::2", hlim=255) / IPv6ExtHdrDestOpt() / message)))[40:]
    first = IPv6ExtHdrFragment(nh=60, m=1, id=5) / Raw(whole[:8])
    second = IPv6ExtHdrFragment(nh=60, offset=1, id=5) / Raw(whole[8:])
    return [_six(mac, "ff02::2", first), _six(mac, "ff02::2", second)]


def with_xid(discover: bytes, xid: int) -> bytes:
    """The same message of another transaction; it has no UDP checksum."""
    return discover[:_XID] + xid.to_bytes(4, "big") + discover[_XID + 4 :]


def is_offer(frame: bytes, xid: int) -> bool:
    """Whether it is an offer to that request; without scapy, for whoever looks at many."""
    return frame[_XID : _XID + 4] == xid.to_bytes(4, "big") and frame[_OPTIONS : _OPTIONS + 3] == bytes((53, 1, OFFER))


def offered(frame: bytes) -> str:
    return str(IPv4Address(frame[_YIADDR : _YIADDR + 4]))


def _ether(mac: str, dst: object = None) -> Packet:
    return Ether(src=mac, dst=ROUTER_MAC if dst else BROADCAST)


def _dhcp4(mac: str, xid: int, kind: str, **header: object) -> Packet:
    header = {"src": "0.0.0.0", "dst": "255.255.255.255", **header}
    message = BOOTP(chaddr=packed(mac), xid=xid) / DHCP(options=[("message-type", kind), "end"])
    return inet.IP(**header) / UDP(sport=68, dport=67, chksum=0) / message


def _fragment(part: bytes, at: int, *, more: bool) -> Packet:
    flags = "MF" if more else 0
    return inet.IP(src="0.0.0.0", dst="255.255.255.255", id=9, flags=flags, frag=at // 8, proto=17) / Raw(part)


def _six(mac: str, dst: str, *layers: Packet) -> bytes:
    multicast = dst.startswith("ff")
    packet = Ether(src=mac, dst="33:33:00:00:00:01" if multicast else ROUTER_MAC)
    packet /= IPv6(src=link_local(mac) if multicast else "2001:db8:1::9", dst=dst, hlim=255)
    for layer in layers:
        packet /= layer
    return bytes(packet)
