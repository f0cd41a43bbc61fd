"""Who answers for which address behind a routed tap; every answer is read by scapy."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.utils6 import in6_getnsma

from ganeti_ext.binding import BindingError
from nfdhcpd import discovery, frame, neighbour
from nfdhcpd.answer import Pass, Silence
from nfdhcpd.client import Client, Link
from nfdhcpd.frame import FrameError
from nfdhcpd.settings import Ipv6, Settings
from tests.unit.nfdhcpd.guest import BRIDGE, MAC, MAC_TEXT, TAP, guest, guests
from tests.unit.nfdhcpd.nd import options, packed, read

GATEWAY = "fe80::1"
OTHER = "fd00:77::99"
OWN = "fd00:77::5054:ff:fe00:10"
ASKER = "fe80::5054:ff:fe00:10"
TAP_LOCAL = "fe80::fc54:ff:fe00:10"
OTHER_MAC = b"\x52\x54\0\0\0\x11"
HELD = TAP._replace(addresses=packed(TAP_LOCAL))


def routed(tap: Link = HELD, **about: Any) -> Client:
    return guest(**{"tap": tap, "indev": tap, "eui64": OWN, **about})


def solicit(
    target: str = GATEWAY,
    *,
    src: str = ASKER,
    dst: str | None = None,
    hops: int = 255,
    code: int = 0,
    slla: str | None = MAC_TEXT,
) -> bytes:
    """The IPv6 packet of a neighbour solicitation, written by scapy."""
    group = str(IPv6Address(in6_getnsma(IPv6Address(target).packed)))
    message = IPv6(src=src, dst=dst or group, hlim=hops) / ICMPv6ND_NS(tgt=target, code=code)
    return bytes(message / ICMPv6NDOptSrcLLAddr(lladdr=slla) if slla else message)


def ask(target: str = GATEWAY, served: Client | None = None, hardware: bytes | None = MAC, **about: Any) -> Any:
    """What the guest is answered; Pass, Silence and FrameError pass through."""
    return read(neighbour.answer(solicit(target, **about), hardware, served or routed()).frame)


def silence(target: str = GATEWAY, served: Client | None = None, hardware: bytes | None = MAC, **about: Any) -> Silence:
    with pytest.raises(Silence) as caught:
        ask(target, served, hardware, **about)
    assert caught.value.asked == "NS"
    return caught.value


@pytest.mark.parametrize("src", [ASKER, OWN, "fe80::dead:beef:1:2", "fd00:77::abcd"])
def test_a_gateway_that_the_interface_lacks(src: str) -> None:
    ether = ask(src=src)
    assert (ether.dst, ether.src) == (MAC_TEXT, TAP.mac.hex(":"))
    assert (ether[IPv6].src, ether[IPv6].dst, ether[IPv6].hlim) == (TAP_LOCAL, src, 255)
    message = ether[ICMPv6ND_NA]
    assert (message.code, message.tgt) == (0, GATEWAY)
    assert [message.R, message.S, message.O, message.res] == [1, 1, 1, 0]
    (option,) = options(ether)
    assert isinstance(option, ICMPv6NDOptDstLLAddr)
    assert option.lladdr == TAP.mac.hex(":")


def test_what_is_told_in_words() -> None:
    found = neighbour.answer(solicit(OTHER), MAC, routed())
    assert (found.asked, found.told) == ("NS", f"NA {OTHER}")


def test_a_global_gateway_that_the_interface_lacks() -> None:
    message = ask("fd01::1", routed(gateway6="fd01::1"))[ICMPv6ND_NA]
    assert [message.R, message.S, message.O] == [1, 1, 1]


def test_a_neighbour_of_the_network_is_behind_us() -> None:
    ether = ask(OTHER)
    message = ether[ICMPv6ND_NA]
    assert (message.tgt, ether[ICMPv6NDOptDstLLAddr].lladdr) == (OTHER, TAP.mac.hex(":"))
    assert [message.R, message.S, message.O] == [1, 1, 0]


def test_an_advertised_source_that_the_interface_lacks() -> None:
    assert ask(TAP_LOCAL, routed(TAP, gateway6="fd00:77::1"))[ICMPv6ND_NA].tgt == TAP_LOCAL


def test_without_a_mac_in_the_option_the_frame_tells_it() -> None:
    assert ask(slla=None).dst == MAC_TEXT


def test_a_probe_to_the_address_itself() -> None:
    assert ask(dst=GATEWAY)[ICMPv6ND_NA].tgt == GATEWAY


@pytest.mark.parametrize("src", [ASKER, "::"])
@pytest.mark.parametrize("target", [TAP_LOCAL, GATEWAY, "fd00:77::1"])
def test_the_kernel_answers_for_what_the_interface_has(target: str, src: str) -> None:
    holder = TAP._replace(addresses=packed(TAP_LOCAL, GATEWAY, "fd00:77::1"))
    with pytest.raises(Pass):
        ask(target, routed(holder), src=src, slla=None)


@pytest.mark.parametrize("target", ["fe80::2", "fd00:78::1", "2001:db8::1"])
def test_what_is_nobodys_here_is_the_kernels_business(target: str) -> None:
    with pytest.raises(Pass):
        ask(target)


@pytest.mark.parametrize("target", [GATEWAY, OTHER, "fd00:77::abcd"])
def test_duplicate_address_detection_is_never_answered(target: str) -> None:
    found = silence(target, src="::", slla=None)
    assert (found.reason, str(found)) == ("ignored", f"duplicate address detection for {target}")


@pytest.mark.parametrize(
    ("target", "about"),
    [
        pytest.param(OWN, {}, id="the binding's"),
        pytest.param("fd00:77::42", {"eui64": "fd00:77::42"}, id="the binding's, not by EUI-64"),
        pytest.param(OWN, {"eui64": None}, id="by EUI-64, as guests form it"),
        pytest.param(OWN, {"gateway6": OWN}, id="the gateway itself"),
        pytest.param(ASKER, {}, id="link-local"),
        pytest.param("fd00:77::f:1", {"terms": (("prefix6", "fd00:77::f:0/112"),)}, id="in its own prefix"),
    ],
)
def test_never_for_an_address_of_the_guest(target: str, about: dict[str, Any]) -> None:
    found = silence(target, routed(**about), src="fe80::77")
    assert (found.reason, str(found)) == ("ignored", f"{target} is the guest's own")


def test_never_for_the_address_that_asks() -> None:
    assert str(silence("fd00:77::abcd", src="fd00:77::abcd")) == "fd00:77::abcd is the guest's own"


def test_a_guest_that_may_be_a_bridge_is_told_of_the_gateway_alone() -> None:
    served = routed(macspoof=True)
    assert ask(served=served, hardware=OTHER_MAC, slla=OTHER_MAC.hex(":")).dst == OTHER_MAC.hex(":")
    assert ask(served=served, hardware=None).dst == MAC_TEXT
    with pytest.raises(Pass):
        ask(OTHER, served)


@pytest.mark.parametrize(
    ("hardware", "slla"),
    [(OTHER_MAC, None), (OTHER_MAC, MAC_TEXT), (MAC, OTHER_MAC.hex(":")), (None, MAC_TEXT)],
)
@pytest.mark.parametrize("target", [GATEWAY, TAP_LOCAL])
def test_a_foreign_mac_is_spoofed(hardware: bytes | None, slla: str | None, target: str) -> None:
    assert silence(target, hardware=hardware, slla=slla).reason == "spoofed"


@pytest.mark.parametrize("served", [guest(), guest(indev=BRIDGE._replace(addresses=packed(GATEWAY)))])
def test_on_a_bridge_the_others_answer_themselves(served: Client) -> None:
    assert served.neighbours is None
    with pytest.raises(Pass):
        ask(served=served)


@pytest.mark.parametrize(
    "about", [{"subnet6": None, "gateway6": None, "eui64": None}, {"settings": Settings(ipv6=Ipv6(enable=False))}]
)
def test_without_ipv6_nothing_is_ours(about: dict[str, Any]) -> None:
    assert routed(**about).neighbours is None


def test_a_network_without_a_gateway_has_neighbours_and_one_without_a_prefix_has_none() -> None:
    assert ask(OTHER, routed(gateway6=None))[ICMPv6ND_NA].O == 0
    assert ask(GATEWAY, routed(subnet6=None, eui64=None))[ICMPv6ND_NA].O == 1
    for served in (routed(subnet6=None, eui64=None), routed(subnet6="fe80::/64", eui64=None)):
        with pytest.raises(Pass):
            ask("fe80::99", served)


@pytest.mark.parametrize(("subnet6", "inside"), [("fd00:77::/120", False), ("fd00:77::/56", True)])
def test_networks_of_other_sizes(subnet6: str, *, inside: bool) -> None:
    served = routed(subnet6=subnet6, eui64=None)
    assert ask(OTHER, served)[ICMPv6ND_NA].tgt == OTHER
    if inside:
        ask("fd00:77:0:1::5", served)
    else:
        with pytest.raises(Pass):
            ask("fd00:77::1:5", served)


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ({"hops": 254}, "hop limit 254"),
        ({"code": 1}, "code 1"),
        ({"src": "ff02::1"}, "from ff02::1"),
        ({"target": "ff02::1"}, "for ff02::1"),
        ({"src": "::"}, "link-layer"),
        ({"src": "::", "slla": None, "dst": GATEWAY}, "from :: to fe80::1"),
        ({"src": "::", "slla": None, "dst": "ff02::1"}, "from :: to ff02::1"),
    ],
)
def test_solicitation_that_must_be_ignored(about: dict[str, Any], why: str) -> None:
    with pytest.raises(FrameError, match=why):
        ask(**about)


@pytest.mark.parametrize("rest", [b"\1\0" + bytes(6), b"\1\2" + bytes(6), b"\1"])
def test_options_of_a_solicitation(rest: bytes) -> None:
    body = bytes(4) + IPv6Address(GATEWAY).packed + rest
    group = in6_getnsma(IPv6Address(GATEWAY).packed)
    packet = frame.build_icmp6(frame.Icmp6(IPv6Address(ASKER).packed, group, 255, 135, 0, body))
    with pytest.raises(FrameError, match="cut short"):
        neighbour.answer(packet, MAC, routed())


def test_an_unknown_option_is_no_matter() -> None:
    body = bytes(4) + IPv6Address(GATEWAY).packed + b"\x0e\1nonce!" + b"\1\1" + MAC
    group = in6_getnsma(IPv6Address(GATEWAY).packed)
    packet = frame.build_icmp6(frame.Icmp6(IPv6Address(ASKER).packed, group, 255, 135, 0, body))
    assert read(neighbour.answer(packet, MAC, routed()).frame)[ICMPv6ND_NA].tgt == GATEWAY


@pytest.mark.parametrize("size", range(len(solicit())))
def test_truncated_solicitation(size: int) -> None:
    with pytest.raises(FrameError):
        neighbour.answer(solicit()[:size], MAC, routed())


SERVED = routed()


@given(st.integers(0, len(solicit()) - 1), st.integers(1, 255))
def test_any_changed_byte_is_noticed_or_harmless(at: int, change: int) -> None:
    raw = bytearray(solicit())
    raw[at] ^= change
    # Traffic class and flow label are neither under the checksum nor compared.
    if at in {0, 1, 2, 3} and raw[0] >> 4 == 6:
        assert neighbour.answer(bytes(raw), MAC, SERVED).asked == "NS"
    else:
        with pytest.raises(FrameError):
            neighbour.answer(bytes(raw), MAC, SERVED)


@given(st.binary(max_size=80), st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_any_body_with_a_right_checksum_ends_well(body: bytes, src: bytes, dst: bytes) -> None:
    packet = frame.build_icmp6(frame.Icmp6(src, dst, 255, 135, 0, body))
    try:
        found = neighbour.answer(packet, MAC, SERVED)
    except (FrameError, Silence, Pass):
        return
    assert read(found.frame)[IPv6].dst == str(IPv6Address(src))


@given(st.integers(0, (1 << 64) - 1))
def test_an_answer_is_no_larger_than_what_asked_and_for_the_network_alone(host: int) -> None:
    target = str(IPv6Address((0xFD000077 << 96) + host))
    if host == int(IPv6Address(OWN)) & ((1 << 64) - 1):
        return
    packet = solicit(target)
    found = neighbour.answer(packet, MAC, routed())
    assert len(found.frame) - 14 == len(packet)


@pytest.mark.parametrize("about", [{"eui64": "fd00::x"}, {"mac": "52:54"}])
def test_a_bad_binding_says_so(about: dict[str, Any]) -> None:
    with pytest.raises(BindingError, match="binding of tap0"):
        routed(**about)


def test_discovery_brings_solicitations_here() -> None:
    assert discovery.answer(solicit(), MAC, routed()) == neighbour.answer(solicit(), MAC, routed())
    with pytest.raises(Pass):
        discovery.answer(solicit(TAP_LOCAL), MAC, routed())


def test_terms_of_all_guests_can_delegate() -> None:
    served = routed(settings=guests(prefix6="fd00:77:0:0:f::/80"))
    assert silence("fd00:77::f:0:0:1", served).reason == "ignored"
