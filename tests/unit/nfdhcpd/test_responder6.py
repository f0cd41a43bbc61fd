"""Every reply is read by scapy, which also checks the sums (see guest6.Answer6)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers import dhcp6 as scapy6

from nfdhcpd import responder6
from nfdhcpd.answer import Pass, Silence
from nfdhcpd.frame import FrameError
from tests.unit.nfdhcpd.guest import BRIDGE_MAC, MAC, MAC_TEXT, SERVERS, guests
from tests.unit.nfdhcpd.guest6 import (
    ADDRESS,
    ADVERTISE,
    CLIENT_DUID,
    CONFIRM,
    DECLINE,
    FOREIGN,
    GRANTED,
    GUEST6,
    IA_NA,
    IA_PD,
    IA_TA,
    INFORMATION,
    NAMED,
    OTHER,
    PREFIX,
    RAPID,
    REBIND,
    RECONFIGURE,
    RELEASE,
    RENEW,
    REPLY,
    REQUEST,
    SERVER_DUID,
    SOLICIT,
    SOURCE6,
    TIMES,
    ask6,
    guest6,
    ia,
    message,
    option,
    packet6,
    told,
    wanted,
)

ASKING = (SOLICIT, REQUEST, CONFIRM, RENEW, REBIND, RELEASE, DECLINE, INFORMATION)
OTHER_MAC = b"\x52\x54\0\0\0\x11"
EVERYTHING = wanted(23, 24, 31, 32, 39, 56, 59, 82, 83)


def own(kind: int) -> bytes:
    """The IA that a message of this kind has."""
    return b"" if kind == INFORMATION else ia(IA_NA, 1, *([] if kind == SOLICIT else [ADDRESS]))


def test_solicit_is_advertised_the_address() -> None:
    advert = ask6(SOLICIT, ia(IA_NA, 0xABCD))
    assert (advert.kind, advert.told) == (ADVERTISE, f"ADVERTISE6 {ADDRESS}")
    assert advert.ias == [(IA_NA, 0xABCD, *TIMES, [GRANTED], None)]
    assert (advert[1], advert[2], advert[7]) == (CLIENT_DUID, SERVER_DUID, b"\xff")
    assert 14 not in advert.codes


def test_the_answer_goes_where_the_packet_came_from() -> None:
    advert = ask6(SOLICIT, own(SOLICIT), src="fe80::abcd")
    assert (advert.ip.src, advert.ip.dst, advert.udp.sport, advert.udp.dport) == (SOURCE6, "fe80::abcd", 547, 546)
    assert (advert.ether.dst, advert.ether.src) == (MAC_TEXT, BRIDGE_MAC.hex(":"))


def test_rapid_commit() -> None:
    reply = ask6(SOLICIT, ia(IA_NA, 1), RAPID)
    assert (reply.kind, reply[14], reply.ias) == (REPLY, b"", [(IA_NA, 1, *TIMES, [GRANTED], None)])
    assert 7 not in reply.codes  # the preference is for an Advertise alone


def test_rapid_commit_of_nothing_is_no_commit() -> None:
    advert = ask6(SOLICIT, ia(IA_NA, 1), RAPID, served=told(ipv6_mode="slaac+dhcpv6"))
    assert (advert.kind, advert.ias) == (ADVERTISE, [(IA_NA, 1, 0, 0, [], 2)])


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        pytest.param([ADDRESS], 0, id="the guest's"),
        pytest.param([FOREIGN], 4, id="of another link"),
        pytest.param([ADDRESS, FOREIGN], 4, id="one of two"),
        pytest.param([OTHER], 4, id="of the link, but not the guest's"),
    ],
)
def test_confirm(named: list[str], expected: int) -> None:
    reply = ask6(CONFIRM, ia(IA_NA, 1, *named), EVERYTHING)
    assert (reply.kind, reply.status, reply.codes) == (REPLY, expected, [2, 1, 13])


@pytest.mark.parametrize(("named", "expected"), [(ADDRESS, 0), (OTHER, 0), (FOREIGN, 4)])
def test_confirm_where_no_address_is_given(named: str, expected: int) -> None:
    assert ask6(CONFIRM, ia(IA_NA, 1, named), served=told(ipv6_mode="slaac+dhcpv6")).status == expected


@pytest.mark.parametrize(
    ("about", "ias"),
    [
        pytest.param({}, [], id="no IA"),
        pytest.param({}, [ia(IA_NA, 1)], id="no address"),
        pytest.param({}, [ia(IA_PD, 1, PREFIX)], id="a prefix"),
        pytest.param({"subnet6": None, "eui64": None}, [ia(IA_NA, 1, ADDRESS)], id="no network"),
    ],
)
def test_confirm_of_what_cannot_be_told(about: dict[str, Any], ias: list[bytes]) -> None:
    with pytest.raises(Silence, match="cannot be told") as why:
        ask6(CONFIRM, *ias, served=guest6(**about))
    assert why.value.reason == "nothing"


@pytest.mark.parametrize("kind", [RELEASE, DECLINE])
def test_what_a_guest_tells_is_confirmed(kind: int) -> None:
    served = guest6(guests(prefix6=PREFIX))
    reply = ask6(kind, ia(IA_NA, 1, ADDRESS), ia(IA_PD, 1, PREFIX), EVERYTHING, served=served)
    assert (reply.kind, reply.status, reply.codes) == (REPLY, 0, [2, 1, 13])


def test_a_decline_is_told_in_plain_words() -> None:
    assert "in use by another host" in ask6(DECLINE, ia(IA_NA, 1, ADDRESS)).told
    assert "stays" in ask6(RELEASE, ia(IA_NA, 1, ADDRESS)).told


def test_information_request() -> None:
    reply = ask6(INFORMATION, wanted(23, 24, 32, 83))
    assert (reply.kind, reply.codes, reply.told) == (REPLY, [2, 1, 23, 24, 32, 83], "REPLY6")
    assert reply[32] == (86400).to_bytes(4, "big")


def test_information_request_by_nobody_in_particular() -> None:
    assert ask6(INFORMATION, wanted(23), client=None).codes == [2, 23]


def test_information_request_that_names_us() -> None:
    assert ask6(INFORMATION, wanted(23), server=SERVER_DUID)[2] == SERVER_DUID


def test_information_request_with_an_ia() -> None:
    with pytest.raises(Silence, match="with an IA"):
        ask6(INFORMATION, ia(IA_NA, 1))


def test_the_refresh_time_is_for_an_information_request_alone() -> None:
    assert 32 not in ask6(SOLICIT, own(SOLICIT), EVERYTHING).codes


@pytest.mark.parametrize("kind", [kind for kind in ASKING if kind != INFORMATION])
def test_a_client_must_name_itself(kind: int) -> None:
    with pytest.raises(Silence, match="identifier of its client") as why:
        ask6(kind, own(kind), client=None)
    assert why.value.reason == "malformed"


@pytest.mark.parametrize("kind", ASKING)
@pytest.mark.parametrize("size", [0, 2, 131])
def test_identifiers_have_3_to_130_bytes(kind: int, size: int) -> None:
    with pytest.raises(Silence, match=f"identifier of {size} bytes"):
        ask6(kind, own(kind), client=bytes(size))


@pytest.mark.parametrize("size", [3, 130])
def test_identifiers_are_echoed(size: int) -> None:
    assert ask6(SOLICIT, own(SOLICIT), client=bytes(size))[1] == bytes(size)


@pytest.mark.parametrize("kind", NAMED)
def test_the_server_must_be_named(kind: int) -> None:
    with pytest.raises(Silence, match="without the identifier of its server") as why:
        ask6(kind, own(kind), server=None)
    assert why.value.reason == "malformed"


@pytest.mark.parametrize("kind", [SOLICIT, CONFIRM, REBIND])
def test_no_server_may_be_named(kind: int) -> None:
    with pytest.raises(Silence, match="that names a server") as why:
        ask6(kind, own(kind), server=SERVER_DUID)
    assert why.value.reason == "malformed"


@pytest.mark.parametrize("kind", [*NAMED, INFORMATION])
def test_another_server(kind: int) -> None:
    with pytest.raises(Silence, match="to another server") as why:
        ask6(kind, own(kind), server=SERVER_DUID[:-1] + b"\xff")
    assert why.value.reason == "other"


# Ours here, and ours on the node where the guest was before it migrated.
@pytest.mark.parametrize("dst", [SOURCE6, "fe80::99"])
@pytest.mark.parametrize("kind", NAMED)
def test_unicast_is_sent_to_multicast(kind: int, dst: str) -> None:
    reply = ask6(kind, own(kind), EVERYTHING, dst=dst)
    assert (reply.kind, reply.status, reply.codes) == (REPLY, 5, [2, 1, 13])


def test_unicast_from_a_global_address_gets_no_answer() -> None:
    with pytest.raises(Silence, match="not link-local"):
        ask6(RENEW, own(RENEW), dst=SOURCE6, src=FOREIGN)


@pytest.mark.parametrize("dst", [SOURCE6, "fe80::99", FOREIGN])
@pytest.mark.parametrize("kind", [SOLICIT, CONFIRM, REBIND, INFORMATION])
def test_unicast_that_is_dropped(kind: int, dst: str) -> None:
    with pytest.raises(Silence, match="by unicast"):
        ask6(kind, own(kind), dst=dst)


@pytest.mark.parametrize("kind", NAMED)
def test_unicast_to_another_server_is_not_ours_to_answer(kind: int) -> None:
    with pytest.raises(Silence, match="another server"):
        ask6(kind, own(kind), dst=SOURCE6, server=b"\0\1\2\3")


@pytest.mark.parametrize(
    ("kind", "about"), [(12, {"dst": FOREIGN}), (13, {"dst": "fe80::99"}), (SOLICIT, {"port": 548})]
)
def test_packets_to_others_go_on(kind: int, about: dict[str, Any]) -> None:
    with pytest.raises(Pass):
        ask6(kind, own(SOLICIT), **about)


def test_the_group_of_servers_is_for_relays() -> None:
    with pytest.raises(Silence, match="for relays"):
        ask6(SOLICIT, own(SOLICIT), dst="ff05::1:3")


@pytest.mark.parametrize("src", ["::", FOREIGN, "2a80::1", "fec0::1", "ff02::1"])
def test_only_link_local_sources(src: str) -> None:
    with pytest.raises(Silence, match="not link-local"):
        ask6(SOLICIT, own(SOLICIT), src=src)


@pytest.mark.parametrize("kind", [0, ADVERTISE, REPLY, RECONFIGURE, 12, 13, 14, 36, 255])
def test_what_no_client_sends(kind: int) -> None:
    with pytest.raises(Silence, match="no request of a client") as why:
        ask6(kind, own(SOLICIT), server=SERVER_DUID)
    assert why.value.reason == "ignored"


def test_a_relay_gets_no_answer() -> None:
    inner = scapy6.DHCP6_RelayForward(linkaddr="::", peeraddr=GUEST6) / scapy6.DHCP6_Solicit()
    with pytest.raises(Silence, match="RELAY-FORW6"):
        responder6.answer(packet6(bytes(inner)), MAC, guest6())


@pytest.mark.parametrize("hardware", [OTHER_MAC, None])
def test_spoofed(hardware: bytes | None) -> None:
    with pytest.raises(Silence, match="spoofed") as why:
        ask6(SOLICIT, own(SOLICIT), hardware=hardware)
    assert (why.value.reason, why.value.asked) == ("spoofed", "SOLICIT6")


@pytest.mark.parametrize(("hardware", "to"), [(OTHER_MAC, OTHER_MAC), (None, MAC)])
def test_macspoof_lets_the_guest_use_any_mac(hardware: bytes | None, to: bytes) -> None:
    served = guest6(macspoof=True)
    assert ask6(SOLICIT, own(SOLICIT), served=served, hardware=hardware).ether.dst == to.hex(":")


@pytest.mark.parametrize("kind", ASKING)
def test_a_guest_that_dhcpv6_has_nothing_for(kind: int) -> None:
    with pytest.raises(Silence) as why:
        ask6(kind, own(kind), served=told(ipv6_mode="slaac"))
    assert why.value.reason == "nothing"


@pytest.mark.parametrize("kind", ASKING)
def test_kinds_are_named_unlike_those_of_dhcpv4(kind: int) -> None:
    names = ["SOLICIT6", "REQUEST6", "CONFIRM6", "RENEW6", "REBIND6", "RELEASE6", "DECLINE6", "INFORMATION-REQUEST6"]
    assert ask6(kind, own(kind)).asked == names[ASKING.index(kind)]


@pytest.mark.parametrize("kind", [SOLICIT, REQUEST, RENEW, REBIND, INFORMATION])
def test_options_that_are_asked_for(kind: int) -> None:
    reply = ask6(kind, own(kind), wanted(24, 23, 24))
    assert [code for code in reply.codes if code > 14] == [24, 23]  # in the client's order, once
    assert reply.layer(scapy6.DHCP6OptDNSServers).dnsservers == ["2620:fe::fe", "2620:fe::9"]
    assert reply.layer(scapy6.DHCP6OptDNSDomains).dnsdomains == ["lab.example.", "corp.example."]


@pytest.mark.parametrize("codes", [b"", wanted()])
def test_nothing_is_told_that_is_not_asked_for(codes: bytes) -> None:
    assert ask6(SOLICIT, own(SOLICIT), codes).codes == [2, 1, 7, 3]


def test_a_list_of_odd_length() -> None:
    with pytest.raises(FrameError, match="option request of 3 bytes"):
        ask6(SOLICIT, own(SOLICIT), option(6, b"\0\x17\0"))


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param(0b000, 0b100, id="the client updates AAAA itself"),
        pytest.param(0b001, 0b110, id="we are to, and do not"),
        pytest.param(0b100, 0b100, id="nobody is to"),
    ],
)
def test_the_name(flags: int, expected: int) -> None:
    reply = ask6(REQUEST, own(REQUEST), option(39, bytes((flags,)) + b"\5other"), wanted(39))
    assert reply[39] == bytes((expected,)) + b"\3web\3lab\7example\0"
    assert reply.layer(scapy6.DHCP6OptClientFQDN).fqdn == b"web.lab.example."


@pytest.mark.parametrize("options", [(option(39, b"\1"),), (wanted(39),), (wanted(39), option(39, b""))])
def test_the_name_is_for_those_who_send_theirs_and_ask(options: tuple[bytes, ...]) -> None:
    assert 39 not in ask6(REQUEST, own(REQUEST), *options).codes


def test_reconfigure_accept_is_not_taken_up() -> None:
    assert 20 not in ask6(SOLICIT, own(SOLICIT), option(20, b""), wanted(20)).codes


def test_a_retransmission_is_answered_the_same() -> None:
    def once(elapsed: bytes) -> bytes:
        head = message(SOLICIT, ia(IA_NA, 1)).replace(option(8, bytes(2)), option(8, elapsed))
        return responder6.answer(packet6(head), MAC, guest6()).frame

    assert once(b"\0\0") == once(b"\xff\xff")


def test_never_larger_than_what_every_link_carries() -> None:
    served = guest6(guests(nameservers=SERVERS, options6=tuple(f"{code}:{'00' * 300}" for code in range(200, 210))))
    many = [ia(IA_NA, iaid, ADDRESS, *(f"fd00:77::{last:x}" for last in range(1, 40))) for iaid in range(8)]
    reply = ask6(RENEW, *many, wanted(*range(200, 210), 23), served=served)
    assert len(reply.payload) <= 1232
    # A few addresses of each IA, so that a few IAs are answered.
    assert reply.ias[0][4][0] == GRANTED
    assert [len(found[4]) for found in reply.ias] == [8, 8, 8, 8]
    small = ask6(RENEW, own(RENEW), wanted(*range(200, 210), 23), served=served)
    assert small.codes == [2, 1, 3, 200, 201, 202, 23]  # what does not fit is left out, and what follows is not


@pytest.mark.parametrize("kind", ASKING)
def test_truncated_at_every_byte(kind: int) -> None:
    served = guest6(guests(prefix6=PREFIX))
    ias = () if kind == INFORMATION else (ia(IA_NA, 1, ADDRESS), ia(IA_PD, 2, PREFIX), ia(IA_TA, 3, OTHER))
    whole = message(kind, *ias, option(39, b"\1\3web"), EVERYTHING)
    packet = packet6(whole)
    silent = 0
    for size in range(len(packet)):
        with pytest.raises(FrameError):
            responder6.answer(packet[:size], MAC, served)
        if size < len(whole):
            silent += not _survives(packet6(whole[:size]), served)
    assert silent > 50  # most cuts are within an option


@given(st.sampled_from(ASKING), st.data())
def test_mutated(kind: int, data: st.DataObject) -> None:
    ias = () if kind == INFORMATION else (ia(IA_NA, 1, ADDRESS, OTHER), ia(IA_PD, 2, PREFIX), ia(IA_TA, 3, OTHER))
    packet = bytearray(packet6(message(kind, *ias, option(39, b"\1\3web"), option(16, bytes(16)), EVERYTHING)))
    for _ in range(data.draw(st.integers(1, 4))):
        packet[data.draw(st.integers(0, len(packet) - 1))] = data.draw(st.integers(0, 255))
    _survives(bytes(packet), SERVED)


@given(st.binary(max_size=300))
def test_noise(payload: bytes) -> None:
    _survives(packet6(payload), SERVED)
    _survives(packet6(message(SOLICIT) + payload), SERVED)


SERVED = guest6(guests(nameservers=SERVERS, prefix6=PREFIX, boot_http="http://boot/"))


def _survives(packet: bytes, served: Any) -> bool:
    """Whether there is an answer; an exception that nobody expects fails the test."""
    try:
        found = responder6.answer(packet, MAC, served)
    except (Silence, Pass, FrameError):
        return False
    assert len(found.frame) <= 14 + 1280
    return True
