from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import dns_get_str

from nfdhcpd import dhcp4, names, options4
from nfdhcpd.client import Client
from nfdhcpd.dhcp4 import Code
from nfdhcpd.lease import Lease
from nfdhcpd.settings import Dhcp, Settings
from nfdhcpd.terms import Guests, Terms
from tests.unit.nfdhcpd.guest import COMMON, IP4, ask, guest, guests

DISCOVER = 1
ROUTER = bytes((10, 77, 0, 1))


def told(served: Client, wanted: bytes | None = COMMON) -> dict[int, bytes]:
    return dict(dhcp4.parse(bytes(ask(DISCOVER, served, wanted=wanted).bootp)).options)


def decoded(value: bytes) -> list[tuple[IPv4Network, IPv4Address]]:
    """Option 121, by RFC 3442."""
    found, at = [], 0
    while at < len(value):
        bits = value[at]
        used = -(-bits // 8)
        target = value[at + 1 : at + 1 + used].ljust(4, b"\0")
        found.append((IPv4Network((target, bits)), IPv4Address(value[at + 1 + used : at + 5 + used])))
        at += 5 + used
    return found


def ways(*pairs: tuple[str, str]) -> list[tuple[IPv4Network, IPv4Address]]:
    return [(IPv4Network(to), IPv4Address(by)) for to, by in pairs]


def test_routes_of_the_configuration_have_the_default_among_them() -> None:
    served = guest(settings=guests(routes=("172.16.0.0/12@10.77.0.254", "192.0.2.128/25@10.77.0.253")))
    assert decoded(told(served)[121]) == ways(
        ("172.16.0.0/12", "10.77.0.254"), ("192.0.2.128/25", "10.77.0.253"), ("0.0.0.0/0", "10.77.0.1")
    )
    assert told(served)[3] == ROUTER  # for a client that does not know 121


def test_a_gateway_outside_of_the_subnet_is_reached_by_the_wire_first() -> None:
    served = guest(
        ip="192.0.2.5",
        subnet="192.0.2.5/32",
        gateway="169.254.1.1",
        settings=guests(routes=("10.0.0.0/8@169.254.1.2", "10.9.0.0/16@169.254.1.1", "198.51.100.7/32@0.0.0.0")),
    )
    assert decoded(told(served)[121]) == ways(
        ("169.254.1.1/32", "0.0.0.0"),
        ("169.254.1.2/32", "0.0.0.0"),
        ("10.0.0.0/8", "169.254.1.2"),
        ("10.9.0.0/16", "169.254.1.1"),
        ("198.51.100.7/32", "0.0.0.0"),
        ("0.0.0.0/0", "169.254.1.1"),
    )


def test_routes_where_there_is_no_router_to_tell() -> None:
    served = guest(private=True, settings=guests(routes=("172.16.0.0/12@10.77.0.254",)))
    assert decoded(told(served)[121]) == ways(("172.16.0.0/12", "10.77.0.254"))
    assert 3 not in told(served)


def test_a_guest_is_told_no_route_by_itself_and_none_of_ipv6() -> None:
    served = guest(settings=guests(routes=(f"172.16.0.0/12@{IP4}", "2001:db8::/32@fe80::1")))
    assert 121 not in told(served)


def test_microsofts_number_only_by_name() -> None:
    served = guest(settings=guests(routes=("172.16.0.0/12@10.77.0.254",)))
    windows = told(served, bytes((1, 3, 6, 249)))
    assert windows[249] == windows[121]
    assert 249 not in told(served)
    assert 249 not in told(guest(), bytes((249,)))


def test_ntp() -> None:
    assert told(guest(settings=guests(ntp=("10.0.0.1", "fd00::1", "10.0.0.2"))), b"\x2a")[42] == bytes(
        (10, 0, 0, 1, 10, 0, 0, 2)
    )
    assert 42 not in told(guest(settings=guests(ntp=("fd00::1",))), b"\x2a")


def test_times_and_sizes_by_terms() -> None:
    options = told(guest(settings=guests(lease=3600, mtu=1400)))
    assert [int.from_bytes(options[code], "big") for code in (51, 58, 59, 26)] == [3600, 1800, 3150, 1400]


@pytest.mark.parametrize(
    ("domains", "wire"),
    [
        pytest.param(("a.example",), b"\1a\7example\0", id="one"),
        pytest.param(("lab.example", "corp.example"), b"\3lab\7example\0\4corp\xc0\x04", id="same end"),
        pytest.param(("lab.example", "LAB.Example."), b"\3lab\7example\0\xc0\0", id="the same name"),
        pytest.param(("a.lab.example", "lab.example"), b"\1a\3lab\7example\0\xc0\x02", id="an end alone"),
        pytest.param(("lab.example", "org"), b"\3lab\7example\0\3org\0", id="nothing in common"),
        pytest.param(
            ("a.lab.example", "b.lab.example", "c.b.lab.example"),
            b"\1a\3lab\7example\0\1b\xc0\x02\1c\xc0\x0f",
            id="pointer to a pointer",
        ),
    ],
)
def test_search_list(domains: tuple[str, ...], wire: bytes) -> None:
    assert options4.search(domains) == wire
    assert told(guest(settings=guests(search=domains)))[119] == wire


label = st.text("abcXYZ019-", min_size=1, max_size=12)
domain = st.lists(label, min_size=1, max_size=5).map(".".join)


@given(st.lists(domain, max_size=8))
def test_search_list_as_scapy_reads_it(domains: list[str]) -> None:
    wire = options4.search(tuple(domains))
    found, rest = [], wire
    while rest:
        name, rest = dns_get_str(rest, full=wire)
        found.append(name.decode().rstrip(".").lower())
    assert found == [name.lower() for name in domains]
    assert len(wire) <= sum(len(names.encode(name)) for name in domains)


def test_raw_options_replace_those_of_the_same_code() -> None:
    served = guest(settings=guests(nameservers=("9.9.9.9",), options=("6:01010101", "119:", "224:00ff")))
    options = told(served, bytes((6, 119, 224)))
    assert (options[6], options[119], options[224]) == (b"\1\1\1\1", b"", b"\0\xff")


def test_a_long_raw_option_is_split() -> None:
    value = bytes(range(256)) + bytes(200)
    offer = ask(
        DISCOVER, guest(settings=guests(options=(f"43:{value.hex()}",))), wanted=b"\x2b", options={57: b"\5\xdc"}
    )
    assert offer.names.count("vendor_specific") == 2
    assert dhcp4.parse(bytes(offer.bootp)).options[43] == value


def test_vendor_options_by_network_tag() -> None:
    settings = Settings(guests=Guests({"": {"options": ("43:01",)}, "phones": {"options": ("43:02", "60:70")}}))
    assert told(guest(settings=settings), b"\x2b\x3c")[43] == b"\1"
    phone = told(guest(settings=settings, tags=("nfdhcpd", "phones")), b"\x2b\x3c")
    assert (phone[43], phone[60]) == (b"\2", b"p")


def test_the_table_and_its_sets() -> None:
    assert set(options4.OPTIONS) >= options4.ALWAYS | options4.BY_NAME
    assert options4.TIMES <= options4.ALWAYS
    assert not options4.ALWAYS & options4.BY_NAME
    assert {Code.KIND, Code.CLIENT, Code.OVERLOAD, Code.RAPID}.isdisjoint(options4.OPTIONS)
    # What is always told is what is needed most.
    assert set(list(options4.OPTIONS)[: len(options4.ALWAYS)]) == options4.ALWAYS


def test_encoded_options_are_in_order_of_need_and_shared() -> None:
    one, two = guest(), guest(ip="10.77.0.11")
    order = [code for code in options4.OPTIONS if code in one.options]
    assert [*one.options] == order
    assert one.options[6] is two.options[6]


def test_without_address() -> None:
    found = options4.without_address(Dhcp(server_ip="10.0.0.53"), Terms(ipv6_only=600))
    assert found == {54: b"\x36\4\x0a\0\0\x35", 116: b"\x74\1\0", 108: b"\x6c\4\0\0\2\x58"}
    assert options4.without_address(Dhcp(), Terms()) == {54: b"\x36\4\xc0\0\0\x08", 116: b"\x74\1\0"}


def test_fqdn_in_words() -> None:
    lease = guest().lease
    assert isinstance(lease, Lease)
    assert options4.fqdn(b"\1\0\0", lease) == b"\x0a\xff\xff" + b"web.lab.example"
    assert options4.fqdn(b"\5\0", lease) is None
