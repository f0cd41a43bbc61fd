"""What the nfdhcpd that this one stands in for got wrong, one test each: none of it may come back."""

from __future__ import annotations

import select
from pathlib import Path
from socket import AF_INET6, inet_ntop, inet_pton
from typing import Any

import pytest
from scapy.layers.dhcp6 import (
    DUID_LL,
    DHCP6_InfoRequest,
    DHCP6_Reply,
    DHCP6_Solicit,
    DHCP6OptClientId,
    DHCP6OptElapsedTime,
    DHCP6OptIA_NA,
    DHCP6OptServerId,
)
from scapy.layers.inet import UDP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import Ether
from scapy.utils6 import in6_getnsma

from ganeti_ext import binding
from ganeti_ext.binding import BindingError
from nfdhcpd import discovery, settings
from nfdhcpd.answer import Silence
from nfdhcpd.bindings import Directory
from nfdhcpd.client import Client, Link
from nfdhcpd.frame import FrameError
from nfdhcpd.settings import Settings
from nfdhcpd.table import Table
from tests.unit.nfdhcpd.guest import BRIDGE, IP4, MAC, MAC_TEXT, TAP, ask, guest, guests, solicitation

DISCOVER, OFFER, REQUEST, _DECLINE, ACK, NAK = range(1, 7)
SOURCE = "fe80::1234:5678:9abc:def0"  # of no MAC: RFC 7217


def six(raw: bytes, served: Client | None = None) -> Any:
    """The answer to an IPv6 packet, read by scapy."""
    return Ether(discovery.answer(raw, MAC, served or guest()).frame)


def dhcp6(message: Any) -> bytes:
    return bytes(IPv6(src=SOURCE, dst="ff02::1:2") / UDP(sport=546, dport=547) / message)


def neighbour(target: str, *, src: str = SOURCE) -> bytes:
    everyone_like_it = inet_ntop(AF_INET6, in6_getnsma(inet_pton(AF_INET6, target)))
    message = IPv6(src=src, dst=everyone_like_it, hlim=255) / ICMPv6ND_NS(tgt=target)
    return bytes(message if src == "::" else message / ICMPv6NDOptSrcLLAddr(lladdr=MAC_TEXT))


def test_an_mtu_that_is_present_but_empty() -> None:
    found = binding.parse("tap0", f"MAC={MAC_TEXT}\nHOSTNAME=web\nIP={IP4}\nSUBNET=10.77.0.0/24\nMTU=\n")
    assert found.mtu is None
    assert ask(DISCOVER, guest(mtu=found.mtu)).bootp.yiaddr == IP4


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(neighbour("fd00:77::99", src="::"), id="a solicitation without link-layer address"),
        pytest.param(solicitation()[:45], id="half a router solicitation"),
        pytest.param(bytes(48), id="no IPv6"),
    ],
)
def test_what_cannot_be_answered_has_a_reason_to_be_dropped_for(raw: bytes) -> None:
    """A packet without verdict stays in the queue for ever; these two are what the daemon knows to drop."""
    with pytest.raises((Silence, FrameError)):
        discovery.answer(raw, MAC, guest(indev=TAP, gateway6="fd00:77::1"))


def test_malformed_dhcp_has_a_reason_too() -> None:
    with pytest.raises(FrameError):
        ask(None)


@pytest.mark.parametrize("src", ["::", SOURCE])
def test_a_router_solicitation_from_an_address_of_no_mac(src: str) -> None:
    assert ICMPv6ND_RA in six(solicitation(src))


def test_an_interface_without_mac_takes_no_other_guests_service() -> None:
    links = {"tap0": Link(7, b""), "br0": Link(2, b""), "tap1": Link(8, TAP.mac), "br1": BRIDGE}
    table = Table(Settings(), links.get)
    for tap, indev in (("tap0", "br0"), ("tap1", "br1")):
        list(table.put(tap, guest_binding(tap, indev)))
    assert [client.tap for client in table if client.advert is not None] == ["tap1"]


def guest_binding(tap: str, indev: str, **about: Any) -> binding.Binding:
    found = {"mac": MAC_TEXT, "hostname": "web", "indev": indev, "ip": IP4, "subnet": "10.77.0.0/24"}
    return binding.Binding(tap=tap, **{**found, "subnet6": "fd00:77::/64", "gateway6": "fe80::1", **about})


def test_no_answer_for_the_guests_own_address_nor_to_its_check_for_doubles() -> None:
    served = guest(indev=TAP, gateway6="fd00:77::1")
    own = "fd00:77::5054:ff:fe00:10"  # by EUI-64 of its MAC
    for raw in (neighbour(own, src="::"), neighbour(own), neighbour("fd00:77::99", src="::")):
        with pytest.raises(Silence):
            discovery.answer(raw, MAC, served)
    assert ICMPv6ND_NA in six(neighbour("fd00:77::1"), served)


def test_dhcpv6_is_more_than_information_requests() -> None:
    solicit = DHCP6_Solicit(trid=1) / DHCP6OptClientId(duid=DUID_LL(lladdr=MAC_TEXT)) / DHCP6OptElapsedTime()
    reply = six(dhcp6(solicit / DHCP6OptIA_NA(iaid=1)), guest(settings=guests(ipv6_mode="dhcpv6"), eui64="fd00:77::10"))
    assert reply[DHCP6OptIA_NA].ianaopts[0].addr == "fd00:77::10"


def test_an_information_request_without_client_identifier() -> None:
    assert DHCP6_Reply in six(dhcp6(DHCP6_InfoRequest(trid=1) / DHCP6OptElapsedTime()))


def test_the_server_identifier_is_the_same_in_each_reply() -> None:
    asks = [dhcp6(DHCP6_InfoRequest(trid=trid) / DHCP6OptElapsedTime()) for trid in (1, 2)]
    one, two = (bytes(six(raw)[DHCP6OptServerId].duid) for raw in asks)
    assert one == two


def test_a_binding_that_is_renamed_into_place_is_seen(tmp_path: Path) -> None:
    directory = Directory(str(tmp_path))
    try:
        binding.write(guest_binding("tap0", "br0"), str(tmp_path))
        assert select.select([directory], [], [], 10)[0]
        assert directory.changed() == {"tap0"}
        (tmp_path / "tap0").rename(tmp_path / ".gone")
        assert select.select([directory], [], [], 10)[0]
        assert directory.changed() == {"tap0"}
        assert directory.read("tap0") is None
    finally:
        directory.close()


def test_a_tap_made_anew_leaves_no_guest_at_its_old_index() -> None:
    links: dict[str, Link] = {"tap0": TAP, "br0": BRIDGE}
    table = Table(Settings(), links.get)
    list(table.put("tap0", guest_binding("tap0", "br0")))
    links["tap0"] = Link(70, TAP.mac)
    list(table.changed(["tap0"]))
    assert set(table.by_index) == {70}


def test_an_address_without_subnet_is_said_at_once() -> None:
    with pytest.raises(BindingError, match=r"IP 10\.77\.0\.10 without SUBNET"):
        guest(subnet=None)


def test_an_empty_indev_as_with_open_vswitch() -> None:
    found = binding.parse("tap0", f"MAC={MAC_TEXT}\nHOSTNAME=web\nINDEV=\nIP={IP4}\nSUBNET=10.77.0.0/24\n")
    assert found.indev is None
    assert ask(DISCOVER, guest(indev=None)).ether.src == TAP.mac.hex(":")


def test_a_renewal_of_another_address_is_refused() -> None:
    assert ask(REQUEST, ciaddr="10.77.0.99").kind == NAK


def test_a_request_to_another_server_is_not_answered() -> None:
    with pytest.raises(Silence, match="another server"):
        ask(REQUEST, options={50: bytes((10, 77, 0, 10)), 54: bytes((192, 0, 2, 1))})


def test_a_refusal_is_broadcast() -> None:
    nak = ask(REQUEST, options={50: bytes((10, 77, 0, 99))})
    assert (nak.kind, nak.ip.dst, nak.ether.dst) == (NAK, "255.255.255.255", "ff:ff:ff:ff:ff:ff")


def test_a_client_that_asks_for_a_broadcast_gets_one() -> None:
    assert ask(DISCOVER, flags=0x8000).ip.dst == "255.255.255.255"
    assert ask(DISCOVER).ip.dst == IP4


def test_a_relay_is_answered_itself() -> None:
    offer = ask(DISCOVER, giaddr="10.88.0.1", src="10.88.0.1")
    assert (offer.ip.dst, offer.udp.dport, offer.bootp.giaddr) == ("10.88.0.1", 67, "10.88.0.1")


def test_a_message_without_a_type() -> None:
    with pytest.raises(FrameError, match="message type missing"):
        ask(None)


def test_name_servers_are_one_option() -> None:
    offer = ask(DISCOVER, guest(settings=guests(nameservers=("9.9.9.9", "1.1.1.1", "8.8.8.8"))))
    assert offer["name_server"] == ["9.9.9.9", "1.1.1.1", "8.8.8.8"]


def test_queue_0_is_a_queue(tmp_path: Path) -> None:
    path = tmp_path / "nfdhcpd.conf"
    path.write_text("[dhcp]\nqueue = 0\n")
    assert settings.load(str(path)).dhcp.queue == 0


def test_no_thread_shares_the_table() -> None:
    sources = Path(settings.__file__).parent.glob("*.py")
    assert not [
        path.name for path in sources if "import threading" in path.read_text() or "Thread(" in path.read_text()
    ]


def test_private_is_no_router_in_advertisements_either() -> None:
    assert six(solicitation(), guest(private=True))[ICMPv6ND_RA].routerlifetime == 0
    assert six(solicitation(), guest())[ICMPv6ND_RA].routerlifetime > 0
    assert "router" not in ask(DISCOVER, guest(private=True)).names
