"""Every advertisement is read by scapy."""

from __future__ import annotations

import random
from ipaddress import IPv6Address
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet6 import (
    ICMPv6ND_RA,
    ICMPv6NDOptDNSSL,
    ICMPv6NDOptMTU,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptRDNSS,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import Ether

from nfdhcpd import frame, ra
from nfdhcpd.client import Link
from nfdhcpd.frame import FrameError
from nfdhcpd.ra import Advert, Schedule
from nfdhcpd.settings import Ipv6, Settings
from tests.unit.nfdhcpd.guest import BRIDGE, BRIDGE_MAC, MAC_TEXT, TAP, guest, solicitation

OWN_GATEWAY = IPv6Address("fd00:77::1").packed
HOLDER = Link(2, BRIDGE_MAC, frozenset((OWN_GATEWAY,)))


def advert(**about: Any) -> Advert:
    found = guest(**about).advert
    assert found is not None
    return found


def read(frame: bytes) -> Any:
    """A frame as scapy reads it, whose checksum is as scapy computes it."""
    ether = Ether(frame)
    again = ether.copy()
    del again[ICMPv6ND_RA].cksum, again[IPv6].plen
    assert bytes(again) == frame
    return ether


def told(**about: Any) -> Any:
    return read(advert(**about).frame)


def test_to_all_nodes_from_the_bridge_with_its_address() -> None:
    ether = told(gateway6="fd00:77::1", indev=HOLDER)
    assert (ether.dst, ether.src) == ("33:33:00:00:00:01", BRIDGE_MAC.hex(":"))
    assert (ether[IPv6].dst, ether[IPv6].src, ether[IPv6].hlim) == ("ff02::1", "fe80::ff:fe00:1", 255)
    assert ether[ICMPv6NDOptSrcLLAddr].lladdr == BRIDGE_MAC.hex(":")


def test_flags() -> None:
    message = told()[ICMPv6ND_RA]
    assert (message.code, message.M, message.O, message.H) == (0, 0, 0, 0)
    assert message.prf == 0  # medium (RFC 4191, 2.1), where scapy's own default is high
    assert (message.reachabletime, message.retranstimer) == (0, 0)


def test_prefix_is_the_network_and_not_the_gateway() -> None:
    prefix = told(subnet6="fd00:77::5/64", gateway6="fd00:77::1", indev=HOLDER)[ICMPv6NDOptPrefixInfo]
    assert (prefix.prefix, prefix.prefixlen, prefix.L, prefix.A, prefix.R) == ("fd00:77::", 64, 1, 1, 0)
    assert prefix.preferredlifetime < prefix.validlifetime


def test_a_prefix_that_is_no_64_makes_no_addresses() -> None:
    prefix = told(subnet6="fd00:77::/80")[ICMPv6NDOptPrefixInfo]
    assert (prefix.prefixlen, prefix.L, prefix.A) == (80, 1, 0)


def test_nameservers_and_domains() -> None:
    ether = told()
    assert ether[ICMPv6NDOptRDNSS].dns == ["2620:fe::fe", "2620:fe::9"]
    assert ether[ICMPv6NDOptDNSSL].searchlist == ["lab.example.", "corp.example."]
    assert ether[ICMPv6NDOptRDNSS].lifetime == ether[ICMPv6NDOptDNSSL].lifetime == 1800


def test_nothing_is_told_of_what_is_not_configured() -> None:
    ether = told(settings=Settings())
    assert not any(ether.haslayer(kind) for kind in (ICMPv6NDOptRDNSS, ICMPv6NDOptDNSSL, ICMPv6NDOptMTU))


@pytest.mark.parametrize(("mtu", "expected"), [(1280, 1280), (9000, 9000)])
def test_mtu(mtu: int, expected: int) -> None:
    assert told(mtu=mtu)[ICMPv6NDOptMTU].mtu == expected


@pytest.mark.parametrize("mtu", [None, 1279])
def test_no_mtu_or_one_that_ipv6_cannot_have(mtu: int | None) -> None:
    assert not told(mtu=mtu).haslayer(ICMPv6NDOptMTU)


def test_link_local_gateway_speaks_for_itself() -> None:
    ether = told(gateway6="fe80::1")
    assert (ether[IPv6].src, ether[ICMPv6ND_RA].routerlifetime) == ("fe80::1", 1800)
    assert not ether.haslayer(ICMPv6NDOptSrcLLAddr)


@pytest.mark.parametrize(
    ("about", "lifetime"),
    [
        pytest.param({"gateway6": "fe80::1"}, 1800, id="link-local"),
        pytest.param({"gateway6": "fd00:77::1"}, 0, id="someone else's, who advertises himself"),
        pytest.param({"gateway6": "fd00:77::1", "indev": HOLDER}, 1800, id="this host's"),
        pytest.param({"gateway6": "fd00:77::1", "indev": TAP}, 1800, id="routed"),
        pytest.param({"gateway6": "fd00:77::1", "indev": None}, 1800, id="no indev"),
        pytest.param({"gateway6": None}, 0, id="none"),
        pytest.param({"gateway6": "fe80::1", "private": True}, 0, id="private"),
        pytest.param({"gateway6": "fd00:77::1", "indev": TAP, "private": True}, 0, id="routed, private"),
    ],
)
def test_router_lifetime(about: dict[str, Any], lifetime: int) -> None:
    found = advert(**about)
    assert read(found.frame)[ICMPv6ND_RA].routerlifetime == lifetime
    assert (found.withdrawal is None) is (lifetime == 0)


def test_withdrawal_is_by_the_same_router() -> None:
    found = advert()
    assert found.withdrawal is not None
    one, two = read(found.frame), read(found.withdrawal)
    assert two[ICMPv6ND_RA].routerlifetime == 0
    assert one[IPv6].src == two[IPv6].src
    assert not two.haslayer(ICMPv6NDOptPrefixInfo)


def test_router_outlives_three_periods() -> None:
    assert told(settings=Settings(ipv6=Ipv6(ra_period=1800)))[ICMPv6ND_RA].routerlifetime == 5400


def test_source_is_an_address_that_the_interface_answers_for() -> None:
    stable_privacy = IPv6Address("fe80::abcd").packed
    held = Link(2, BRIDGE_MAC, frozenset((OWN_GATEWAY, stable_privacy)))
    assert told(gateway6="fd00:77::1", indev=held)[IPv6].src == "fe80::abcd"
    both = Link(2, BRIDGE_MAC, held.addresses | {IPv6Address("fe80::ff:fe00:1").packed})
    assert told(gateway6="fd00:77::1", indev=both)[IPv6].src == "fe80::ff:fe00:1"


def test_a_binding_without_ipv6_gets_none() -> None:
    assert guest(subnet6=None, gateway6=None).advert is None
    assert guest(settings=Settings(ipv6=Ipv6(enable=False))).advert is None


def test_a_router_without_a_prefix() -> None:
    ether = told(subnet6=None, gateway6="fe80::1")
    assert ether[ICMPv6ND_RA].routerlifetime == 1800
    assert not ether.haslayer(ICMPv6NDOptPrefixInfo)


@pytest.mark.parametrize("src", ["::", "fe80::5054:ff:fe00:10", "fe80::dead:beef:1:2"])
def test_solicitation_from_nowhere_and_any_link_local(src: str) -> None:
    ra.check_solicit(solicitation(src))


def test_solicitation_with_a_link_layer_address() -> None:
    ra.check_solicit(solicitation("fe80::1234", slla=MAC_TEXT))


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (solicitation("fe80::1", hops=254), "hop limit 254"),
        (solicitation("fe80::1", code=1), "code 1"),
        (solicitation("fd00::1"), "from fd00::1"),
        (solicitation("::", slla=MAC_TEXT), "link-layer"),
    ],
)
def test_solicitation_that_must_be_ignored(packet: bytes, why: str) -> None:
    with pytest.raises(FrameError, match=why):
        ra.check_solicit(packet)


@pytest.mark.parametrize("options", [b"\1\0" + bytes(6), b"\1\2" + bytes(6), b"\1"])
def test_options_of_a_solicitation(options: bytes) -> None:
    packet = frame.build_icmp6(
        frame.Icmp6(IPv6Address("fe80::1").packed, ra.ALL_NODES, 255, 133, 0, bytes(4) + options)
    )
    with pytest.raises(FrameError, match="cut short"):
        ra.check_solicit(packet)


@pytest.mark.parametrize("body", range(4))
def test_body_of_a_solicitation(body: int) -> None:
    packet = frame.build_icmp6(frame.Icmp6(ra.UNSPECIFIED, ra.ALL_NODES, 255, 133, 0, bytes(body)))
    with pytest.raises(FrameError, match="cut short"):
        ra.check_solicit(packet)


def test_an_advertisement_is_no_solicitation() -> None:
    with pytest.raises(FrameError, match="type 134"):
        ra.check_solicit(advert().frame[14:])


@pytest.mark.parametrize("size", range(len(solicitation("fe80::1", slla=MAC_TEXT))))
def test_truncated_solicitation(size: int) -> None:
    with pytest.raises(FrameError):
        ra.check_solicit(solicitation("fe80::1", slla=MAC_TEXT)[:size])


@given(st.integers(0, 55), st.integers(1, 255))
def test_any_changed_byte_is_noticed_or_harmless(at: int, change: int) -> None:
    raw = bytearray(solicitation("fe80::1", slla=MAC_TEXT))
    raw[at] ^= change
    # Version, addresses, length, next header, type, code and body are under the checksum or compared.
    unchecked = {0, 1, 2, 3}  # traffic class and flow label
    if at in unchecked and raw[0] >> 4 == 6:
        ra.check_solicit(bytes(raw))
    else:
        with pytest.raises(FrameError):
            ra.check_solicit(bytes(raw))


def simulate(schedule: Schedule, until: float, step: float = 0.5) -> list[tuple[float, int]]:
    sent, now = [], 0.0
    while now < until:
        sent += [(now, ifindex) for ifindex in schedule.due(now)]
        now += step
    return sent


def test_first_comes_soon_then_one_in_each_period() -> None:
    schedule = Schedule(600, random.Random(1).random)
    schedule.start(7, 0.0)
    times = [when for when, _ in simulate(schedule, 7200)]
    gaps = [after - before for before, after in pairwise(times)]
    assert times[0] <= 2.5
    assert all(gap <= 16.5 for gap in gaps[:2])
    assert all(450 <= gap <= 600.5 for gap in gaps[2:])
    assert len(times) > 12


def test_taps_are_spread_over_the_period() -> None:
    schedule = Schedule(600, random.Random(1).random)
    for ifindex in range(1000):
        schedule.start(ifindex, 0.0)
    seconds = [int(when) for when, _ in simulate(schedule, 4000) if when > 2500]
    assert max(seconds.count(second) for second in set(seconds)) < 25


def test_stopped_and_begun_again() -> None:
    schedule = Schedule(600, lambda: 1.0)
    schedule.start(7, 0.0)
    schedule.start(8, 0.0)
    schedule.stop(7)
    assert list(schedule.due(2.0)) == [8]
    schedule.start(7, 2.0)
    schedule.start(7, 2.0)
    assert list(schedule.due(4.0)) == [7]
    assert list(schedule.due(4.0)) == []


def test_source_without_an_indev_is_the_tap() -> None:
    assert told(indev=None, gateway6="fd00:77::1").src == TAP.mac.hex(":")
    assert told(indev=Link(3, b""), gateway6="fd00:77::1").src == TAP.mac.hex(":")
    assert told(indev=BRIDGE, gateway6="fd00:77::1").src == BRIDGE_MAC.hex(":")
