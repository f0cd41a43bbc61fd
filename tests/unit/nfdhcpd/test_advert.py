"""Advertisements of any content, and what takes them back, read by scapy."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet6 import (
    ICMPv6ND_RA,
    ICMPv6NDOptDNSSL,
    ICMPv6NDOptMTU,
    ICMPv6NDOptPREF64,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptRDNSS,
    ICMPv6NDOptRouteInfo,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)

from nfdhcpd import names
from nfdhcpd.advert import AUTONOMOUS, MANAGED, ON_LINK, OTHER, PREF64_CODES, PREFERENCES, Prefix, Told, encode
from nfdhcpd.advert import withdrawal as withdrawal_of
from tests.unit.nfdhcpd.nd import options, read

MAC = b"\2\0\0\0\0\1"
ROUTER, OTHER_ROUTER = IPv6Address("fe80::1").packed, IPv6Address("fe80::2").packed
WITHDRAWN = [ICMPv6NDOptPrefixInfo, ICMPv6NDOptRDNSS, ICMPv6NDOptPREF64, ICMPv6NDOptRouteInfo, ICMPv6NDOptDNSSL]
ALL = [ICMPv6NDOptSrcLLAddr, ICMPv6NDOptMTU, *WITHDRAWN]


def address(number: int) -> bytes:
    return IPv6Address((0xFD << 120) + number).packed


def told(**changes: Any) -> Told:
    full = Told(
        mac=MAC,
        source=ROUTER,
        limit=1500,
        flags=OTHER,
        preference=PREFERENCES["high"],
        router=1800,
        lifetime=1800,
        slla=True,
        mtu=1400,
        prefix=Prefix(64, ON_LINK | AUTONOMOUS, address(0)),
        servers=(address(1), address(2)),
        pref64=((96, IPv6Address("64:ff9b::").packed),),
        routes=((48, address(1 << 80)), (64, address(2 << 80))),
        domains=(names.encode("lab.example"), names.encode("corp.example")),
    )
    return full._replace(**changes)


def kinds(ether: Any) -> list[type]:
    return [type(option) for option in options(ether)]


def without_times(**changes: Any) -> Told:
    return told(servers=(), pref64=(), routes=(), domains=(), prefix=None, **changes)


def test_the_order_is_that_of_need() -> None:
    assert list(dict.fromkeys(kinds(read(encode(told()))))) == ALL


def test_nothing_makes_no_options() -> None:
    assert kinds(read(encode(without_times(slla=False, mtu=0)))) == []


@pytest.mark.parametrize(("bits", "code"), PREF64_CODES.items())
def test_pref64_of_any_length(bits: int, code: int) -> None:
    prefix = IPv6Address("2001:db8:1:2:3:4::").packed
    option = read(encode(told(pref64=((bits, prefix),))))[ICMPv6NDOptPREF64]
    assert (option.plc, option.prefix) == (code, "2001:db8:1:2:3:4::")


@pytest.mark.parametrize(
    ("seconds", "scaled"), [(0, 0), (1, 1), (8, 1), (1801, 226), (65528, 8191), (65529, 8191), (1 << 20, 8191)]
)
def test_scaled_lifetime(seconds: int, scaled: int) -> None:
    assert read(encode(told(lifetime=seconds)))[ICMPv6NDOptPREF64].scaledlifetime == scaled


def test_no_more_routes_than_a_host_should_be_told() -> None:
    ether = read(encode(told(routes=tuple((64, address(n << 64)) for n in range(30)))))
    found = [option.prefix for option in options(ether) if isinstance(option, ICMPv6NDOptRouteInfo)]
    assert found == [str(IPv6Address(address(n << 64))) for n in range(17)]


@pytest.mark.parametrize("limit", [1280, 1400, 1500])
def test_what_does_not_fit_is_left_out_from_the_end(limit: int) -> None:
    domains = tuple(names.encode(f"d{n:02}.{'x' * 60}.example") for n in range(30))
    full = told(limit=limit, servers=tuple(map(address, range(50))), domains=domains)
    frame = encode(full)
    ether = read(frame)
    # Each of the domains has 74 bytes.
    assert limit - 80 <= len(frame) - 14 <= limit
    assert ether[ICMPv6NDOptRDNSS].dns == [str(IPv6Address(server)) for server in full.servers]
    fit = ether[ICMPv6NDOptDNSSL].searchlist
    assert fit == [f"d{n:02}.{'x' * 60}.example." for n in range(len(fit))]
    assert 0 < len(fit) < 30


def test_when_not_even_the_servers_fit() -> None:
    ether = read(encode(told(limit=1280, servers=tuple(map(address, range(200))))))
    assert kinds(ether)[:3] == ALL[:3]
    assert ether[ICMPv6NDOptRDNSS].dns[0] == str(IPv6Address(address(0)))
    assert len(ether[IPv6]) <= 1280


@given(
    st.integers(1280, 1500),
    st.integers(0, 150),
    st.lists(st.sampled_from(["a", "b.example", f"{'c' * 63}.{'d' * 63}.example"]), max_size=40),
    st.integers(0, 30),
)
def test_never_larger_than_the_limit(limit: int, servers: int, domains: list[str], routes: int) -> None:
    ether = read(
        encode(
            told(
                limit=limit,
                servers=tuple(map(address, range(servers))),
                domains=tuple(map(names.encode, domains)),
                routes=tuple((128, address(n)) for n in range(routes)),
            )
        )
    )
    assert len(ether[IPv6]) <= limit


def taken(old: Told, new: Told | None) -> Any:
    found = withdrawal_of(old, new)
    assert found is not None
    return read(encode(found))


def test_all_of_it_is_taken_back_by_the_same_router() -> None:
    ether = taken(told(flags=MANAGED | OTHER), None)
    message = ether[ICMPv6ND_RA]
    assert (ether.src, ether[IPv6].src, ether[IPv6].dst) == (MAC.hex(":"), "fe80::1", "ff02::1")
    assert (message.routerlifetime, message.prf, message.M, message.O) == (0, 0, 1, 1)
    assert list(dict.fromkeys(kinds(ether))) == WITHDRAWN
    prefix = ether[ICMPv6NDOptPrefixInfo]
    assert (prefix.validlifetime, prefix.preferredlifetime, prefix.L, prefix.A) == (0, 0, 1, 1)
    assert (prefix.prefix, prefix.prefixlen) == (str(IPv6Address(address(0))), 64)
    assert (ether[ICMPv6NDOptRDNSS].lifetime, len(ether[ICMPv6NDOptRDNSS].dns)) == (0, 2)
    assert (ether[ICMPv6NDOptDNSSL].lifetime, len(ether[ICMPv6NDOptDNSSL].searchlist)) == (0, 2)
    assert ether[ICMPv6NDOptPREF64].scaledlifetime == 0
    assert [o.rtlifetime for o in options(ether) if isinstance(o, ICMPv6NDOptRouteInfo)] == [0, 0]


def test_nothing_is_taken_back_that_is_told_again() -> None:
    assert withdrawal_of(told(), told()) is None
    assert withdrawal_of(told(), told(mtu=0, flags=0, preference=0, slla=False)) is None
    assert withdrawal_of(without_times(router=0), None) is None
    assert withdrawal_of(without_times(router=0), told()) is None


def test_a_prefix_that_loses_a_flag_runs_out() -> None:
    assert withdrawal_of(told(), told(prefix=Prefix(64, 0, address(0)))) is None


@pytest.mark.parametrize("prefix", [None, Prefix(64, ON_LINK, address(1 << 64)), Prefix(63, ON_LINK, address(0))])
def test_another_prefix_and_the_router_stays(prefix: Prefix | None) -> None:
    ether = taken(told(), told(prefix=prefix, flags=MANAGED, preference=PREFERENCES["low"]))
    message = ether[ICMPv6ND_RA]
    assert (message.routerlifetime, message.prf, message.M, message.O) == (1800, 3, 1, 0)
    assert kinds(ether) == [ICMPv6NDOptPrefixInfo]
    assert ether[ICMPv6NDOptPrefixInfo].prefix == str(IPv6Address(address(0)))


def test_no_router_any_more_and_all_else_stays() -> None:
    ether = taken(told(), told(router=0))
    assert (ether[ICMPv6ND_RA].routerlifetime, kinds(ether)) == (0, [])


def test_another_router_takes_its_routes_and_leaves_what_is_the_links() -> None:
    ether = taken(told(), told(source=OTHER_ROUTER, mac=b"\2\0\0\0\0\2"))
    assert (ether[IPv6].src, ether.src, ether[ICMPv6ND_RA].routerlifetime) == ("fe80::1", MAC.hex(":"), 0)
    assert kinds(ether) == [ICMPv6NDOptRouteInfo] * 2


@pytest.mark.parametrize(
    ("field", "kind", "gone", "what"),
    [
        ("servers", ICMPv6NDOptRDNSS, "dns", [str(IPv6Address(address(1)))]),
        ("domains", ICMPv6NDOptDNSSL, "searchlist", ["lab.example."]),
        ("routes", ICMPv6NDOptRouteInfo, "prefix", str(IPv6Address(address(1 << 80)))),
        ("pref64", ICMPv6NDOptPREF64, "prefix", "64:ff9b::"),
    ],
)
def test_one_of_several_is_taken_back_alone(field: str, kind: type, gone: str, what: Any) -> None:
    ether = taken(told(), told(**{field: getattr(told(), field)[1:]}))
    assert kinds(ether) == [kind]
    assert getattr(ether[kind], gone) == what
    assert ether[ICMPv6ND_RA].routerlifetime == 1800


def test_a_withdrawal_fits_a_link_that_became_smaller() -> None:
    servers = tuple(map(address, range(90)))
    ether = taken(told(servers=servers), told(limit=1280, servers=()))
    assert len(ether[IPv6]) <= 1280
