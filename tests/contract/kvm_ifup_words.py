"""Frames in the words of `ganeti-ext-net explain`, by what stands in them."""

from __future__ import annotations

from ipaddress import IPv6Address

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet

_OPERATIONS = {1: "request", 2: "reply", 3: "reverse-request", 4: "reverse-reply"}


def words(frame: bytes) -> list[str]:
    """All that explain's grammar can say of a frame that a guest sends."""
    ether = Ether(frame)
    found = [f"mac={ether.src}", f"to-mac={ether.dst}"]
    if Dot1Q in ether:
        tag = ether[Dot1Q]
        return [*found, f"vlan={tag.vlan}", *([f"ethertype={tag.type:#x}"] if Dot1Q in tag.payload else ["ip4"])]
    if frame[12:14] == b"\x80\x35":
        return [*found, "rarp", *_arp(ARP(frame[14:]))]
    if ARP in ether:
        return [*found, "arp", *_arp(ether[ARP]), f"src={ether[ARP].psrc}"]
    if IP in ether:
        return [*found, *_ip4(ether[IP])]
    if IPv6 in ether:
        return [*found, *_ip6(ether[IPv6])]
    return [*found, f"ethertype={int.from_bytes(frame[12:14], 'big'):#x}"]


def _arp(arp: Packet) -> list[str]:
    return [f"op={_OPERATIONS[arp.op]}", f"sender-mac={arp.hwsrc}"]


def _ip4(ip: Packet) -> list[str]:
    found = [f"src={ip.src}", f"dst={ip.dst}", f"proto={ip.proto}"]
    if ip.frag:
        return [*found, "later-fragment"]
    return [*found, *(["first-fragment"] if ip.flags.MF else []), *_upper(ip.proto, bytes(ip.payload))]


def _ip6(ip: Packet) -> list[str]:
    """As Linux' ipv6_skip_exthdr, over headers of options and one of a fragment."""
    found = [f"src={ip.src}", f"dst={ip.dst}"]
    kind, data = ip.nh, bytes(ip.payload)
    while kind in (0, 43, 44, 60):
        size = 8 if kind == 44 else 8 + 8 * data[1]
        if len(data) < size:
            return [*found, "headless"]
        if kind == 44:
            later = int.from_bytes(data[2:4], "big") & 0xFFF8
            found.append("later-fragment" if later else "first-fragment")
            if later:
                return [*found, f"proto={data[0]}"]
        kind, data = data[0], data[size:]
    return [*found, f"proto={kind}", *_upper(kind, data)]


def _upper(kind: int, data: bytes) -> list[str]:
    if kind in (6, 17, 132):
        return [f"sport={int.from_bytes(data[:2], 'big')}", f"dport={int.from_bytes(data[2:4], 'big')}"]
    if kind == 58 and data[0] in (135, 136):
        return [f"type={data[0]}", f"target={IPv6Address(data[8:24])}"]
    return [f"type={data[0]}"] if kind in (1, 58) else []
