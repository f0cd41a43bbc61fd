"""Announcements, read by scapy's dissectors."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6, in6_chksum
from scapy.layers.l2 import ARP, Ether
from scapy.packet import NoPayload, Packet

from kvm_ifup import announce

MAC, IP, IP6 = "02:00:00:00:00:aa", "10.0.0.5", "2001:db8::5054:ff:fe00:1"


def fields(packet: Packet, *names: str) -> tuple[object, ...]:
    return tuple(getattr(packet, name) for name in names)


def last(packet: Packet, kind: type[Packet]) -> bool:
    """Whether nothing comes behind this layer: no payload, no padding."""
    return isinstance(packet[kind].payload, NoPayload)


@pytest.mark.parametrize(("place", "operation", "target"), [(0, 1, "00:00:00:00:00:00"), (1, 2, MAC)])
def test_arp(place: int, operation: int, target: str) -> None:
    packet = Ether(announce.frames(MAC, IP, None)[place])
    assert fields(packet, "src", "dst", "type") == (MAC, "ff:ff:ff:ff:ff:ff", 0x0806)
    assert fields(packet[ARP], "hwtype", "ptype", "hwlen", "plen") == (1, 0x0800, 6, 4)
    assert fields(packet[ARP], "op", "hwsrc", "psrc", "hwdst", "pdst") == (operation, MAC, IP, target, IP)
    assert last(packet, ARP)


@pytest.mark.parametrize("router", [0, 1])
def test_advertisement(router: int) -> None:
    (frame,) = announce.frames(MAC, None, IP6, router)
    packet = Ether(frame)
    assert fields(packet, "src", "dst", "type") == (MAC, "33:33:00:00:00:01", 0x86DD)
    assert fields(packet[IPv6], "version", "tc", "fl", "plen", "nh") == (6, 0, 0, 32, 58)
    assert fields(packet[IPv6], "src", "dst", "hlim") == (IP6, "ff02::1", 255)
    assert fields(packet[ICMPv6ND_NA], "type", "code", "res", "tgt") == (136, 0, 0, IP6)
    assert fields(packet[ICMPv6ND_NA], "R", "S", "O") == (router, 0, 1)
    assert fields(packet[ICMPv6NDOptDstLLAddr], "type", "len", "lladdr") == (2, 1, MAC)
    assert last(packet, ICMPv6NDOptDstLLAddr)


def test_a_guest_is_no_router_unless_said() -> None:
    assert announce.frames(MAC, None, IP6) == announce.frames(MAC, None, IP6, 0)


@given(st.binary(min_size=6, max_size=6), st.integers(0, (1 << 128) - 1), st.integers(0, 1))
def test_the_checksum_holds(mac: bytes, address: int, router: int) -> None:
    (frame,) = announce.frames(mac.hex(":"), None, str(IPv6Address(address)), router)
    packet = Ether(frame)
    assert in6_chksum(58, packet[IPv6], frame[54:]) == 0
    assert in6_chksum(58, packet[IPv6], frame[54:-1] + bytes((frame[-1] ^ 1,))) != 0


@given(st.binary(min_size=6, max_size=6), st.integers(0, (1 << 32) - 1))
def test_scapy_builds_the_same_arp(mac: bytes, number: int) -> None:
    text, ip = mac.hex(":"), str(IPv4Address(number))
    common = {"hwsrc": text, "psrc": ip, "pdst": ip}
    ether = Ether(src=text, dst="ff:ff:ff:ff:ff:ff")
    request, reply = announce.frames(text, ip, None)
    assert request == bytes(ether / ARP(op=1, hwdst="00:00:00:00:00:00", **common))
    assert reply == bytes(ether / ARP(op=2, hwdst=text, **common))


@pytest.mark.parametrize(("ip", "eui64", "count"), [(IP, IP6, 3), (IP, None, 2), (None, IP6, 1), (None, None, 0)])
def test_a_family_that_the_guest_lacks_is_not_announced(ip: str | None, eui64: str | None, count: int) -> None:
    found = announce.frames(MAC, ip, eui64)
    assert len(found) == count
    assert set(found) <= set(announce.frames(MAC, IP, IP6))


@pytest.mark.parametrize(
    ("mac", "ip", "eui64"),
    [
        ("02:00:00:00:00", IP, None),
        # InfiniBand's, RFC 4391
        (":".join(["80"] * 20), IP, None),
        ("02:00:00:00:00:zz", IP, None),
        (MAC, "10.0.0.256", None),
        (MAC, IP6, None),
        (MAC, None, IP),
    ],
)
def test_no_address_is_a_value_error(mac: str, ip: str | None, eui64: str | None) -> None:
    with pytest.raises(ValueError, match=r"."):
        announce.frames(mac, ip, eui64)


def test_repetition_keeps_the_intervals_of_both_protocols() -> None:
    request, reply, advertisement = announce.frames(MAC, IP, IP6, 1)
    sent = [(0.0, (request, reply, advertisement)), *announce.later(MAC, IP, IP6, 1)]
    times = {frame: [delay for delay, frames in sent if frame in frames] for frame in sent[0][1]}
    assert times == {request: [0.0, 2.0], reply: [0.0, 2.0], advertisement: [0.0, 1.0, 2.0]}


@pytest.mark.parametrize(("ip", "eui64", "delays"), [(IP, None, [2.0]), (None, IP6, [1.0, 2.0]), (None, None, [])])
def test_nothing_is_repeated_that_was_not_sent(ip: str | None, eui64: str | None, delays: list[float]) -> None:
    again = announce.later(MAC, ip, eui64)
    assert [delay for delay, _ in again] == delays
    assert {frame for _, frames in again for frame in frames} == set(announce.frames(MAC, ip, eui64))
