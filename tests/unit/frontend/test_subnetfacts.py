"""What the tags of a network say of its subnets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontend.network import subnetfacts
from frontend.network.subnetfacts import Subnet
from ganeti_ext import tags

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=60)
LABEL = st.text(st.characters(codec="ascii", min_codepoint=48), min_size=1, max_size=10).filter(
    lambda text: "," not in text
)
OTHER = ["private-filtered", "ganeti-ext:project:p", "nfdhcpd:lease:3600", "nfdhcpd:domain:*zz"]
FOUR = Subnet(
    "front", "The *first*", ("a", "b"), ("10.1.0.2-10.1.0.9",), ("9.9.9.9", "1.1.1.1"), ("10.0.0.0/8@10.1.0.5",)
)
SIX = Subnet("six", nameservers=("fd00::53",), routes=("fd01::/64@fd00::5",), mode="slaac+dhcpv6")


@given(WORDS, WORDS, st.lists(LABEL, max_size=3, unique=True), st.booleans())
def test_what_is_written_is_read(name: str, description: str, labels: list[str], dhcp: bool) -> None:
    four = FOUR._replace(name=name, description=description, labels=tuple(labels), dhcp=dhcp)
    written = subnetfacts.write(OTHER, 4, four, None)
    assert set(OTHER) <= set(written)
    assert max(map(len, written)) <= 128
    assert subnetfacts.read(written, 4) == four


def test_the_two_of_a_network_are_told_apart() -> None:
    both = subnetfacts.write(subnetfacts.write(OTHER, 4, FOUR, None), 6, SIX, 4)
    assert (subnetfacts.read(both, 4), subnetfacts.read(both, 6)) == (FOUR, SIX)
    assert "nfdhcpd:nameservers:9.9.9.9*201.1.1.1" in both
    assert {"nfdhcpd", "nfdhcpd:routes:10.0.0.0/8@10.1.0.5", "nfdhcpd:ipv6_mode:slaac*2Bdhcpv6"} <= set(both)
    assert set(subnetfacts.write(both, 6, None, 4)) == set(subnetfacts.write(OTHER, 4, FOUR, None))
    changed = subnetfacts.write(both, 4, FOUR._replace(nameservers=(), name=""), 6)
    assert subnetfacts.read(changed, 6) == SIX
    assert set(both) - set(changed) == {"nfdhcpd:nameservers:9.9.9.9*201.1.1.1", "ganeti-ext:name4:front"}


@pytest.mark.parametrize(
    ("four", "six", "said"),
    [
        (True, True, {"nfdhcpd"}),
        (True, False, {"nfdhcpd", "nfdhcpd:only:ipv4"}),
        (False, True, {"nfdhcpd", "nfdhcpd:only:ipv6"}),
        (False, False, set()),
        (True, None, {"nfdhcpd"}),
        (False, None, set()),
    ],
)
def test_nfdhcpd_is_told_which_of_them_it_serves(*, four: bool, six: bool | None, said: set[str]) -> None:
    found = subnetfacts.write([], 4, Subnet(dhcp=four), None)
    if six is not None:
        found = subnetfacts.write(found, 6, Subnet(dhcp=six), 4)
        assert subnetfacts.read(found, 6).dhcp is six
    assert (set(found), subnetfacts.read(found, 4).dhcp) == (said, four)
    again = subnetfacts.write(found, 4, Subnet(dhcp=four), 6 if six is not None else None)
    assert set(again) == said


def test_what_is_too_long_for_a_tag_is_said() -> None:
    long = Subnet(nameservers=tuple(f"2001:db8:1234:5678:9abc:def0:1234:567{last}" for last in range(4)))
    with pytest.raises(ValueError, match=r"dns_nameservers: 2001:.*5673 are 181 characters in a tag"):
        subnetfacts.write([], 6, long, 4)


def test_facts_of_the_network_change_and_go() -> None:
    known = subnetfacts.change(OTHER, {"description": "x" * 200, "label": "a,b"})
    assert tags.decode(known) == {"project": "p", "description": "x" * 200, "label": "a,b"}
    assert set(subnetfacts.change(known, {"description": "", "label": ""})) == set(OTHER)
