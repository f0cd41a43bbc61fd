from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP, in4_chksum
from scapy.layers.inet6 import ICMPv6Unknown, IPv6
from scapy.utils import checksum as scapy_checksum

from nfdhcpd import frame
from nfdhcpd.frame import Datagram, FrameError, Icmp6

ports = st.integers(0, 0xFFFF)
four = st.binary(min_size=4, max_size=4)
sixteen = st.binary(min_size=16, max_size=16)
datagrams = st.builds(Datagram, four, four, ports, ports, st.binary(max_size=700))
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


@given(messages)
def test_icmp6_round_trip(message: Icmp6) -> None:
    assert frame.parse_icmp6(frame.build_icmp6(message)) == message


def test_datagram_is_as_scapy_builds_it() -> None:
    built = frame.build_datagram(Datagram(b"\x0a\0\0\1", b"\x0a\0\0\2", 67, 68, b"odd"))
    theirs = IP(src="10.0.0.1", dst="10.0.0.2", id=0, ttl=64) / UDP(sport=67, dport=68) / b"odd"
    assert built == bytes(theirs)
    assert in4_chksum(17, IP(built), built[20:]) == 0


def test_udp_checksum_is_never_zero() -> None:
    # RFC 768: zero says that there is none. This payload makes the sum 0xffff.
    built = frame.build_datagram(Datagram(bytes(4), bytes(4), 0, 0, b"\xff\xda"))
    assert built[26:28] == b"\xff\xff"


def test_padding_behind_a_datagram_is_cut() -> None:
    built = frame.build_datagram(Datagram(bytes(4), bytes(4), 68, 67, b"abc"))
    assert frame.parse_datagram(built + bytes(18)).payload == b"abc"


def test_ip_options_are_skipped() -> None:
    built = bytes(IP(options=b"\1\1\1\1") / UDP(sport=68, dport=67) / b"abc")
    assert frame.parse_datagram(built).payload == b"abc"


@pytest.mark.parametrize("size", range(31))
def test_truncated_datagram(size: int) -> None:
    built = frame.build_datagram(Datagram(bytes(4), bytes(4), 68, 67, b"abc"))
    with pytest.raises(FrameError):
        frame.parse_datagram(built[:size])


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


def test_mac() -> None:
    assert frame.mac_bytes("52:54:00:AB:cd:10") == b"\x52\x54\x00\xab\xcd\x10"


@pytest.mark.parametrize("text", ["", "52:54", "5254000000:10", "52:54:00:00:00:zz", "52:54:00:00:00:10:11"])
def test_bad_mac(text: str) -> None:
    with pytest.raises(ValueError, match=r"MAC|hexadecimal"):
        frame.mac_bytes(text)
