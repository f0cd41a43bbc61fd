"""Addresses that follow from a MAC."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganeti_ext.address import eui64, link_local


def test_the_example_of_rfc_2464() -> None:
    # RFC 2464, section 4: 34-56-78-9A-BC-DE gives 36-56-78-FF-FE-9A-BC-DE.
    assert eui64("34:56:78:9a:bc:de", "2001:db8::/64") == "2001:db8::3656:78ff:fe9a:bcde"


def test_a_locally_administered_mac_loses_the_bit() -> None:
    assert link_local("aa:00:00:11:22:33") == "fe80::a800:ff:fe11:2233"


def test_host_bits_of_the_subnet_do_not_count() -> None:
    assert eui64("aa:00:00:00:00:01", "2001:db8::5/64") == eui64("aa:00:00:00:00:01", "2001:db8::/64")


@pytest.mark.parametrize("subnet", ["2001:db8::/63", "2001:db8::/65", "2001:db8::1/128", "::/0"])
def test_any_other_length_than_64_is_refused_with_its_subnet(subnet: str) -> None:
    with pytest.raises(ValueError, match="needs a /64") as caught:
        eui64("aa:00:00:00:00:01", subnet)
    assert subnet in str(caught.value)


@pytest.mark.parametrize("subnet", ["192.0.2.0/24", "", "garbage"])
def test_what_is_no_ipv6_subnet_is_refused(subnet: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        eui64("aa:00:00:00:00:01", subnet)


@given(st.binary(min_size=6, max_size=6), st.integers(0, 2**64 - 1))
def test_the_mac_and_the_subnet_can_be_read_back(mac: bytes, prefix: int) -> None:
    subnet = ipaddress.IPv6Network((prefix << 64, 64))
    address = ipaddress.IPv6Address(eui64(mac.hex(":"), str(subnet)))
    low = address.packed[8:]
    assert address in subnet
    assert bytes((low[0] ^ 2,)) + low[1:3] + low[5:] == mac
    assert low[3:5] == b"\xff\xfe"
