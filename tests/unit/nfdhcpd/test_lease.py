from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from ganeti_ext.binding import BindingError
from nfdhcpd.lease import Lease, lease, shared
from nfdhcpd.settings import Dhcp
from nfdhcpd.terms import Terms
from tests.unit.nfdhcpd.guest import IP4, binding, guest, guests

NONE = Terms()


def made(terms: Terms = NONE, **about: object) -> Lease:
    found = lease(binding(**about), Dhcp(), terms)
    assert found is not None
    return found


def test_a_binding_without_ip_has_no_lease() -> None:
    assert lease(binding(ip=None), Dhcp(), Terms()) is None


def test_addresses_stand_ready() -> None:
    found = made()
    assert (found.own, found.text, found.network) == (bytes((10, 77, 0, 10)), IP4, IPv4Network("10.77.0.0/24"))
    assert (str(found.server), str(found.router), found.mtu) == ("10.77.0.1", "10.77.0.1", None)


def test_terms_are_split_by_family_and_shared() -> None:
    terms = Terms(
        lease=3600,
        nameservers=("9.9.9.9", "2620:fe::fe"),
        ntp=("fd00::1", "10.0.0.1"),
        routes=("2001:db8::/32@fe80::1", "172.16.0.0/12@10.77.0.254"),
        options=("43:0a0b", "224:"),
        ipv6_only=300,
        boot_file="pxelinux.0",
    )
    found = made(terms)
    assert (found.shared.nameservers, found.shared.ntp) == ((IPv4Address("9.9.9.9"),), (IPv4Address("10.0.0.1"),))
    assert found.shared.routes == ((IPv4Network("172.16.0.0/12"), IPv4Address("10.77.0.254")),)
    assert (found.shared.options, found.shared.ipv6_only) == (((43, b"\x0a\x0b"), (224, b"")), 300)
    assert found.shared.boot is not None
    assert found.shared.boot.bios == b"pxelinux.0"
    assert found.shared.seconds == 3600
    assert made(terms, ip="10.77.0.11").shared is found.shared


@pytest.mark.parametrize(
    ("own", "terms", "mtu"), [(1400, 0, 1400), (None, 9000, 9000), (1400, 9000, 1400), (None, 0, None)]
)
def test_mtu_of_the_binding_or_the_terms(own: int | None, terms: int, mtu: int | None) -> None:
    assert made(Terms(mtu=terms), mtu=own).mtu == mtu


@pytest.mark.parametrize(
    ("hostname", "terms", "domain"),
    [("web", "", ""), ("web.example.org", "", "example.org"), ("web.example.org", "lab.example", "lab.example")],
)
def test_domain(hostname: str, terms: str, domain: str) -> None:
    assert made(Terms(domain=terms), hostname=hostname).domain == domain


PROTOCOL = (50, 51, 52, 53, 54, 55, 57, 58, 59, 61, 80, 81, 82, 108, 116)


@pytest.mark.parametrize("code", PROTOCOL)
def test_a_raw_option_that_is_the_protocols_own(code: int) -> None:
    with pytest.raises(ValueError, match=f"option {code} cannot be raw: it is the protocol's own"):
        shared(Terms(options=("43:00", f"{code}:01")))


@pytest.mark.parametrize("code", [1, 3, 28, 33, 121, 249])
def test_a_raw_option_that_follows_from_addresses(code: int) -> None:
    with pytest.raises(ValueError, match=f"option {code} cannot be raw: it follows from the addresses"):
        shared(Terms(options=(f"{code}:01",)))


@pytest.mark.parametrize("code", sorted({*range(2, 255)} - {*PROTOCOL, 3, 28, 33, 121, 249}))
def test_any_other_raw_option(code: int) -> None:
    assert shared(Terms(options=(f"{code}:01",))).options == ((code, b"\1"),)


def test_a_raw_option_said_twice() -> None:
    with pytest.raises(ValueError, match="option 43 is raw more than once"):
        shared(Terms(options=("43:00", "44:00", "43:01")))


def test_the_binding_that_says_a_bad_raw_option_is_named() -> None:
    with pytest.raises(BindingError, match="binding of tap0: option 53 cannot be raw"):
        guest(settings=guests(options=("53:05",)))


@pytest.mark.parametrize("hostname", ["web..example", ".web", "w" * 64, "wéb", "a." * 127 + "ab"])
def test_a_host_name_that_dns_could_not_hold(hostname: str) -> None:
    with pytest.raises(ValueError, match="is not a host name: bad domain name"):
        made(hostname=hostname)
