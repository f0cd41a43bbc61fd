"""What clients send that cannot run here (tests/data/nfdhcpd), and what each is answered."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.dhcp import BOOTP
from scapy.layers.inet import IP, UDP

from nfdhcpd import dhcp4, frame, responder
from nfdhcpd.client import Client
from nfdhcpd.dhcp4 import Dhcp4
from tests.data.nfdhcpd import build
from tests.unit.nfdhcpd.guest import IP4, Answer, guest, guests

FILES = sorted(build.HERE.glob("*.bin"))
KINDS = {"discover": 2, "request": 5, "reboot": 5, "renew": 5, "inform": 5}
TIMES = {51, 58, 59}
# Something for every option that one of them asks for and that can be told.
SETTINGS = guests(
    nameservers=("9.9.9.9", "1.1.1.1"),
    domain="lab.example",
    search=("lab.example", "corp.example"),
    routes=("172.16.0.0/12@10.77.0.254",),
    mtu=1400,
    options=(
        "2:00000e10",
        "43:0104c0a80001",
        "44:0a4d0005",
        "46:08",
        f"114:{b'https://portal.example/'.hex()}",
        f"252:{b'http://wpad.example/'.hex()}",
    ),
)
HAVE = {1, 2, 3, 6, 12, 15, 26, 28, 43, 44, 46, 114, 119, 121, 249, 252, *TIMES}


def said(path: Path) -> tuple[bytes, Dhcp4]:
    raw = path.read_bytes()
    return raw, dhcp4.parse(frame.parse_datagram(raw).payload)


def served(query: Dhcp4, **about: Any) -> Client:
    return guest(settings=SETTINGS, mac=query.chaddr.hex(":"), **about)


def answer(raw: bytes, client: Client) -> tuple[Answer, dict[int, bytes]]:
    """As scapy reads it, and its options by number."""
    found = Answer(responder.answer(raw, client.mac, client).frame)
    return found, dict(dhcp4.parse(bytes(found.bootp)).options)


def test_all_of_them_are_here_as_the_script_writes_them() -> None:
    assert {path.stem: path.read_bytes() for path in FILES} == build.messages()
    assert {path.stem.split("-")[0].rstrip("0123456789") for path in FILES} == {
        "windows",
        "macos",
        "freebsd",
        "android",
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_is_a_message_that_scapy_reads(path: Path) -> None:
    packet = IP(path.read_bytes())
    again = packet.copy()
    del again[IP].chksum, again[UDP].chksum
    assert bytes(again) == path.read_bytes()
    assert (packet[UDP].dport, packet[BOOTP].op, packet[BOOTP].hlen) == (67, 1, 6)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_gets_what_it_asked_for_in_its_order(path: Path) -> None:
    raw, query = said(path)
    reply, options = answer(raw, served(query))
    state = path.stem.split("-")[1]
    assert reply.kind == (5 if path.stem.endswith("rapid") else KINDS[state])
    wanted = query.options[55]
    expected = [code for code in wanted if code in HAVE - (TIMES if state == "inform" else set())]
    assert [code for code in options if code in wanted] == expected
    assert options[61] == query.options[61] == b"\1" + query.chaddr
    assert reply.bootp.yiaddr == ("0.0.0.0" if state == "inform" else IP4)
    size = int.from_bytes(query.options.get(57, b"\2\x40"), "big")
    assert reply.ip.len <= size
    assert (81 in options, 80 in options) == (81 in query.options, 80 in query.options)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_is_answered_where_it_listens(path: Path) -> None:
    raw, query = said(path)
    reply, _ = answer(raw, served(query))
    everyone = bool(query.flags & dhcp4.BROADCAST_FLAG)
    assert reply.ip.dst == ("255.255.255.255" if everyone else IP4)
    assert reply.ether.dst == ("ff:ff:ff:ff:ff:ff" if everyone else query.chaddr.hex(":"))
    assert reply.bootp.xid.to_bytes(4, "big") == query.xid


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if path.stem.split("-")[1] in ("request", "reboot", "renew")],
    ids=lambda path: path.stem,
)
def test_is_refused_where_the_address_is_not_its_own(path: Path) -> None:
    raw, query = said(path)
    reply, options = answer(raw, served(query, ip="10.77.0.20"))
    # Who renews has asked from its address, and listens there.
    heard = "255.255.255.255" if raw[16:20] == b"\xff" * 4 else str(IPv4Address(query.ciaddr))
    assert (reply.kind, reply.ip.dst, reply.bootp.yiaddr) == (6, heard, "0.0.0.0")
    assert set(options) == {53, 54, 56, 61}


@pytest.mark.parametrize("path", [path for path in FILES if "discover" in path.stem], ids=lambda path: path.stem)
def test_hears_of_ipv6_only_if_it_can(path: Path) -> None:
    raw, query = said(path)
    client = guest(settings=guests(ipv6_only=1800), mac=query.chaddr.hex(":"))
    reply, options = answer(raw, client)
    assert (108 in options) is (108 in query.options[55])
    assert reply.kind == 2
