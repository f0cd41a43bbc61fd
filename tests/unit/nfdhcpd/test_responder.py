"""Every reply is read by scapy, which also checks the sums (see guest.Answer)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nfdhcpd import responder
from nfdhcpd.answer import Silence
from nfdhcpd.frame import FrameError
from nfdhcpd.settings import Dhcp, Settings
from tests.unit.nfdhcpd.guest import (
    BRIDGE_MAC,
    COMMON,
    IP4,
    MAC,
    MAC_TEXT,
    TAP,
    XID,
    ask,
    guest,
    guests,
    packet,
)

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
SERVER = bytes((10, 77, 0, 1))
OWN = bytes((10, 77, 0, 10))
OTHER = bytes((10, 77, 0, 11))
SELECTING = {50: OWN, 54: SERVER}


def test_discover_is_offered_the_address() -> None:
    offer = ask(DISCOVER)
    assert (offer.kind, offer.bootp.yiaddr, offer.bootp.op) == (OFFER, IP4, 2)
    assert offer.bootp.xid.to_bytes(4, "big") == XID
    assert offer.bootp.chaddr[:6] == MAC
    assert (offer.ip.src, offer.ip.dst, offer.udp.sport, offer.udp.dport) == ("10.77.0.1", IP4, 67, 68)
    assert (offer.ether.dst, offer.ether.src) == (MAC_TEXT, BRIDGE_MAC.hex(":"))


def test_all_options() -> None:
    offer = ask(DISCOVER, guest(mtu=1400))
    assert offer["server_id"] == "10.77.0.1"
    assert offer["subnet_mask"] == "255.255.255.0"
    assert offer["router"] == "10.77.0.1"
    assert offer["hostname"] == b"web"
    assert offer["domain"] == b"lab.example"
    assert offer["interface-mtu"] == 1400
    assert offer["broadcast_address"] == "10.77.0.255"
    assert offer["lease_time"] == 604800
    assert 119 in COMMON
    assert b"\x77\x14\3lab\7example\0\4corp\xc0\x04" in offer.frame


def test_times_grow() -> None:
    offer = ask(DISCOVER)
    assert offer["renewal_time"] < offer["rebinding_time"] < offer["lease_time"]


@pytest.mark.parametrize("lease", [60, 61, 63, 0xFFFFFFFE])
def test_times_grow_for_any_lease(lease: int) -> None:
    offer = ask(DISCOVER, guest(settings=guests(lease=lease)))
    assert 0 < offer["renewal_time"] < offer["rebinding_time"] < offer["lease_time"] == lease


def test_one_option_holds_all_nameservers() -> None:
    offer = ask(DISCOVER)
    assert offer.names.count("name_server") == 1
    assert offer["name_server"] == ["9.9.9.9", "1.1.1.1"]


def test_message_type_is_first_and_the_wanted_order_is_kept() -> None:
    offer = ask(DISCOVER, wanted=bytes((28, 15, 6, 3, 1, 12)))
    assert offer.names[0] == "message-type"
    told = [offer.names.index(name) for name in ("broadcast_address", "domain", "name_server", "router", "hostname")]
    assert all(one < next_one for one, next_one in pairwise(told))


def test_only_what_is_wanted_and_what_is_needed() -> None:
    offer = ask(DISCOVER, guest(mtu=1400), wanted=bytes((12,)))
    assert "hostname" in offer.names
    assert {"domain", "interface-mtu", "broadcast_address"}.isdisjoint(offer.names)
    assert {"subnet_mask", "router", "name_server", "lease_time"} <= set(offer.names)


def test_all_of_it_without_a_list() -> None:
    offer = ask(DISCOVER, guest(mtu=1400), wanted=None)
    assert {"hostname", "domain", "interface-mtu", "broadcast_address"} <= set(offer.names)


def test_padded_to_300_bytes() -> None:
    offer = ask(DISCOVER, guest(settings=Settings()), wanted=b"\1")
    assert offer.udp.len == 8 + 300


def test_client_id_is_echoed_in_every_kind_of_reply() -> None:
    identity = b"\xff\0\1\2\3\0\1\0\1" + bytes(9)
    for kind, options in ((DISCOVER, {}), (REQUEST, SELECTING), (REQUEST, {50: OTHER}), (INFORM, {})):
        assert ask(kind, options={**options, 61: identity})["client_id"] == identity


@pytest.mark.parametrize(
    ("options", "ciaddr"),
    [
        pytest.param(SELECTING, "0.0.0.0", id="selecting"),
        pytest.param({50: OWN}, "0.0.0.0", id="init-reboot"),
        pytest.param({}, IP4, id="renewing or rebinding"),
    ],
)
def test_request_for_the_own_address(options: dict[int, bytes], ciaddr: str) -> None:
    ack = ask(REQUEST, options=options, ciaddr=ciaddr)
    assert (ack.kind, ack.bootp.yiaddr, ack.bootp.ciaddr) == (ACK, IP4, ciaddr)
    assert (ack.ip.dst, ack["lease_time"]) == (IP4, 604800)


@pytest.mark.parametrize(
    ("options", "ciaddr"),
    [
        pytest.param({50: OTHER, 54: SERVER}, "0.0.0.0", id="selecting"),
        pytest.param({50: OTHER}, "0.0.0.0", id="init-reboot"),
        pytest.param({}, "192.168.1.5", id="renewing or rebinding"),
        pytest.param({50: OWN}, "192.168.1.5", id="both, one of them wrong"),
        pytest.param({50: OWN[:3]}, "0.0.0.0", id="cut short"),
    ],
)
def test_request_for_another_address(options: dict[int, bytes], ciaddr: str) -> None:
    nak = ask(REQUEST, options=options, ciaddr=ciaddr)
    assert nak.kind == NAK
    assert (nak.ether.dst, nak.ip.dst, nak.udp.dport) == ("ff:ff:ff:ff:ff:ff", "255.255.255.255", 68)
    assert (nak.bootp.yiaddr, nak.bootp.ciaddr) == ("0.0.0.0", "0.0.0.0")


def test_who_renews_another_address_is_refused_where_it_listens() -> None:
    nak = ask(REQUEST, ciaddr="10.77.0.11", src="10.77.0.11", dst="10.77.0.1")
    assert (nak.kind, nak.ether.dst, nak.ip.dst, nak.udp.dport) == (NAK, MAC_TEXT, "10.77.0.11", 68)
    assert (nak.bootp.yiaddr, nak.bootp.ciaddr) == ("0.0.0.0", "0.0.0.0")
    assert nak.names == ["message-type", "server_id", "error_message"]


def test_request_to_another_server() -> None:
    with pytest.raises(Silence, match="another server"):
        ask(REQUEST, options={50: OWN, 54: OTHER})


def test_request_for_nothing() -> None:
    with pytest.raises(Silence, match="without an address"):
        ask(REQUEST)


def test_inform_is_answered_without_a_lease() -> None:
    ack = ask(INFORM, ciaddr="10.77.0.200")
    assert (ack.kind, ack.bootp.yiaddr, ack.bootp.ciaddr) == (ACK, "0.0.0.0", "10.77.0.200")
    assert (ack.ip.dst, ack.ether.dst) == ("10.77.0.200", MAC_TEXT)
    assert {"lease_time", "renewal_time", "rebinding_time"}.isdisjoint(ack.names)
    assert {"subnet_mask", "name_server", "domain", "server_id"} <= set(ack.names)


def test_inform_without_ciaddr() -> None:
    assert ask(INFORM, src="10.77.0.200").ip.dst == "10.77.0.200"
    assert ask(INFORM).ip.dst == "255.255.255.255"


def test_an_inform_does_not_take_the_lease_from_a_request() -> None:
    served = guest()
    ask(INFORM, served, ciaddr=IP4)
    assert ask(REQUEST, served, ciaddr=IP4)["lease_time"] == 604800


@pytest.mark.parametrize(
    ("kind", "why"), [(RELEASE, "RELEASE"), (DECLINE, "DECLINE.*in use"), (OFFER, "OFFER"), (ACK, "ACK"), (NAK, "NAK")]
)
def test_kinds_without_an_answer(kind: int, why: str) -> None:
    with pytest.raises(Silence, match=why):
        ask(kind, options=SELECTING)


def test_broadcast_flag() -> None:
    offer = ask(DISCOVER, flags=0x8000)
    assert (offer.ether.dst, offer.ip.dst, int(offer.bootp.flags)) == ("ff:ff:ff:ff:ff:ff", "255.255.255.255", 0x8000)


def test_a_client_with_an_address_is_answered_there_whatever_its_flag() -> None:
    ack = ask(REQUEST, ciaddr=IP4, flags=0x8000)
    assert (ack.ether.dst, ack.ip.dst) == (MAC_TEXT, IP4)


def test_relay_gets_the_answer_at_the_port_of_servers() -> None:
    offer = ask(DISCOVER, giaddr="10.5.5.1")
    assert (offer.ip.dst, offer.udp.dport, offer.bootp.giaddr) == ("10.5.5.1", 67, "10.5.5.1")
    nak = ask(REQUEST, options={50: OTHER}, giaddr="10.5.5.1")
    assert (nak.kind, nak.ip.dst, int(nak.bootp.flags)) == (NAK, "10.5.5.1", 0x8000)


@pytest.mark.parametrize(
    "about", [{"chaddr": b"\x52\x54\0\0\0\x11"}, {"hardware": b"\x52\x54\0\0\0\x11"}, {"hardware": None}]
)
def test_spoofed(about: dict[str, Any]) -> None:
    with pytest.raises(Silence, match="spoofed"):
        ask(DISCOVER, **about)


def test_macspoof_lets_the_guest_use_any_mac() -> None:
    other = b"\x52\x54\0\0\0\x11"
    offer = ask(DISCOVER, guest(macspoof=True), chaddr=other, hardware=b"\x52\x54\0\0\0\x12")
    assert offer.ether.dst == other.hex(":")


def test_a_reply_is_not_answered() -> None:
    with pytest.raises(Silence, match="not a request"):
        ask(DISCOVER, op=2)


@pytest.mark.parametrize("kind", [None, 0, 9])
def test_no_message_type(kind: int | None) -> None:
    with pytest.raises(FrameError, match="message type"):
        ask(kind)


def test_private_network_has_no_router() -> None:
    offer = ask(DISCOVER, guest(private=True))
    assert {"router", 121}.isdisjoint(offer.names)
    assert offer["server_id"] == "10.77.0.1"


def test_empty_mtu_is_no_mtu() -> None:
    assert "interface-mtu" not in ask(DISCOVER, guest(mtu=None)).names


def test_off_link_gateway() -> None:
    offer = ask(DISCOVER, guest(ip="192.0.2.5", subnet="192.0.2.5/32", gateway="169.254.1.1"))
    assert (offer["subnet_mask"], offer["router"]) == ("255.255.255.255", "169.254.1.1")
    gateway = bytes((169, 254, 1, 1))
    # To the gateway by the wire itself, and all else by the gateway (RFC 3442).
    assert bytes((121, 14, 32)) + gateway + bytes(4) + b"\0" + gateway in offer.frame
    assert {"broadcast_address"}.isdisjoint(offer.names)


def test_on_link_gateway_needs_no_route() -> None:
    assert bytes((121, 14, 32)) not in ask(DISCOVER).frame


@pytest.mark.parametrize(
    ("about", "server"),
    [
        pytest.param({}, "10.77.0.1", id="the gateway"),
        pytest.param({"gateway": None}, "10.77.0.1", id="the first host"),
        pytest.param({"gateway": None, "ip": "10.77.0.1"}, "10.77.0.2", id="the first but the guest"),
        pytest.param({"gateway": IP4}, "10.77.0.1", id="the guest is the gateway"),
        pytest.param({"gateway": None, "subnet": "10.77.0.10/31"}, "10.77.0.11", id="the other of two"),
        pytest.param({"gateway": None, "subnet": "10.77.0.10/32"}, "192.0.0.8", id="nobody"),
    ],
)
def test_server_id(about: dict[str, Any], server: str) -> None:
    offer = ask(DISCOVER, guest(**about))
    assert (offer["server_id"], offer.ip.src) == (server, server)


def test_server_id_of_the_configuration() -> None:
    served = guest(settings=Settings(dhcp=Dhcp(server_ip="10.0.0.53")))
    assert ask(DISCOVER, served)["server_id"] == "10.0.0.53"
    assert ask(REQUEST, served, options={50: OWN, 54: bytes((10, 0, 0, 53))}).kind == ACK


def test_a_guest_that_is_the_gateway_gets_no_router() -> None:
    assert "router" not in ask(DISCOVER, guest(gateway=IP4)).names


def test_no_address_no_answer() -> None:
    with pytest.raises(Silence, match="no IPv4"):
        ask(DISCOVER, guest(ip=None, subnet=None))


def test_domain_of_the_host_name_where_none_is_configured() -> None:
    assert ask(DISCOVER, guest(settings=Settings(), hostname="web.example.org"))["domain"] == b"example.org"
    assert "domain" not in ask(DISCOVER, guest(settings=Settings(), hostname="web")).names


def test_source_is_the_tap_where_no_indev_is_named() -> None:
    assert ask(DISCOVER, guest(indev=None)).ether.src == TAP.mac.hex(":")


@pytest.mark.parametrize("size", range(len(packet(DISCOVER))))
def test_truncated_query(size: int) -> None:
    with pytest.raises((Silence, FrameError)):
        responder.answer(packet(DISCOVER)[:size], MAC, guest())


@given(st.data())
def test_mutated_query(data: st.DataObject) -> None:
    raw = bytearray(packet(REQUEST, options=SELECTING))
    for _ in range(data.draw(st.integers(1, 12))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        frame = responder.answer(bytes(raw), MAC, guest())
    except (Silence, FrameError):
        return
    assert len(frame) <= 1514


WRONG = ("172.16.0.9", bytes((172, 16, 0, 9)))


@pytest.mark.parametrize("flags", [0, 0x8000])
@pytest.mark.parametrize(
    ("options", "ciaddr"),
    [
        pytest.param({50: WRONG[1], 54: SERVER}, "0.0.0.0", id="selecting"),
        pytest.param({50: WRONG[1]}, "0.0.0.0", id="init-reboot"),
        pytest.param({}, WRONG[0], id="renewing or rebinding"),
    ],
)
def test_a_refusal_by_a_relay_is_broadcast_there(options: dict[int, bytes], ciaddr: str, flags: int) -> None:
    nak = ask(REQUEST, options=options, ciaddr=ciaddr, flags=flags, giaddr="10.88.0.1", src="10.88.0.1")
    assert (nak.kind, nak.ip.dst, nak.udp.dport) == (NAK, "10.88.0.1", 67)
    assert (int(nak.bootp.flags), nak.bootp.giaddr) == (0x8000, "10.88.0.1")


@pytest.mark.parametrize(("ciaddr", "answered"), [(IP4, ACK), ("10.77.0.11", NAK)])
def test_selecting_with_ciaddr(ciaddr: str, answered: int) -> None:
    """It must be unset (RFC 2131, 4.3.2); a client that names its own address does no harm."""
    assert ask(REQUEST, options=SELECTING, ciaddr=ciaddr).kind == answered


def test_a_requested_address_of_zeros_is_none() -> None:
    with pytest.raises(Silence, match="without an address"):
        ask(REQUEST, options={50: bytes(4)})
    assert ask(REQUEST, options={50: bytes(4)}, ciaddr=IP4).kind == ACK


def test_rapid_commit() -> None:
    ack = ask(DISCOVER, options={80: b""})
    assert (ack.kind, ack.bootp.yiaddr, ack.bootp.ciaddr, ack["lease_time"]) == (ACK, IP4, "0.0.0.0", 604800)
    assert ack.names[:3] == ["message-type", "rapid_commit", "server_id"]
    assert "rapid_commit" not in ask(DISCOVER).names
    assert "rapid_commit" not in ask(REQUEST, options={**SELECTING, 80: b""}).names


def test_inform_by_a_relay() -> None:
    ack = ask(INFORM, ciaddr="10.77.0.200", giaddr="10.77.0.254", src="10.77.0.254")
    assert (ack.ip.dst, ack.udp.dport, ack.bootp.ciaddr) == ("10.77.0.254", 67, "10.77.0.200")
