"""RFC 4388, as far as it applies behind a tap: a guest that relays may ask, and learns of itself alone."""

from __future__ import annotations

import pytest

from nfdhcpd import dhcp4, responder
from nfdhcpd.answer import Silence
from nfdhcpd.frame import FrameError
from tests.unit.nfdhcpd.guest import IP4, MAC, Answer, ask, guest, packet

QUERY, UNKNOWN, ACTIVE = 10, 12, 13
RELAY = "10.77.0.10"
OTHER = b"\x52\x54\0\0\0\x99"
LIST = bytes((51, 58, 59, 1))


def query(*, hardware: bytes = MAC, link: bytes = b"\0\0", chaddr: bytes = bytes(6), **about: object) -> Answer:
    """The answer to a query; `link` are hardware type and length."""
    raw = bytearray(packet(QUERY, chaddr=chaddr, giaddr=RELAY, src=RELAY, wanted=LIST, **about))  # type: ignore[arg-type]
    raw[29:31] = link
    return Answer(responder.answer(bytes(raw), hardware, guest()).frame)


@pytest.mark.parametrize(
    ("about", "kind"),
    [
        pytest.param({"ciaddr": IP4}, ACTIVE, id="its address"),
        pytest.param({"ciaddr": "10.77.0.11"}, UNKNOWN, id="another address"),
        pytest.param({"chaddr": MAC, "link": b"\1\6"}, ACTIVE, id="its MAC"),
        pytest.param({"chaddr": OTHER, "link": b"\1\6"}, UNKNOWN, id="another MAC"),
        pytest.param({"options": {61: b"\1" + MAC}}, ACTIVE, id="its identifier"),
        pytest.param({"options": {61: b"\1" + OTHER}}, UNKNOWN, id="another identifier"),
        pytest.param({}, UNKNOWN, id="nobody"),
        pytest.param({"ciaddr": "10.77.0.11", "chaddr": MAC, "link": b"\1\6"}, UNKNOWN, id="the address decides"),
    ],
)
def test_about(about: dict[str, object], kind: int) -> None:
    reply = query(**about)  # type: ignore[arg-type]
    assert (reply.kind, reply.ip.dst, reply.udp.dport, reply.bootp.giaddr) == (kind, RELAY, 67, RELAY)
    assert (reply.bootp.yiaddr, reply["server_id"]) == ("0.0.0.0", "10.77.0.1")
    if kind == ACTIVE:
        assert (reply.bootp.ciaddr, reply.bootp.chaddr[:6], reply.bootp.hlen) == (IP4, MAC, 6)
        assert (reply["lease_time"], reply["renewal_time"]) == (604800, 302400)
    else:
        assert reply.bootp.ciaddr == about.get("ciaddr", "0.0.0.0")
        assert reply.bootp.chaddr[:6] == about.get("chaddr", bytes(6))
        assert bytes((reply.bootp.htype, reply.bootp.hlen)) == about.get("link", b"\0\0")
        assert {"lease_time", "subnet_mask", "router", "hostname"}.isdisjoint(reply.names)
    if "options" in about:
        assert "client_id" in reply.names


def test_from_no_relay() -> None:
    with pytest.raises(Silence, match="without a relay"):
        ask(QUERY, ciaddr=IP4)


def test_from_another_card() -> None:
    with pytest.raises(Silence, match="spoofed"):
        query(hardware=OTHER, ciaddr=IP4)


def test_no_hardware_is_for_queries_alone() -> None:
    raw = bytearray(packet(1))
    raw[29:31] = bytes(2)
    with pytest.raises(FrameError, match="hardware type 0 of 0 bytes"):
        dhcp4.parse(bytes(raw[28:]))


@pytest.mark.parametrize("kind", [11, UNKNOWN, ACTIVE])
def test_replies_are_no_requests(kind: int) -> None:
    with pytest.raises(Silence, match="no request"):
        ask(kind)
