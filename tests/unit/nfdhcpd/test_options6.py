"""Each option as scapy reads it, where it knows it."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers import dhcp6 as scapy6

from nfdhcpd import options6, raw
from nfdhcpd.dhcp6 import Code
from nfdhcpd.options6 import Facts
from nfdhcpd.terms import Terms
from tests.unit.nfdhcpd.guest6 import option

SERVERS = ("192.0.2.1", "2001:db8::1", "2001:db8::2")
RAW6 = bytes.fromhex("20010db8000000000000000000000001"), bytes.fromhex("20010db8000000000000000000000002")


def told(domain: str = "", leases: bool = True, **terms: Any) -> Any:
    return options6.encode(Facts(Terms(**terms), domain, leases))


def test_nothing_is_told_of_what_is_not_configured() -> None:
    assert set(told()) == {Code.SOL_MAX_RT, Code.INF_MAX_RT}


def test_nameservers_of_ipv6() -> None:
    assert scapy6.DHCP6OptDNSServers(told(nameservers=SERVERS)[23]).dnsservers == ["2001:db8::1", "2001:db8::2"]
    assert 23 not in told(nameservers=("192.0.2.1",))


def test_domains() -> None:
    found = scapy6.DHCP6OptDNSDomains(told("web.example", search=("a.example", "b.example"))[24])
    assert found.dnsdomains == ["a.example.", "b.example."]


def test_the_domain_where_none_is_to_be_searched() -> None:
    assert told("lab.example")[24] == option(24, b"\3lab\7example\0")


def test_time_servers() -> None:
    found = told(ntp=SERVERS)
    assert scapy6.DHCP6OptSNTPServers(found[31]).sntpservers == ["2001:db8::1", "2001:db8::2"]
    assert found[56] == option(56, option(1, RAW6[0]) + option(1, RAW6[1]))
    assert {31, 56}.isdisjoint(told(ntp=("192.0.2.1",)))


@pytest.mark.parametrize(("leases", "seconds"), [(True, 3600), (False, 86400)])
def test_how_often_to_ask(leases: bool, seconds: int) -> None:
    assert told(leases=leases)[82] == option(82, seconds.to_bytes(4, "big"))
    assert told(leases=leases)[83] == option(83, (3600).to_bytes(4, "big"))


def test_raw_options() -> None:
    found = told(options6=("17:0000157e", "103:68747470", "17:00"), nameservers=SERVERS)
    assert found[17] == option(17, b"\0\0\x15\x7e") + option(17, b"\0")
    assert (found[103], found[23]) == (option(103, b"http"), option(23, b"".join(RAW6)))


def test_a_raw_option_takes_the_place_of_ours() -> None:
    assert told(options6=("23:00",), nameservers=SERVERS)[23] == option(23, b"\0")


@pytest.mark.parametrize("code", sorted(raw.PROTOCOL6))
def test_options_of_the_protocol(code: int) -> None:
    with pytest.raises(ValueError, match=f"option {code} cannot be raw"):
        told(options6=(f"{code}:00",))


@pytest.mark.parametrize(("lease", "seconds"), [(60, 600), (3600, 3600), (604800, 86400)])
def test_refresh_time(lease: int, seconds: int) -> None:
    assert scapy6.DHCP6OptInfoRefreshTime(options6.refresh(Terms(lease=lease))).reftime == seconds
