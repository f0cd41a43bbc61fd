"""The synthetic messages, as scapy reads them and as the responders take them."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import (
    DHCP6_InfoRequest,
    DHCP6_Solicit,
    DHCP6OptClientId,
    DHCP6OptIA_NA,
    DHCP6OptIA_PD,
    DHCP6OptOptReq,
)
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_RS, ICMPv6NDOptSrcLLAddr, IPv6

from nfdhcpd import probe
from nfdhcpd.describe import describe
from nfdhcpd.questions import answer
from tests.unit.nfdhcpd.guest import IP4, MAC, MAC_TEXT, guest, guests


@pytest.mark.parametrize(("name", "kind"), [("discover", 1), ("request", 3)])
def test_messages_of_dhcpv4(name: str, kind: int) -> None:
    version, make = probe.PROBES[name]
    packet = IP(make(guest()))
    assert version == 4
    assert (packet.src, packet.dst, packet[UDP].sport, packet[UDP].dport) == ("0.0.0.0", "255.255.255.255", 68, 67)
    assert packet[BOOTP].chaddr[:6] == MAC
    options: dict[str, Any] = dict(option[:2] for option in packet[DHCP].options if isinstance(option, tuple))
    assert options["message-type"] == kind
    assert options["client_id"] == b"\1" + MAC
    assert {1, 3, 6, 12, 15, 26, 119, 121} <= set(options["param_req_list"])
    assert options.get("requested_addr") == (IP4 if name == "request" else None)
    assert options.get("server_id") == ("10.77.0.1" if name == "request" else None)


def test_a_request_of_a_guest_without_ipv4_names_no_address() -> None:
    packet = IP(probe.request(guest(ip=None)))
    assert not {option[0] for option in packet[DHCP].options} & {"requested_addr", "server_id"}


def test_it_asks_for_whatever_there_is_for_the_guest() -> None:
    own = guest(settings=guests(options=("224:01",), options6=("300:02",), prefix6="2001:db8:5::/56"))
    options: dict[str, Any] = dict(option[:2] for option in IP(probe.discover(own))[DHCP].options if len(option) == 2)
    assert 224 in options["param_req_list"]
    solicit = IPv6(probe.solicit(own))
    assert 300 in solicit[DHCP6OptOptReq].reqopts
    assert DHCP6OptIA_PD in solicit
    assert DHCP6OptIA_PD not in IPv6(probe.solicit(guest()))
    told = dict(describe(bytes.fromhex(answer(own, "solicit")["frame"])))
    assert (told["option 300"], told["prefix"].partition(",")[0]) == ("02", "2001:db8:5::/56")
    assert dict(describe(bytes.fromhex(answer(own, "discover")["frame"])))["option 224"] == "01"


def test_a_router_solicitation() -> None:
    packet = IPv6(probe.router_solicitation(guest()))
    assert (packet.src, packet.dst, packet.hlim) == ("fe80::5054:ff:fe00:10", "ff02::2", 255)
    assert ICMPv6ND_RS in packet
    assert packet[ICMPv6NDOptSrcLLAddr].lladdr == MAC_TEXT


@pytest.mark.parametrize(("name", "layer"), [("solicit", DHCP6_Solicit), ("information", DHCP6_InfoRequest)])
def test_messages_of_dhcpv6(name: str, layer: type) -> None:
    version, make = probe.PROBES[name]
    raw = make(guest())
    packet = IPv6(raw)
    assert version == 6
    assert (packet.src, packet.dst) == ("fe80::5054:ff:fe00:10", "ff02::1:2")
    assert (packet[UDP].sport, packet[UDP].dport) == (546, 547)
    assert layer in packet
    assert packet[DHCP6OptClientId].duid.lladdr == MAC_TEXT
    assert (DHCP6OptIA_NA in packet) == (name == "solicit")
    again = packet.copy()
    del again[UDP].chksum
    assert bytes(again) == raw
