"""What a guest is told, read by scapy; which solicitations are answered."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet6 import (
    ICMPv6ND_RA,
    ICMPv6NDOptDNSSL,
    ICMPv6NDOptMTU,
    ICMPv6NDOptPREF64,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptRDNSS,
    ICMPv6NDOptRouteInfo,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)

from ganeti_ext.binding import BindingError
from nfdhcpd import frame, ra
from nfdhcpd.advert import ALL_NODES
from nfdhcpd.answer import Silence
from nfdhcpd.client import Link
from nfdhcpd.frame import FrameError
from nfdhcpd.ndp import UNSPECIFIED
from nfdhcpd.ra import Advert
from nfdhcpd.settings import Ipv6, Settings
from nfdhcpd.terms import Guests
from tests.unit.nfdhcpd.guest import BRIDGE, BRIDGE_MAC, MAC, MAC_TEXT, TAP, guest, guests, solicitation
from tests.unit.nfdhcpd.nd import options, packed, read

OWN_GATEWAY = IPv6Address("fd00:77::1").packed
HOLDER = Link(2, BRIDGE_MAC, frozenset((OWN_GATEWAY,)))
LOW, RESERVED = 3, 2


def advert(**about: Any) -> Advert:
    found = guest(**about).advert
    assert found is not None
    return found


def told(**about: Any) -> Any:
    return read(advert(**about).frame)


def test_to_all_nodes_from_the_bridge_with_its_address() -> None:
    ether = told(gateway6="fd00:77::1", indev=HOLDER)
    assert (ether.dst, ether.src) == ("33:33:00:00:00:01", BRIDGE_MAC.hex(":"))
    assert (ether[IPv6].dst, ether[IPv6].src, ether[IPv6].hlim) == ("ff02::1", "fe80::ff:fe00:1", 255)
    assert ether[ICMPv6NDOptSrcLLAddr].lladdr == BRIDGE_MAC.hex(":")


def test_what_is_left_unsaid() -> None:
    message = told()[ICMPv6ND_RA]
    assert (message.code, message.H, message.P, message.res) == (0, 0, 0, 0)
    assert (message.chlim, message.reachabletime, message.retranstimer) == (0, 0, 0)


@pytest.mark.parametrize(
    ("mode", "subnet6", "flags"),
    [
        ("auto", "fd00:77::/64", (0, 1, 1)),
        ("slaac", "fd00:77::/64", (0, 0, 1)),
        ("slaac+dhcpv6", "fd00:77::/64", (0, 1, 1)),
        ("dhcpv6", "fd00:77::/64", (1, 1, 0)),
        ("auto", "fd00:77::/80", (1, 1, 0)),
        ("slaac", "fd00:77::/80", (0, 0, 0)),
        ("slaac", "fd00:77::/63", (0, 0, 0)),
    ],
)
def test_flags_say_how_to_come_to_an_address(mode: str, subnet6: str, flags: tuple[int, int, int]) -> None:
    ether = told(subnet6=subnet6, settings=guests(ipv6_mode=mode))
    message, prefix = ether[ICMPv6ND_RA], ether[ICMPv6NDOptPrefixInfo]
    assert [*flags, 1] == [message.M, message.O, prefix.A, prefix.L]


@pytest.mark.parametrize("network", [{"gateway6": "fe80::1", "private": True}, {"gateway6": "fe80::1"}])
@pytest.mark.parametrize(("word", "bits"), [("low", LOW), ("medium", 0), ("high", 1)])
def test_preference_is_medium_unless_there_is_a_router(network: dict[str, Any], word: str, bits: int) -> None:
    message = told(settings=guests(router_preference=word), **network)[ICMPv6ND_RA]
    assert message.prf == (bits if message.routerlifetime else 0)
    assert (message.routerlifetime == 0) is network.get("private", False)


def test_no_preference_is_the_reserved_one() -> None:
    with pytest.raises(BindingError, match="ROUTER_PREFERENCE"):
        advert(terms=(("router_preference", "reserved"),))


def test_prefix_is_the_network_and_not_the_gateway() -> None:
    prefix = told(subnet6="fd00:77::5/64", gateway6="fd00:77::1", indev=HOLDER)[ICMPv6NDOptPrefixInfo]
    assert (prefix.prefix, prefix.prefixlen, prefix.L, prefix.A, prefix.R) == ("fd00:77::", 64, 1, 1, 0)


@pytest.mark.parametrize(("period", "preferred"), [(600, 1800), (4, 1800), (1800, 5400)])
def test_a_prefix_is_preferred_as_long_as_the_router_lives_and_valid_for_a_day(period: int, preferred: int) -> None:
    ether = told(settings=Settings(ipv6=Ipv6(ra_period=period)))
    prefix = ether[ICMPv6NDOptPrefixInfo]
    assert ether[ICMPv6ND_RA].routerlifetime == prefix.preferredlifetime == preferred
    assert prefix.validlifetime == 48 * preferred


@pytest.mark.parametrize(
    ("about", "on_link"),
    [
        pytest.param({"indev": BRIDGE}, 1, id="bridge"),
        pytest.param({"indev": TAP}, 0, id="routed: all by the router"),
        pytest.param({"indev": None}, 0, id="routed for want of an INDEV"),
        pytest.param({"indev": TAP, "gateway6": "fd00:77::1"}, 0, id="routed, global gateway"),
        pytest.param({"indev": TAP, "private": True}, 1, id="routed without a router: only neighbours"),
        pytest.param({"indev": TAP, "gateway6": None}, 1, id="routed without a gateway"),
    ],
)
def test_on_link_only_where_neighbours_can_be_asked_for(about: dict[str, Any], on_link: int) -> None:
    prefix = told(**about)[ICMPv6NDOptPrefixInfo]
    assert on_link == prefix.L


@pytest.mark.parametrize("gateway6", [None, "fe80::1"])
def test_the_link_local_network_is_never_a_prefix(gateway6: str | None) -> None:
    ether = told(subnet6="fe80::/64", gateway6=gateway6)
    assert not ether.haslayer(ICMPv6NDOptPrefixInfo)
    assert bool(ether[ICMPv6ND_RA].routerlifetime) is bool(gateway6)
    assert not ether[ICMPv6ND_RA].M


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ({"subnet6": "ff00::/8"}, "SUBNET6 ff00::/8 is multicast"),
        ({"gateway6": "ff02::1"}, "GATEWAY6 ff02::1"),
        ({"gateway6": "::"}, "GATEWAY6 ::"),
    ],
)
def test_addresses_that_no_router_or_network_has(about: dict[str, Any], why: str) -> None:
    with pytest.raises(BindingError, match=why):
        advert(**about)


def test_pref64() -> None:
    option = told(settings=guests(pref64="64:ff9b::/96"))[ICMPv6NDOptPREF64]
    assert (option.prefix, option.plc, option.scaledlifetime) == ("64:ff9b::", 0, 1800 // 8)


ROUTES = ("fd00:1::/48@fe80::1", "::/0@fe80::1", "fd00:2::7/128@fe80::1", "fd00:3::/65@fe80::2", "10.0.0.0/8@10.77.0.9")


def test_routes_by_the_sender_alone() -> None:
    ether = told(settings=guests(routes=ROUTES, router_preference="low"))
    found = [option for option in options(ether) if isinstance(option, ICMPv6NDOptRouteInfo)]
    assert [(option.prefix, option.plen, option.len) for option in found] == [
        ("fd00:1::", 48, 2),
        ("::", 0, 1),
        ("fd00:2::7", 128, 3),
    ]
    assert {(option.prf, option.rtlifetime) for option in found} == {(LOW, 1800)}


@pytest.mark.parametrize(
    ("gateway", "about", "is_ours"),
    [
        ("fe80::1", {"gateway6": "fe80::1"}, True),
        ("fe80::1", {"gateway6": "fe80::2"}, False),
        ("fe80::ff:fe00:1", {"gateway6": "fe80::1"}, False),
        ("fe80::ff:fe00:1", {"gateway6": "fd00:77::1"}, True),
        ("fd00:77::1", {"gateway6": "fd00:77::1"}, False),
        ("fd00:77::1", {"gateway6": "fd00:77::1", "indev": HOLDER}, True),
        ("fd00:77::1", {"gateway6": None, "indev": HOLDER}, True),
        ("fd00:77::1", {"gateway6": "fd00:77::1", "indev": TAP}, True),
        ("fd00:77::2", {"gateway6": "fd00:77::1", "indev": TAP}, False),
        ("fd00:77::1", {"gateway6": "fd00:77::1", "indev": TAP, "private": True}, True),
    ],
)
def test_whose_routes(gateway: str, about: dict[str, Any], *, is_ours: bool) -> None:
    ether = told(settings=guests(routes=(f"fd00:1::/48@{gateway}",)), **about)
    assert ether.haslayer(ICMPv6NDOptRouteInfo) == is_ours


def test_no_option_says_a_thing_twice() -> None:
    twice = Settings(
        guests=Guests({"": {"nameservers": ("::1", "::1"), "search": ("a", "a"), "routes": ROUTES[:1] * 2}})
    )
    ether = told(settings=twice)
    assert ether[ICMPv6NDOptRDNSS].dns == ["::1"]
    assert ether[ICMPv6NDOptDNSSL].searchlist == ["a."]
    assert len([option for option in options(ether) if isinstance(option, ICMPv6NDOptRouteInfo)]) == 1


def test_nameservers_and_domains() -> None:
    ether = told()
    assert ether[ICMPv6NDOptRDNSS].dns == ["2620:fe::fe", "2620:fe::9"]
    assert ether[ICMPv6NDOptDNSSL].searchlist == ["lab.example.", "corp.example."]
    assert ether[ICMPv6NDOptRDNSS].lifetime == ether[ICMPv6NDOptDNSSL].lifetime == 1800


def test_nothing_is_told_of_what_is_not_configured() -> None:
    ether = told(settings=Settings())
    assert not any(
        ether.haslayer(kind) for kind in (ICMPv6NDOptRDNSS, ICMPv6NDOptDNSSL, ICMPv6NDOptMTU, ICMPv6NDOptPREF64)
    )


@pytest.mark.parametrize(("mtu", "expected"), [(1280, 1280), (9000, 9000)])
def test_mtu(mtu: int, expected: int) -> None:
    assert told(mtu=mtu)[ICMPv6NDOptMTU].mtu == expected


@pytest.mark.parametrize("mtu", [None, 1279])
def test_no_mtu_or_one_that_ipv6_cannot_have(mtu: int | None) -> None:
    assert not told(mtu=mtu).haslayer(ICMPv6NDOptMTU)


@pytest.mark.parametrize(("mtu", "limit"), [(576, 1280), (1280, 1280), (1400, 1400), (None, 1500), (9000, 1500)])
def test_an_advertisement_fits_the_link(mtu: int | None, limit: int) -> None:
    servers = tuple(str(IPv6Address(number)) for number in range(1, 200))
    size = len(advert(mtu=mtu, settings=guests(nameservers=servers)).frame) - 14
    assert limit - 16 < size <= limit


def test_link_local_gateway_speaks_for_itself() -> None:
    ether = told(gateway6="fe80::1")
    assert (ether[IPv6].src, ether[ICMPv6ND_RA].routerlifetime) == ("fe80::1", 1800)
    assert not ether.haslayer(ICMPv6NDOptSrcLLAddr)


@pytest.mark.parametrize(("indev", "mac"), [(TAP, TAP.mac), (Link(2, BRIDGE_MAC, packed("fe80::1")), BRIDGE_MAC)])
def test_a_link_local_gateway_that_is_us_says_its_mac(indev: Link, mac: bytes) -> None:
    ether = told(gateway6="fe80::1", indev=indev)
    assert (ether[IPv6].src, ether[ICMPv6NDOptSrcLLAddr].lladdr) == ("fe80::1", mac.hex(":"))


def test_a_guest_that_is_the_router_of_its_network_is_told_none() -> None:
    ether = told(gateway6="fd00:77::9", eui64="fd00:77:0::9", indev=TAP)
    assert ether[ICMPv6ND_RA].routerlifetime == 0


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
    assert told(**about)[ICMPv6ND_RA].routerlifetime == lifetime


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


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(solicitation("::"), id="unspecified"),
        pytest.param(solicitation("fe80::5054:ff:fe00:10"), id="EUI-64"),
        pytest.param(solicitation("fe80::dead:beef:1:2"), id="privacy"),
        pytest.param(solicitation("fe80::dead:beef:1:2", slla=MAC_TEXT), id="privacy with a MAC"),
    ],
)
def test_whoever_asks_is_answered_with_the_advertisement(packet: bytes) -> None:
    served = guest()
    found = ra.answer(packet, MAC, served)
    assert served.advert is not None
    assert found == ("RS", "RA", served.advert.frame)


@pytest.mark.parametrize("hardware", [None, b"\x52\x54\0\0\0\x11"])
def test_a_foreign_mac_is_spoofed_unless_it_may(hardware: bytes | None) -> None:
    with pytest.raises(Silence, match="spoofed") as caught:
        ra.answer(solicitation("fe80::2"), hardware, guest())
    assert (caught.value.reason, caught.value.asked) == ("spoofed", "RS")
    assert ra.answer(solicitation("fe80::2"), hardware, guest(macspoof=True)).told == "RA"


def test_a_guest_without_ipv6_is_told_nothing() -> None:
    with pytest.raises(Silence, match="no IPv6") as caught:
        ra.answer(solicitation(), MAC, guest(subnet6=None, gateway6=None))
    assert caught.value.reason == "nothing"


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (solicitation("fe80::1", hops=254), "hop limit 254"),
        (solicitation("fe80::1", code=1), "code 1"),
        (solicitation("fd00::1"), "from fd00::1"),
        (solicitation("ff02::1"), "from ff02::1"),
        (solicitation("::", slla=MAC_TEXT), "link-layer"),
    ],
)
def test_solicitation_that_must_be_ignored(packet: bytes, why: str) -> None:
    with pytest.raises(FrameError, match=why):
        ra.check_solicit(packet)


@pytest.mark.parametrize("options", [b"\1\0" + bytes(6), b"\1\2" + bytes(6), b"\1"])
def test_options_of_a_solicitation(options: bytes) -> None:
    packet = frame.build_icmp6(frame.Icmp6(IPv6Address("fe80::1").packed, ALL_NODES, 255, 133, 0, bytes(4) + options))
    with pytest.raises(FrameError, match="cut short"):
        ra.check_solicit(packet)


@pytest.mark.parametrize("body", range(4))
def test_body_of_a_solicitation(body: int) -> None:
    packet = frame.build_icmp6(frame.Icmp6(UNSPECIFIED, ALL_NODES, 255, 133, 0, bytes(body)))
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


def test_source_without_an_indev_is_the_tap() -> None:
    assert told(indev=None, gateway6="fd00:77::1").src == TAP.mac.hex(":")
    assert told(indev=Link(3, b""), gateway6="fd00:77::1").src == TAP.mac.hex(":")
    assert told(indev=BRIDGE, gateway6="fd00:77::1").src == BRIDGE_MAC.hex(":")
