"""Addresses and host names from what Ganeti says of a NIC."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganeti_ext import addresses, tags
from ganeti_ext.errors import ContractError
from ganeti_ext.nicenv import Network, Nic

_RFC_1123 = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def test_both_families(nic: Nic) -> None:
    found = addresses.of(nic)
    assert found[:3] == ("10.0.0.5", "10.0.0.0/24", "10.0.0.1")
    assert found[3:6] == ("2001:db8::5054:ff:fe00:1", "2001:db8::/64", "2001:db8::1")


def test_a_tag_blanks_a_family(nic: Nic) -> None:
    both = addresses.of(nic)
    assert addresses.of(nic._replace(tags=(tags.DISABLE_IPV4,))) == both._replace(ip=None, subnet=None, gateway=None)
    no6 = addresses.of(nic._replace(tags=(tags.DISABLE_IPV6,)))
    assert no6 == both._replace(eui64=None, subnet6=None, gateway6=None)


def test_an_address_needs_no_network(nic: Nic) -> None:
    assert addresses.of(nic._replace(network=None)) == addresses.Addresses(ip="10.0.0.5")


def test_an_odd_subnet_is_warned_of_unless_ipv6_is_off(nic: Nic, network: Network) -> None:
    odd = nic._replace(network=network._replace(subnet6="2001:db8::/48"))
    assert addresses.of(odd).warnings == (
        "no global IPv6 address for gx-1.example.org: 2001:db8::/48: an EUI-64 address needs a /64",
    )
    assert addresses.of(odd._replace(tags=(tags.DISABLE_IPV6,))).warnings == ()


@pytest.mark.parametrize("ip", ["10.0.0", "10.0.0.5/24", "2001:db8::1", "10.0.0.5 }"])
def test_a_bad_address_is_named(nic: Nic, ip: str) -> None:
    with pytest.raises(ContractError, match=f"IP has a bad value '{ip}'"):
        addresses.of(nic._replace(ip=ip))


def test_a_bad_ipv6_gateway_is_named(nic: Nic, network: Network) -> None:
    with pytest.raises(ContractError, match="NETWORK_GATEWAY6 has a bad value 'fe80'"):
        addresses.of(nic._replace(network=network._replace(gateway6="fe80")))


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("web", "web"),
        ("Web Server", "web-server"),
        ("a.b_c", "a-b-c"),
        ("--x--", "x"),
        ("x" * 80, "x" * 63),
        ("y" * 62 + " z", "y" * 62),
        ("München", "m-nchen"),
        ("日本", "gx-1"),
        ("", "gx-1"),
    ],
)
def test_host_name(name: str, label: str) -> None:
    assert addresses.host_name("gx-1.example.org", tags.encode({"name": name})) == label


@given(st.text(max_size=100), st.text(max_size=20))
def test_a_host_name_is_a_label_whatever_the_tenant_says(name: str, instance: str) -> None:
    assert _RFC_1123.fullmatch(addresses.host_name(instance, tags.encode({"name": name})))
