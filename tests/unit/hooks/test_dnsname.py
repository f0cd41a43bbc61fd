from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooks import dnsname

LONGEST = ".".join(("a" * 62, "a" * 62, "a" * 63, "a" * 63))  # 253 characters


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("web", "web."), ("Web.Example.ORG", "web.example.org."), ("web.example.org.", "web.example.org."),
        ("_tcp.a_b", "_tcp.a_b."),
        ("a" * 63, "a" * 63 + "."), (LONGEST, LONGEST + "."),
    ],
)  # fmt: skip
def test_a_name_is_absolute_and_in_lower_case(text: str, name: str) -> None:
    assert dnsname.absolute(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "..", "a..b", ".a", "a..", "a b", "a\nsend", "a\tb", "-k", "a.-b", "a-.b", "+tcp", "@host", "a;b", "é",
        'a"b', "a\\b", "a" * 64, "a" + LONGEST,
    ],
)  # fmt: skip
def test_what_dig_or_nsupdate_would_take_for_something_else_is_no_name(text: str) -> None:
    with pytest.raises(ValueError, match="not a domain name"):
        dnsname.absolute(text)


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("a.example.org.", "example.org."), ("a.cloud.example.org.", "cloud.example.org."),
        ("cloud.example.org.", "cloud.example.org."), ("a.b.example.org.", "example.org."),
        ("myexample.org.", None), ("org.", None),
    ],
)  # fmt: skip
def test_the_longest_zone_that_matches_counts(name: str, zone: str | None) -> None:
    assert dnsname.zone_of(name, ("example.org.", "cloud.example.org.")) == zone


def test_the_order_of_zones_does_not_count() -> None:
    assert dnsname.zone_of("a.cloud.example.org.", ("cloud.example.org.", "example.org.")) == "cloud.example.org."


def test_a_pointer_ends_with_a_dot() -> None:
    assert dnsname.pointer("192.0.2.5") == "5.2.0.192.in-addr.arpa."
    assert dnsname.pointer("2001:db8::5") == "5." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa."


@pytest.mark.parametrize(
    ("prefix", "zone"),
    [
        ("10.0.0.0/8", "10.in-addr.arpa."), ("192.168.0.0/16", "168.192.in-addr.arpa."),
        ("192.0.2.0/24", "2.0.192.in-addr.arpa."), ("2001:db8::/32", "8.b.d.0.1.0.0.2.ip6.arpa."),
        ("2001:db8:f000::/36", "f.8.b.d.0.1.0.0.2.ip6.arpa."),
        ("2001:db8:1:2::/64", "2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."),
    ],
)  # fmt: skip
def test_a_prefix_has_a_zone(prefix: str, zone: str) -> None:
    assert dnsname.reverse_zone(prefix) == zone


@pytest.mark.parametrize(
    ("prefix", "why"),
    [
        ("192.0.2.0/26", "192.0.2.0/26 does not end at a multiple of 8 bits"), ("0.0.0.0/0", "multiple of 8"),
        ("2001:db8::/33", "2001:db8::/33 does not end at a multiple of 4 bits"), ("192.0.2.1/24", "host bits"),
        ("blue", "does not appear to be"),
    ],
)  # fmt: skip
def test_a_prefix_within_a_label_has_none(prefix: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        dnsname.reverse_zone(prefix)


@given(st.ip_addresses(), st.integers(1, 32))
def test_the_pointers_of_a_prefix_are_in_its_zone(address: ipaddress.IPv4Address, labels: int) -> None:
    length = min(labels * (8 if address.version == 4 else 4), address.max_prefixlen)
    prefix = str(ipaddress.ip_network(f"{address}/{length}", strict=False))
    assert dnsname.is_within(dnsname.pointer(str(address)), dnsname.reverse_zone(prefix))
