"""Every reply is read by scapy, which also checks the sums (see guest.Answer)."""

from __future__ import annotations

from typing import Any

import pytest

from nfdhcpd import dhcp4, responder
from nfdhcpd.answer import Silence
from tests.unit.nfdhcpd.guest import COMMON, IP4, MAC, Answer, ask, guest, guests, packet

DISCOVER, OFFER, REQUEST, _DECLINE, ACK, _NAK, _RELEASE, INFORM = range(1, 9)
OWN = bytes((10, 77, 0, 10))
EVERYONE = ("255.255.255.255", "192.0.0.8")
NUMBERS = {"auto-config": 116, "ipv6-only-preferred": 108}


def test_relay_information_comes_back_last() -> None:
    ack = ask(DISCOVER, options={82: b"\1\4tap0", 61: b"\1" + MAC}, giaddr="10.88.0.1")
    assert ack.names[-2:] == ["client_id", "relay_agent_information"]
    assert ack["relay_agent_information"] == b"\1\4tap0"


def test_what_is_echoed_leaves_room_for_what_is_needed() -> None:
    offer = ask(DISCOVER, options={82: bytes(200), 61: bytes(200)}, giaddr="10.88.0.1")
    assert "relay_agent_information" not in offer.names
    assert {"client_id", "subnet_mask", "router", "lease_time"} <= set(offer.names)
    assert offer.ip.len <= 576


@pytest.mark.parametrize("size", [0, 1, 255, 300])
def test_an_identity_of_any_length(size: int) -> None:
    raw = packet(DISCOVER)[:-1]
    pieces = [size] if size < 256 else [255, size - 255]
    raw += b"".join(bytes((61, piece)) + bytes(piece) for piece in pieces) + b"\xff"
    raw = raw[:2] + len(raw).to_bytes(2, "big") + raw[4:24] + (len(raw) - 20).to_bytes(2, "big") + raw[26:]
    offer = Answer(responder.answer(raw, MAC, guest()).frame)
    assert ("client_id" in offer.names) is (0 < size < 256)
    assert offer.ip.len <= 576


@pytest.mark.parametrize(
    ("options", "about", "told"),
    [
        pytest.param({116: b"\1"}, {}, ["message-type", "server_id", 116], id="auto-configure"),
        pytest.param({116: b"\1"}, {"ipv6_only": 1800}, ["message-type", "server_id", 116], id="did not ask for 108"),
        pytest.param({55: b"\1\x6c"}, {"ipv6_only": 1800}, ["message-type", "server_id", 108], id="IPv6 only"),
        pytest.param(
            {116: b"\1", 55: b"\x6c"}, {"ipv6_only": 1800}, ["message-type", "server_id", 108, 116], id="both"
        ),
    ],
)
def test_a_guest_without_ipv4_is_told_to_stay_without(
    options: dict[int, bytes], about: dict[str, Any], told: list[object]
) -> None:
    offer = ask(DISCOVER, guest(ip=None, subnet=None, settings=guests(**about)), options={61: b"\1" + MAC, **options})
    assert (offer.kind, offer.bootp.yiaddr, offer.ip.dst, offer.ip.src) == (OFFER, "0.0.0.0", *EVERYONE)
    assert list(map(NUMBERS.get, offer.names, offer.names)) == [*told, "client_id"]
    if 116 in told:
        assert b"\x74\1\0" in offer.frame


@pytest.mark.parametrize("kind", [DISCOVER, REQUEST, INFORM])
def test_a_guest_without_ipv4_is_told_nothing_else(kind: int) -> None:
    served = guest(ip=None, subnet=None)
    with pytest.raises(Silence, match="no IPv4"):
        ask(kind, served, options={50: OWN, 55: b"\x6c"} | ({} if kind == DISCOVER else {116: b"\1"}))


def test_ipv6_only_to_those_who_ask() -> None:
    served = guest(settings=guests(ipv6_only=1800))
    offer = ask(DISCOVER, served, wanted=b"\1\x6c\3", options={80: b""})
    assert b"\x6c\4" + (1800).to_bytes(4, "big") in offer.frame
    assert (offer.kind, offer.bootp.yiaddr) == (OFFER, IP4)  # not at once: the client is to take no address
    for wanted in (COMMON, None):
        reply = ask(DISCOVER, served, wanted=wanted, options={80: b""})
        assert reply.kind == ACK
        assert b"\x6c\4" + (1800).to_bytes(4, "big") not in reply.frame
    assert ask(DISCOVER, wanted=b"\1\x6c", options={80: b""}).kind == ACK


LONG = guests(domain="d" * 60 + ".example", search=tuple(f"{n}.{chr(97 + n) * 60}.example" for n in range(3)))


@pytest.mark.parametrize(
    ("size", "mtu", "most"),
    [
        pytest.param(None, None, 576, id="says nothing"),
        pytest.param(200, None, 576, id="less than may be said"),
        pytest.param(576, None, 576, id="the least"),
        pytest.param(700, None, 700, id="more"),
        pytest.param(1500, None, 1500, id="a frame"),
        pytest.param(65535, None, 1500, id="more than a frame"),
        pytest.param(1500, 1280, 1280, id="a smaller MTU"),
        pytest.param(1500, 400, 576, id="an MTU below what every host takes"),
    ],
)
def test_no_larger_than_the_client_takes(size: int | None, mtu: int | None, most: int) -> None:
    huge = guests(options=(f"224:{bytes(1400).hex()}", *(f"{code}:{bytes(90).hex()}" for code in range(225, 240))))
    options = {} if size is None else {57: size.to_bytes(2, "big")}
    offer = ask(DISCOVER, guest(settings=huge, mtu=mtu), options=options, wanted=None)
    assert most - 95 < offer.ip.len <= most
    assert {"subnet_mask", "router", "hostname"} <= set(offer.names)


@pytest.mark.parametrize("size", [b"", b"\5", b"\0\5\xdc"])
def test_a_malformed_size_is_none(size: bytes) -> None:
    assert ask(DISCOVER, guest(settings=LONG), options={57: size}).ip.len <= 576


def test_what_does_not_fit_goes_on_in_unused_fields() -> None:
    small = ask(DISCOVER, guest(settings=LONG))
    assert small.ip.len <= 576
    assert [*read(small)][:3] == [53, 54, 52]
    # All that no client can do without stays where every client looks.
    assert {"lease_time", "subnet_mask", "router"} <= set(small.names)
    large = ask(DISCOVER, guest(settings=LONG), options={57: b"\5\xdc"})
    assert 52 not in read(large)
    assert {code: value for code, value in read(small).items() if code != 52} == read(large)


def test_the_same_but_for_the_file_that_firmware_needs() -> None:
    terms = {"domain": "d" * 60 + ".example", "boot_file": "pxelinux.0", "boot_server": "10.77.0.2"}
    many = tuple(f"{code}:{bytes(48).hex()}" for code in range(225, 229))
    for changes, fields in (({}, 1), ({"boot_file": "pxelinux.0"}, 2)):
        settings = guests(**{**terms, "boot_file": "", **changes}, options=many)
        offer = ask(DISCOVER, guest(settings=settings), wanted=COMMON + bytes(range(225, 229)))
        assert (read(offer)[52], offer.ip.len <= 576) == (bytes((fields,)), True)
        assert (offer.bootp.file.rstrip(b"\0") == b"pxelinux.0") is bool(changes)


def test_a_list_decides_for_all_but_what_is_needed() -> None:
    served = guest(settings=guests(options=("224:abcd", "43:01020304"), ntp=("10.0.0.1", "fd00::1"), ipv6_only=1800))
    offer = ask(DISCOVER, served, wanted=bytes((224, 42, 249, 108, 43)))
    assert [code for code in read(offer) if code in (224, 42, 43, 108, 249)] == [224, 42, 108, 43]
    assert read(offer)[42] == bytes((10, 0, 0, 1))
    assert {224, 42, 43}.isdisjoint(read(ask(DISCOVER, served)))
    assert {224, 42, 43} <= set(read(ask(DISCOVER, served, wanted=None)))
    assert {108, 249}.isdisjoint(read(ask(DISCOVER, served, wanted=None)))


def read(offer: Answer) -> dict[int, bytes]:
    """Options by number, in their order."""
    return dict(dhcp4.parse(bytes(offer.bootp)).options)


@pytest.mark.parametrize(
    ("flags", "encoded", "answered"),
    [
        pytest.param(0x00, False, 0x08, id="the client updates its name"),
        pytest.param(0x01, False, 0x0A, id="the server should, and does not"),
        pytest.param(0x08, False, 0x08, id="nobody should"),
        pytest.param(0x05, True, 0x0E, id="encoded"),
        pytest.param(0x0C, True, 0x0C, id="encoded, nobody should"),
    ],
)
@pytest.mark.parametrize("wanted", [COMMON, None])
def test_fqdn(flags: int, encoded: bool, answered: int, wanted: bytes | None) -> None:
    name = b"\7desktop\0" if encoded else b"desktop"
    ack = ask(REQUEST, options={50: OWN, 81: bytes((flags, 0, 0)) + name}, wanted=wanted)
    own = b"\3web\3lab\7example\0" if encoded else b"web.lab.example"
    assert read(ack)[81] == bytes((answered, 255, 255)) + own


def test_fqdn_of_other_names() -> None:
    for hostname, domain, encoded, own in (
        ("web.example.org", "lab.example", 0, b"web.example.org"),
        ("web", "", 0, b"web"),
        ("web", "", 4, b"\3web"),  # not complete, so without the zero
    ):
        served = guest(hostname=hostname, settings=guests(domain=domain))
        assert read(ask(DISCOVER, served, options={81: bytes((encoded, 0, 0))}))[81][3:] == own


def test_fqdn_not_asked_or_cut_short() -> None:
    assert 81 not in read(ask(DISCOVER))
    assert 81 not in read(ask(DISCOVER, options={81: b"\0\0"}))


ANY = guests(
    boot_file="pxelinux.0",
    boot_efi="shim.efi",
    boot_http="http://boot.example/",
    boot_ipxe="http://boot.example/menu.ipxe",
    options=tuple(f"{code}:{bytes(90).hex()}" for code in range(225, 230)),
)
DIFFERENT: dict[int, tuple[bytes, bytes]] = {
    55: (b"\1\3", b"\1\x0c"),
    57: (b"\2\x58", b"\5\xdc"),
    60: (b"PXEClient", b"HTTPClient"),
    77: (b"", b"iPXE"),
    81: (b"\0\0\0", b"\4\0\0"),
    93: (b"\0\0", b"\0\7"),
    175: (b"", b"\1\1\1"),
    61: (b"\1", bytes(200)),
}


@pytest.mark.parametrize("code", DIFFERENT)
@pytest.mark.parametrize("kind", [DISCOVER, INFORM])
def test_what_is_remembered_of_one_message_is_not_told_to_another(code: int, kind: int) -> None:
    served, wanted = guest(settings=ANY), bytes((1, 3, 12, 66, 67, *range(225, 230)))
    first: dict[int, bytes] = {code: DIFFERENT[code][0]} if DIFFERENT[code][0] else {}
    second = {code: DIFFERENT[code][1]}
    for options in (first, second):
        about: dict[str, Any] = {"options": options, "ciaddr": IP4, "wanted": None if code == 55 else wanted}
        ask(DISCOVER, served, **about)
        assert ask(kind, served, **about).frame == ask(kind, guest(settings=ANY), **about).frame


def test_auto_configure_is_not_told_to_the_next_who_did_not_ask() -> None:
    served = guest(ip=None, subnet=None, settings=guests(ipv6_only=1800))
    assert 116 in read(ask(DISCOVER, served, options={116: b"\1"}, wanted=b"\x6c"))
    assert 116 not in read(ask(DISCOVER, served, wanted=b"\x6c"))


def test_a_raw_option_keeps_ours_away_where_it_is_not_asked_for_either() -> None:
    served = guest(settings=guests(boot_file="pxelinux.0", options=("43:0104c0a80001",)))
    assert 43 not in read(ask(DISCOVER, served, options={60: b"PXEClient"}, wanted=b"\1\3"))
