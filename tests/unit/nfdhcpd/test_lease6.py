from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network
from typing import Any

import pytest

from nfdhcpd.lease6 import Grant, Lease6
from tests.unit.nfdhcpd.guest import guests
from tests.unit.nfdhcpd.guest6 import ADDRESS, FOREIGN, OTHER, PREFIX, SERVER_DUID, lease


def found(**about: Any) -> Lease6:
    six = lease(**about)
    assert six is not None
    return six


def test_what_a_binding_gives() -> None:
    six = found()
    assert six.address == Grant(IPv6Address(ADDRESS).packed, ADDRESS)
    assert (six.prefix, six.network, six.duid) == (None, IPv6Network("fd00:77::/64"), SERVER_DUID)


@pytest.mark.parametrize("seconds", [60, 61, 604800, 0xFFFFFFFE])
def test_times_grow_for_any_lease(seconds: int) -> None:
    six = found(settings=guests(lease=seconds))
    assert 0 < six.t1 < six.t2 < six.preferred < six.valid == seconds
    assert (six.t1, six.t2) == (six.preferred // 2, six.preferred * 4 // 5)


@pytest.mark.parametrize(
    ("about", "word", "address", "speaks"),
    [
        pytest.param({}, "auto", ADDRESS, True, id="asked for, though SLAAC is what is advertised"),
        pytest.param({}, "slaac", None, False, id="slaac"),
        pytest.param({}, "slaac+dhcpv6", None, True, id="stateless"),
        pytest.param({}, "dhcpv6", ADDRESS, True, id="stateful"),
        pytest.param({"subnet6": "fd00:77::/48"}, "auto", ADDRESS, True, id="no /64"),
        pytest.param({"eui64": None}, "dhcpv6", None, True, id="no address"),
        pytest.param({"subnet6": None, "eui64": None}, "dhcpv6", None, True, id="link-local only"),
        pytest.param({"subnet6": None, "eui64": None, "gateway6": None}, "dhcpv6", None, False, id="no IPv6"),
    ],
)
def test_modes(about: dict[str, Any], word: str, address: str | None, speaks: bool) -> None:
    six = lease(guests(ipv6_mode=word), **about)
    assert (six is not None) is speaks
    if six is not None:
        assert (six.address.text if six.address else None) == address


def test_an_address_of_any_form() -> None:
    assert found(eui64="fd00:77::5", subnet6="fd00:77::/120").address == Grant(
        IPv6Address("fd00:77::5").packed, "fd00:77::5"
    )


def test_the_first_address_of_two_is_a_host() -> None:
    assert found(eui64="fd00:77::", subnet6="fd00:77::/127").address is not None


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ({"eui64": FOREIGN}, "EUI64 2001:db8::1 is no host of SUBNET6 fd00:77::/64"),
        ({"eui64": "fd00:77::"}, "EUI64 fd00:77:: is no host"),
        ({"subnet6": None}, "EUI64 .* without SUBNET6"),
        ({"eui64": "fd00:77::x"}, "fd00:77::x"),
        ({"subnet6": "fd00:77::/129"}, "129"),
        ({"hostname": "web..example"}, "web..example"),
        ({"settings": guests(options6=("3:00",))}, "option 3 cannot be raw"),
    ],
)
def test_bad_bindings(about: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        lease(**about)


def test_a_bad_address_is_bad_in_any_mode() -> None:
    with pytest.raises(ValueError, match="no host"):
        lease(guests(ipv6_mode="slaac"), eui64=FOREIGN)


def test_prefix() -> None:
    prefix = found(settings=guests(prefix6=PREFIX)).prefix
    assert prefix == Grant(b"\x38" + IPv6Network(PREFIX).network_address.packed, PREFIX)


def test_who_is_given_nothing_need_not_ask_often() -> None:
    often, seldom = ((82).to_bytes(2, "big") + b"\0\4" + seconds.to_bytes(4, "big") for seconds in (3600, 86400))
    assert found().options[82] == often
    assert found(settings=guests(ipv6_mode="slaac+dhcpv6")).options[82] == seldom
    assert found(settings=guests(ipv6_mode="slaac+dhcpv6", prefix6=PREFIX)).options[82] == often


def test_of_the_link() -> None:
    six = found()
    assert six.has(IPv6Address(OTHER).packed)
    assert not six.has(IPv6Address(FOREIGN).packed)
    # Without a network there is no telling.
    assert found(subnet6=None, eui64=None).has(IPv6Address(FOREIGN).packed)


@pytest.mark.parametrize(
    ("hostname", "domain", "expected"),
    [
        ("web", "lab.example", b"\3web\3lab\7example\0"),
        ("web.corp.example", "lab.example", b"\3web\4corp\7example\0"),
        ("web.corp.example", "", b"\3web\4corp\7example\0"),
        ("web", "", b"\3web"),  # RFC 4704, 4.2: a part of a name has no end
    ],
)
def test_name(hostname: str, domain: str, expected: bytes) -> None:
    assert found(settings=guests(domain=domain), hostname=hostname).fqdn == expected


def test_guests_that_are_told_the_same_share_it() -> None:
    assert found(tap="tap0").options is found(tap="tap1", hostname="mail").options
