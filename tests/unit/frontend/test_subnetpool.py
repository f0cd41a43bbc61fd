"""Which addresses of a subnet Ganeti chooses from."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontend.network import subnetpool

NET = IPv4Network("10.1.0.0/28")


def pool(first: str, last: str) -> dict[str, str]:
    return {"start": first, "end": last}


def test_without_pools_all_is_one_but_for_the_gateway() -> None:
    assert subnetpool.shown(str(NET), "10.1.0.1", ()) == [pool("10.1.0.2", "10.1.0.14")]
    around = [pool("10.1.0.1", "10.1.0.6"), pool("10.1.0.8", "10.1.0.14")]
    assert subnetpool.shown(str(NET), "10.1.0.7", ()) == around
    assert subnetpool.shown(str(NET), None, ()) == [pool("10.1.0.1", "10.1.0.14")]
    assert subnetpool.apart(NET, "10.1.0.1", ()) == set()


def test_pools_set_all_else_apart() -> None:
    texts = ("10.1.0.8-10.1.0.9", "10.1.0.3-10.1.0.4")
    assert subnetpool.shown(str(NET), None, texts) == [pool("10.1.0.3", "10.1.0.4"), pool("10.1.0.8", "10.1.0.9")]
    assert subnetpool.apart(NET, "10.1.0.1", texts) == {f"10.1.0.{last}" for last in (2, 5, 6, 7, 10, 11, 12, 13, 14)}


@given(st.sets(st.integers(1, 14), min_size=1), st.none() | st.integers(1, 14))
def test_what_is_apart_and_what_is_not_are_all_hosts(chosen: set[int], gateway: int | None) -> None:
    texts = [f"{NET[number]}-{NET[number]}" for number in chosen]
    by = str(NET[gateway]) if gateway else None
    expected = {str(NET[number]) for number in range(1, 15) if number not in chosen} - {by}
    assert subnetpool.apart(NET, by, texts) == expected


def test_too_many_cannot_be_set_apart() -> None:
    small = subnetpool.text((IPv4Address("10.1.0.2"), IPv4Address("10.1.0.9")))
    with pytest.raises(ValueError, match=r"65526 addresses of 10.1.0.0/16 are outside of them, and at most 4096"):
        subnetpool.apart(IPv4Network("10.1.0.0/16"), "10.1.0.1", (small,))
    large = subnetpool.text((IPv4Address("10.1.16.0"), IPv4Address("10.1.255.254")))
    assert len(subnetpool.apart(IPv4Network("10.1.0.0/16"), "10.1.0.1", (large,))) == 4094


def test_what_an_administrator_made_unreadable_is_passed_over() -> None:
    assert subnetpool.shown(str(NET), None, ("x", "10.1.0.3-")) == [pool("10.1.0.1", "10.1.0.14")]
    assert subnetpool.shown("10.0.0.0/32", None, ()) == subnetpool.shown("fd00::/128", None, ()) == []


def test_of_ipv6_all_is_one_but_for_the_gateway_where_nothing_else_is_said() -> None:
    assert subnetpool.shown("fd00::/64", None, ("fd00::5-fd00::9",)) == [pool("fd00::5", "fd00::9")]
    last = "fd00::ffff:ffff:ffff:ffff"
    assert subnetpool.shown("fd00::/64", "fd00::1", ()) == [pool("fd00::2", last)]
    assert subnetpool.shown("fd00::/64", "fe80::1", ()) == [pool("fd00::1", last)]
