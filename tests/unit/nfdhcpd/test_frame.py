from __future__ import annotations

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP, in4_chksum
from scapy.layers.inet6 import (
    ICMPv6Unknown,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.utils import checksum as scapy_checksum

from nfdhcpd import frame
from nfdhcpd.frame import Datagram, FrameError, Icmp6

ports = st.integers(0, 0xFFFF)
four = st.binary(min_size=4, max_size=4)
sixteen = st.binary(min_size=16, max_size=16)
datagrams = st.builds(Datagram, four, four, ports, ports, st.binary(max_size=700))
datagrams6 = st.builds(Datagram, sixteen, sixteen, ports, ports, st.binary(max_size=700))
octets = st.integers(0, 255)
messages = st.builds(Icmp6, sixteen, sixteen, octets, octets, octets, st.binary(max_size=200))


@given(st.binary(max_size=300))
def test_checksum_is_that_of_rfc_1071(data: bytes) -> None:
    mine, theirs = frame.checksum(data), scapy_checksum(data)
    # The two forms of zero in ones' complement are one value.
    assert mine % 0xFFFF == theirs % 0xFFFF
    assert mine != 0


@given(datagrams)
def test_datagram_round_trip(datagram: Datagram) -> None:
    assert frame.parse_datagram(frame.build_datagram(datagram)) == datagram


@given(datagrams6)
def test_datagram6_round_trip(datagram: Datagram) -> None:
    assert frame.parse_datagram6(frame.build_datagram6(datagram)) == datagram


@given(messages)
def test_icmp6_round_trip(message: Icmp6) -> None:
    assert frame.parse_icmp6(frame.build_icmp6(message)) == message


def test_datagram_is_as_scapy_builds_it() -> None:
    built = frame.build_datagram(Datagram(b"\x0a\0\0\1", b"\x0a\0\0\2", 67, 68, b"odd"))
    theirs = IP(src="10.0.0.1", dst="10.0.0.2", id=0, ttl=64) / UDP(sport=67, dport=68) / b"odd"
    assert built == bytes(theirs)
    assert in4_chksum(17, IP(built), built[20:]) == 0


def test_datagram6_is_as_scapy_builds_it() -> None:
    src, dst = IPv6Address("fe80::1"), IPv6Address("fe80::5054:ff:fe00:10")
    built = frame.build_datagram6(Datagram(src.packed, dst.packed, 547, 546, b"odd"))
    assert built == bytes(IPv6(src=str(src), dst=str(dst), hlim=64) / UDP(sport=547, dport=546) / b"odd")


def test_udp_checksum_over_ipv6_is_never_zero() -> None:
    # RFC 8200, 8.1: hosts drop a packet that says zero.
    built = frame.build_datagram6(Datagram(bytes(16), bytes(16), 0, 0, b"\xff\xda"))
    assert built[46:48] == b"\xff\xff"


def test_checksums_of_guests_are_not_verified() -> None:
    # A virtual card leaves them to the real one, which a packet within the host never meets.
    built = bytearray(frame.build_datagram6(Datagram(bytes(16), bytes(16), 546, 547, b"abc")))
    built[46:48] = b"\x12\x34"
    assert frame.parse_datagram6(bytes(built)).payload == b"abc"


def test_udp_checksum_is_never_zero() -> None:
    # RFC 768: zero says that there is none. This payload makes the sum 0xffff.
    built = frame.build_datagram(Datagram(bytes(4), bytes(4), 0, 0, b"\xff\xda"))
    assert built[26:28] == b"\xff\xff"


def test_padding_behind_a_datagram_is_cut() -> None:
    built = frame.build_datagram(Datagram(bytes(4), bytes(4), 68, 67, b"abc"))
    assert frame.parse_datagram(built + bytes(18)).payload == b"abc"


def test_padding_behind_a_datagram_over_ipv6_is_cut() -> None:
    built = frame.build_datagram6(Datagram(bytes(16), bytes(16), 546, 547, b"abc"))
    assert frame.parse_datagram6(built + bytes(18)).payload == b"abc"
    inner = IPv6(plen=14) / UDP(sport=546, dport=547, len=11) / b"abcdef"
    assert frame.parse_datagram6(bytes(inner)).payload == b"abc"


def test_ip_options_are_skipped() -> None:
    built = bytes(IP(options=b"\1\1\1\1") / UDP(sport=68, dport=67) / b"abc")
    assert frame.parse_datagram(built).payload == b"abc"


@pytest.mark.parametrize("size", range(31))
def test_truncated_datagram(size: int) -> None:
    built = frame.build_datagram(Datagram(bytes(4), bytes(4), 68, 67, b"abc"))
    with pytest.raises(FrameError):
        frame.parse_datagram(built[:size])


@pytest.mark.parametrize("size", range(51))
def test_truncated_datagram6(size: int) -> None:
    built = frame.build_datagram6(Datagram(bytes(16), bytes(16), 546, 547, b"abc"))
    with pytest.raises(FrameError):
        frame.parse_datagram6(built[:size])


@pytest.mark.parametrize("size", range(48))
def test_truncated_icmp6(size: int) -> None:
    built = frame.build_icmp6(Icmp6(bytes(16), bytes(16), 255, 133, 0, bytes(4)))
    with pytest.raises(FrameError):
        frame.parse_icmp6(built[:size])


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (IP(flags="MF") / UDP() / b"abc", "fragment"),
        (IP(frag=1) / UDP() / b"abc", "fragment"),
        (IP(proto=6) / UDP() / b"abc", "protocol 6"),
        (IP(version=6) / UDP() / b"abc", "IPv4 header"),
        (IP(ihl=4) / UDP() / b"abc", "IPv4 header"),
        (IP(ihl=15) / UDP() / b"abc", "IPv4 header"),
        (IP() / UDP(len=7) / b"abc", "UDP length 7"),
        (IP() / UDP(len=12) / b"abc", "UDP length 12"),
    ],
)
def test_datagram_that_contradicts_itself(packet: IP, why: str) -> None:
    with pytest.raises(FrameError, match=why):
        frame.parse_datagram(bytes(packet))


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (IPv6(nh=0) / ICMPv6Unknown(type=133), "next header 0"),
        (IPv6(version=4) / ICMPv6Unknown(type=133), "IPv6 header"),
        (IPv6() / ICMPv6Unknown(type=133, cksum=1), "checksum"),
        (IPv6(plen=3) / ICMPv6Unknown(type=133), "IPv6 header"),
    ],
)
def test_icmp6_that_contradicts_itself(packet: IPv6, why: str) -> None:
    with pytest.raises(FrameError, match=why):
        frame.parse_icmp6(bytes(packet))


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (IPv6() / IPv6ExtHdrFragment(m=1) / UDP() / b"abc", "next header 44"),
        (IPv6() / IPv6ExtHdrFragment() / UDP() / b"abc", "next header 44"),
        (IPv6() / IPv6ExtHdrHopByHop() / UDP() / b"abc", "next header 0"),
        (IPv6() / IPv6ExtHdrDestOpt() / UDP() / b"abc", "next header 60"),
        (IPv6(nh=6) / UDP() / b"abc", "next header 6"),
        (IPv6(version=4) / UDP() / b"abc", "IPv6 header"),
        (IPv6(plen=7) / UDP() / b"abc", "IPv6 header"),
        (IPv6(plen=12) / UDP() / b"abc", "IPv6 header"),
        (IPv6() / UDP(len=7) / b"abc", "UDP length 7"),
        (IPv6() / UDP(len=12) / b"abc", "UDP length 12"),
    ],
)
def test_datagram6_that_contradicts_itself(packet: IPv6, why: str) -> None:
    with pytest.raises(FrameError, match=why):
        frame.parse_datagram6(bytes(packet))


def test_mac() -> None:
    assert frame.mac_bytes("52:54:00:AB:cd:10") == b"\x52\x54\x00\xab\xcd\x10"


@pytest.mark.parametrize("text", ["", "52:54", "5254000000:10", "52:54:00:00:00:zz", "52:54:00:00:00:10:11"])
def test_bad_mac(text: str) -> None:
    with pytest.raises(ValueError, match=r"MAC|hexadecimal"):
        frame.mac_bytes(text)
