"""Replies in plain words: what scapy writes is read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP
from scapy.layers.dhcp6 import (
    DUID_LL,
    DHCP6_Advertise,
    DHCP6NTPSubOptSrvAddr,
    DHCP6OptBootFileUrl,
    DHCP6OptClientId,
    DHCP6OptDNSDomains,
    DHCP6OptDNSServers,
    DHCP6OptIA_NA,
    DHCP6OptIA_PD,
    DHCP6OptIAAddress,
    DHCP6OptIAPrefix,
    DHCP6OptInfoRefreshTime,
    DHCP6OptNTPServer,
    DHCP6OptPref,
    DHCP6OptRapidCommit,
    DHCP6OptStatusCode,
)
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_RA,
    ICMPv6NDOptDNSSL,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptMTU,
    ICMPv6NDOptPREF64,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptRDNSS,
    ICMPv6NDOptRouteInfo,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import ARP, Ether

from nfdhcpd import responder
from nfdhcpd.describe import describe
from nfdhcpd.describe4 import domains, duration, text
from tests.unit.nfdhcpd.guest import MAC, guest, packet

ETHER = Ether(src="02:00:00:00:00:01", dst="52:54:00:00:00:10")


def words(found: Any) -> dict[str, str]:
    """What is told, each thing once."""
    pairs = list(describe(bytes(found)))
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def dhcp4(options: dict[int, bytes] | None = None, **about: Any) -> dict[str, str]:
    """What a DHCPACK tells; the options are raw."""
    bootp = BOOTP(op=2, yiaddr="192.0.2.10", chaddr=MAC, options=b"\x63\x82\x53\x63", **about)
    raw = b"".join(bytes((code, len(value))) + value for code, value in {53: b"\5", **(options or {})}.items())
    return words(ETHER / IP(src="192.0.2.1", dst="192.0.2.10") / UDP(sport=67, dport=68) / bootp / (raw + b"\xff"))


def test_a_real_offer() -> None:
    found = dict(describe(responder.answer(packet(1), MAC, guest()).frame))
    assert found["message"] == "DHCP OFFER"
    assert found["from"] == "10.77.0.1 port 67 at 02:00:00:00:00:01"
    assert found["to"] == "10.77.0.10 port 68 at 52:54:00:00:00:10"
    assert (found["address"], found["netmask"], found["router"]) == ("10.77.0.10", "255.255.255.0", "10.77.0.1")
    assert (found["lease time"], found["host name"]) == ("7 days", "web")
    assert found["search domains"] == "lab.example, corp.example"


def test_options_of_dhcpv4() -> None:
    found = dhcp4(
        {
            6: bytes((192, 0, 2, 53, 192, 0, 2, 54)),
            15: b"a.example",
            26: bytes((5, 120)),
            42: bytes((192, 0, 2, 123)),
            58: bytes((0, 0, 0, 90)),
            67: b"pxe.0\xff",
            108: bytes((0, 0, 7, 8)),
            116: b"\0",
            119: b"\3lab\7example\0\4corp\xc0\4\1x\xc0\x0d",
            121: b"\x18\xc6\x33\x64\xc0\x00\x02\x09" + b"\x20\xc0\0\2\1\0\0\0\0" + b"\0\xc0\0\2\1",
            43: b"\1\2",
            250: b"",
        }
    )
    expected = {
        "message": "DHCP ACK",
        "name servers": "192.0.2.53, 192.0.2.54",
        "domain": "a.example",
        "MTU": "1400",
        "time servers": "192.0.2.123",
        "renews after": "1 minute 30 seconds",
        "boot file": "pxe.0\\xff",
        "IPv4 not needed for": "30 minutes",
        "link-local addresses": "do not make one",
        "search domains": "lab.example, corp.example, x.corp.example",
        "routes": "198.51.100.0/24 by 192.0.2.9, 192.0.2.1/32 on this wire, default by 192.0.2.1",
        "option 43": "0102",
        "option 250": "",
    }
    assert {label: found[label] for label in expected} == expected


def test_fields_of_dhcpv4() -> None:
    found = dhcp4(siaddr="192.0.2.7", giaddr="192.0.2.8", ciaddr="192.0.2.9", sname=b"boot", file=b"pxelinux.0")
    assert found["next server"] == "192.0.2.7"
    assert found["by relay"] == "192.0.2.8"
    assert found["client's own address"] == "192.0.2.9"
    assert (found["server name"], found["boot file"]) == ("boot", "pxelinux.0")


@pytest.mark.parametrize(
    ("code", "value"),
    [
        (1, b"\1\2\3"),
        (3, b""),
        (26, b"\1"),
        (51, b"1"),
        (119, b"\1a\xc0\2"),
        (119, b"\xc0"),
        (119, b"\5a"),
        (121, b"\x18\1"),
    ],
)
def test_a_value_that_is_none_is_shown_as_it_is(code: int, value: bytes) -> None:
    assert value.hex() in [shown for label, shown in dhcp4({code: value}).items() if label.endswith("unreadable")]


def test_a_broadcast_is_for_everybody() -> None:
    frame = Ether(dst="ff:ff:ff:ff:ff:ff", src="02:00:00:00:00:01") / IP(dst="255.255.255.255") / UDP() / BOOTP()
    assert words(frame)["to"].endswith("at everybody")


def test_a_router_advertisement() -> None:
    found = words(
        ETHER
        / IPv6(src="fe80::1", dst="ff02::1", hlim=255)
        / ICMPv6ND_RA(chlim=64, M=1, O=0, prf=1, routerlifetime=1800)
        / ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:00:01")
        / ICMPv6NDOptPrefixInfo(prefix="2001:db8::", validlifetime=0xFFFFFFFF, preferredlifetime=604800)
        / ICMPv6NDOptMTU(mtu=1400)
        / ICMPv6NDOptRDNSS(dns=["2001:db8::53"], lifetime=1800)
        / ICMPv6NDOptDNSSL(searchlist=["lab.example"], lifetime=1800)
        / ICMPv6NDOptRouteInfo(prefix="2001:db8:8::", plen=48, rtlifetime=60, prf=3)
        / ICMPv6NDOptPREF64(prefix="64:ff9b::", plc=0, scaledlifetime=225)
    )
    assert found == {
        "from": "fe80::1 at 02:00:00:00:00:01",
        "to": "ff02::1 at 52:54:00:00:00:10, hop limit 255",
        "message": "router advertisement",
        "router": "for 30 minutes, preference high",
        "addresses by DHCPv6": "yes",
        "the rest by DHCPv6": "no",
        "hop limit": "64",
        "router's MAC": "02:00:00:00:00:01",
        "prefix": "2001:db8::/64, on this wire, make an address in it, valid for ever, preferred 7 days",
        "MTU": "1400",
        "name servers": "2001:db8::53 for 30 minutes",
        "search domains": "lab.example for 30 minutes",
        "route": "2001:db8:8::/48 for 1 minute, preference low",
        "NAT64 prefix": "64:ff9b::/96 for 30 minutes",
    }


def test_an_advertisement_that_takes_the_router_back() -> None:
    assert words(ETHER / IPv6() / ICMPv6ND_RA(routerlifetime=0))["router"] == "not this one"


def test_a_neighbour_advertisement() -> None:
    message = ICMPv6ND_NA(R=1, S=1, O=0, tgt="2001:db8::1") / ICMPv6NDOptDstLLAddr(lladdr="02:00:00:00:00:01")
    found = words(ETHER / IPv6() / message)
    assert (found["message"], found["flags"]) == ("neighbour advertisement", "a router, solicited")
    assert (found["target"], found["target's MAC"]) == ("2001:db8::1", "02:00:00:00:00:01")


def test_dhcpv6() -> None:
    address = DHCP6OptIAAddress(addr="2001:db8::10", preflft=300, validlft=600)
    prefix = DHCP6OptIAPrefix(prefix="2001:db8:5::", plen=56, preflft=300, validlft=600)
    message = (
        DHCP6_Advertise(trid=1)
        / DHCP6OptClientId(duid=DUID_LL(lladdr="52:54:00:00:00:10"))
        / DHCP6OptIA_NA(iaid=1, T1=150, T2=240, ianaopts=[address])
        / DHCP6OptStatusCode(statuscode=2, statusmsg="none left")
        / DHCP6OptPref(prefval=255)
        / DHCP6OptRapidCommit()
        / DHCP6OptDNSServers(dnsservers=["2001:db8::53", "2001:db8::54"])
        / DHCP6OptDNSDomains(dnsdomains=["lab.example"])
        / DHCP6OptInfoRefreshTime(reftime=86400)
        / DHCP6OptNTPServer(ntpserver=[DHCP6NTPSubOptSrvAddr(addr="2001:db8::123")])
        / DHCP6OptBootFileUrl(optdata="http://boot/")
    )
    found = words(ETHER / IPv6(src="fe80::1") / UDP(sport=547, dport=546) / message)
    assert (
        found
        | {
            "message": "DHCPv6 ADVERTISE",
            "client identifier": "00030001525400000010",
            "association": "00000001, renews after 2 minutes 30 seconds, rebinds after 4 minutes",
            "address": "2001:db8::10, valid 10 minutes, preferred 5 minutes",
            "status": "no addresses: none left",
            "preference": "255",
            "rapid commit": "yes",
            "name servers": "2001:db8::53, 2001:db8::54",
            "search domains": "lab.example",
            "asks again after": "1 day",
            "time servers": "2001:db8::123",
            "boot file": "http://boot/",
        }
        == found
    )
    delegation = DHCP6_Advertise() / DHCP6OptIA_PD(T1=1, T2=2, iapdopt=[prefix])
    assert words(ETHER / IPv6() / UDP() / delegation)["prefix"] == (
        "2001:db8:5::/56, valid 10 minutes, preferred 5 minutes"
    )


@pytest.mark.parametrize("frame", [ETHER / ARP(), ETHER / IPv6(nh=59), ETHER / IPv6() / ICMPv6ND_RA() / b"\1\0"])
def test_what_is_none_of_ours_is_shown_as_it_is(frame: Any) -> None:
    found = words(frame)
    assert found["frame"] == bytes(frame).hex()
    assert found["unreadable"]


@given(st.data())
def test_a_frame_that_is_cut_short_or_broken_never_fails(data: st.DataObject) -> None:
    whole = bytearray(data.draw(st.sampled_from([responder.answer(packet(1), MAC, guest()).frame, bytes(_ADVERT)])))
    for _ in range(data.draw(st.integers(0, 4))):
        whole[data.draw(st.integers(14, len(whole) - 1))] = data.draw(st.integers(0, 255))
    for label, value in describe(bytes(whole[: data.draw(st.integers(0, len(whole)))])):
        assert label.isprintable()
        assert value.isprintable()


_ADVERT = (
    ETHER / IPv6(hlim=255) / ICMPv6ND_RA() / ICMPv6NDOptPrefixInfo() / ICMPv6NDOptDNSSL(searchlist=["a.b"], lifetime=9)
)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 seconds"), (1, "1 second"), (3661, "1 hour 1 minute 1 second"), (0xFFFFFFFF, "for ever")],
)
def test_durations(seconds: int, said: str) -> None:
    assert duration(seconds) == said


def test_text_is_printable_whatever_it_was() -> None:
    assert text(b"a\x1b[31m\n\xff") == "a\\x1b[31m\\x0a\\xff"


def test_a_name_may_lack_its_end() -> None:
    assert domains(b"\3web\3lab") == "web.lab"
    assert domains(b"\3web\0\0\0") == "web"
