from __future__ import annotations

import pytest
from scapy.layers.dhcp6 import DUID_LL, DHCP6_InfoRequest, DHCP6OptClientId
from scapy.layers.inet import UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NS, IPv6, IPv6ExtHdrHopByHop

from nfdhcpd import discovery
from nfdhcpd.answer import Pass, Silence
from nfdhcpd.frame import FrameError
from tests.unit.nfdhcpd.guest import MAC, MAC_TEXT, guest, solicitation

NEIGHBOUR = IPv6(src="fe80::1234", dst="ff02::1:ff00:1", hlim=255) / ICMPv6ND_NS(tgt="fe80::1")
INFORMATION = (
    IPv6(src="fe80::1234", dst="ff02::1:2")
    / UDP(sport=546, dport=547)
    / DHCP6_InfoRequest()
    / DHCP6OptClientId(duid=DUID_LL(lladdr=MAC_TEXT))
)


@pytest.mark.parametrize(
    ("packet", "asked"), [(solicitation(), "RS"), (bytes(INFORMATION), "INFORMATION-REQUEST6")], ids=["RS", "DHCPv6"]
)
def test_each_protocol_answers_its_own(packet: bytes, asked: str) -> None:
    assert discovery.answer(packet, MAC, guest()).asked == asked


def test_a_neighbour_on_a_bridge_answers_itself() -> None:
    with pytest.raises(Pass):
        discovery.answer(bytes(NEIGHBOUR), MAC, guest())


def test_other_types_get_no_answer() -> None:
    with pytest.raises(Silence, match="type 128"):
        discovery.answer(bytes(IPv6(src="fe80::1", dst="ff02::1") / ICMPv6EchoRequest()), MAC, guest())


@pytest.mark.parametrize("size", [0, 6, 7, 40])
def test_cut_short(size: int) -> None:
    with pytest.raises(FrameError):
        discovery.answer(solicitation()[:size], MAC, guest())


def test_an_extension_header_hides_nothing() -> None:
    hidden = IPv6(src="fe80::1", dst="ff02::1:2") / IPv6ExtHdrHopByHop() / INFORMATION[UDP]
    with pytest.raises(FrameError, match="next header 0"):
        discovery.answer(bytes(hidden), MAC, guest())
