from __future__ import annotations

import pytest

from nfdhcpd.mode import Mode, mode
from nfdhcpd.terms import Terms

NARROW, WIDE = "fd00:77::/64", "fd00:77::/80"
NOTHING = Mode(slaac=False, stateless=False, stateful=False, addresses=False)
INFORMATION = Mode(slaac=False, stateless=True, stateful=False, addresses=False)
MANAGED = Mode(slaac=False, stateless=True, stateful=True, addresses=True)


@pytest.mark.parametrize(
    ("word", "subnet6", "expected"),
    [
        ("slaac", NARROW, Mode(slaac=True, stateless=False, stateful=False, addresses=False)),
        ("slaac", WIDE, NOTHING),
        ("slaac", None, NOTHING),
        ("slaac+dhcpv6", NARROW, Mode(slaac=True, stateless=True, stateful=False, addresses=False)),
        ("slaac+dhcpv6", WIDE, INFORMATION),
        ("slaac+dhcpv6", None, INFORMATION),
        ("dhcpv6", NARROW, MANAGED),
        ("dhcpv6", WIDE, MANAGED),
        ("dhcpv6", None, INFORMATION),
        # Not invited to ask for an address, and given it when asking.
        ("auto", NARROW, Mode(slaac=True, stateless=True, stateful=False, addresses=True)),
        ("auto", "fd00:77::5/64", Mode(slaac=True, stateless=True, stateful=False, addresses=True)),
        ("auto", WIDE, MANAGED),
        ("auto", "fd00:77::/63", MANAGED),
        ("auto", None, INFORMATION),
    ],
)
def test_modes(word: str, subnet6: str | None, expected: Mode) -> None:
    assert mode(Terms(ipv6_mode=word), subnet6) == expected


@pytest.mark.parametrize(("word", "managed"), [("auto", True), ("slaac+dhcpv6", False), ("slaac", False)])
def test_a_prefix_is_to_be_asked_for(word: str, managed: bool) -> None:
    found = mode(Terms(ipv6_mode=word, prefix6="fd00:88::/56"), NARROW)
    assert (found.slaac, found.stateful, found.addresses) == (True, managed, managed)


def test_auto_is_the_default() -> None:
    assert mode(Terms(), NARROW).slaac


def test_bad_network() -> None:
    with pytest.raises(ValueError, match="fd00:77::x"):
        mode(Terms(), "fd00:77::x/64")
