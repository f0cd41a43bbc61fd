"""What the sets of groups' members hold, and what they must."""

from __future__ import annotations

from kvm_ifup.check_members import Group, members, of_nftables
from kvm_ifup.check_rules import RELOAD, Finding
from kvm_ifup.listing import Listing

WEB = Group("security group 4f1a2b3c", ("tap0",))
SETS = ("members4_4f1a2b3c", "members6_4f1a2b3c")
BY = "by which they come to"


def test_who_is_missing_and_who_is_too_many() -> None:
    found = members({SETS[0]: ["10.0.0.2", "10.0.0.3"]}, {SETS[0]: ["10.0.0.9", "10.0.0.3"]}, dict.fromkeys(SETS, WEB))
    assert list(found) == [
        Finding("tap0", f"{WEB.words}: 10.0.0.2 is a member, and is missing in {SETS[0]}, {BY} tap0", RELOAD),
        Finding("tap0", f"{WEB.words}: 10.0.0.9 is no member, and is in {SETS[0]}, {BY} tap0", RELOAD),
    ]


def test_a_set_that_is_not_there_lacks_all() -> None:
    (one,) = members({SETS[1]: ["2001:db8::9"]}, {}, dict.fromkeys(SETS, WEB._replace(taps=("tap0", "tap1"))))
    assert one.tap is None
    assert one.found.endswith(f"2001:db8::9 is a member, and is missing in {SETS[1]}, {BY} tap0, tap1")


def test_nobody_asks_of_a_group_that_no_tap_names() -> None:
    assert list(members({}, {SETS[0]: ["10.0.0.9"]}, {})) == []


def test_the_sets_of_nftables_that_are_of_members() -> None:
    elements = {
        ("inet", SETS[0]): ['"10.0.0.9"'],
        ("inet", SETS[1]): ['"2001:db8::9"'],
        ("inet", "zones"): ["1"],
        ("netdev", "macs"): ['"tap0"'],
    }
    assert of_nftables(Listing(frozenset(), {}, {}, elements)) == {SETS[0]: ["10.0.0.9"], SETS[1]: ["2001:db8::9"]}
