"""Rules that must stand against rules that do."""

from __future__ import annotations

import json

import pytest

from kvm_ifup import check_rules
from kvm_ifup.check_rules import RELOAD, Finding
from kvm_ifup.listing import Listing

HOOK = '{"hook": "ingress", "policy": "drop", "prio": -500, "type": "filter"}'
MAC = json.dumps({"concat": ["tap0", "52:54:00:00:00:01"]})
BASE = '{"hook": "forward", "prio": 0}'
PORTS = {"port_12": "tap0"}


def wanted() -> Listing:
    """One hooked chain, one of a tap, one set."""
    return Listing(
        frozenset(("netdev", "inet")),
        {("inet", "forward"): BASE, ("netdev", "port_12"): "{}"},
        {("inet", "forward"): ["a", "b", "b"], ("netdev", "port_12"): ["goto"]},
        {("netdev", "macs"): [MAC], ("inet", "zones"): []},
    )


def there() -> Listing:
    found = wanted()
    found.chains["netdev", "port_12"] = HOOK
    return found


def both(found: Listing) -> list[Finding]:
    return [*check_rules.rules(wanted(), found, PORTS), *check_rules.more(wanted(), found, ())]


def test_nothing_is_found_where_all_is_as_it_must_be() -> None:
    assert both(there()) == []
    found = there()
    for dev in ('"tap0"', '["tap0"]'):
        found.chains["netdev", "port_12"] = HOOK.replace("{", f'{{"dev": {dev}, ')
        assert both(found) == []


def test_a_table_that_is_not_there_is_said_once() -> None:
    assert both(Listing(frozenset(), {}, {}, {})) == [
        Finding(None, f"there is no table {family} ganeti_ext", RELOAD) for family in ("inet", "netdev")
    ]


def test_chains() -> None:
    found = there()
    del found.chains["netdev", "port_12"]
    assert both(found) == [Finding("tap0", "there is no chain port_12 of netdev ganeti_ext", RELOAD)]
    found = there()
    found.chains["inet", "forward"] = '{"hook": "forward", "prio": 5}'
    (one,) = both(found)
    assert one.found == 'chain forward of inet ganeti_ext hangs at {"hook": "forward", "prio": 5}, not where it must'
    assert one.todo == f"nft delete chain inet ganeti_ext forward; {RELOAD}"


@pytest.mark.parametrize(
    "hook",
    ["{}", HOOK.replace("ingress", "egress"), HOOK.replace("drop", "accept"), HOOK.replace("{", '{"dev": "tap1", ')],
)
def test_a_taps_own_chain_has_to_judge_what_it_says(hook: str) -> None:
    found = there()
    found.chains["netdev", "port_12"] = hook
    (one,) = both(found)
    assert (one.tap, "hangs at" in one.found) == ("tap0", True)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (["a", "b"], "1 of its rules are missing, 0 are too many"),
        ([], "3 of its rules are missing, 0 are too many"),
        (["a", "b", "b", "c"], "0 of its rules are missing, 1 are too many"),
        (["b", "a", "b"], "its rules are in disorder"),
        (["x", "b", "b"], "1 of its rules are missing, 1 are too many"),
    ],
)
def test_rules_of_a_chain(rules: list[str], words: str) -> None:
    found = there()
    found.rules["inet", "forward"] = rules
    assert both(found) == [Finding(None, f"chain forward of inet ganeti_ext: {words}", RELOAD)]


def test_elements() -> None:
    found = there()
    found.elements["netdev", "macs"] = [json.dumps({"concat": ["tap9", "52:54:00:00:00:09"]})]
    assert both(found) == [
        Finding("tap0", '"tap0" . 52:54:00:00:00:01 is missing in macs of netdev ganeti_ext', RELOAD),
        Finding(
            "tap9",
            '"tap9" . 52:54:00:00:00:09 in macs is in no record',
            "nft delete element netdev ganeti_ext macs '{ \"tap9\" . 52:54:00:00:00:09 }'",
        ),
    ]
    assert [one.tap for one in check_rules.more(wanted(), found, ("tap9",))] == [], "it is undone from its record"


def test_what_is_of_no_tap() -> None:
    found = there()
    found.chains.update({("netdev", "port_9"): HOOK, ("inet", "profile_9"): "{}", ("inet", "mark_9"): "{}"})
    found.elements["inet", "zones"] = ['["52:54:00:00:00:00", 3]']
    assert both(found) == [
        Finding(
            None,
            "chain port_9 of netdev ganeti_ext is of no tap that is recorded",
            "nft delete chain netdev ganeti_ext port_9",
        )
    ]
    assert list(check_rules.more(wanted(), found, ("port_9",))) == []


def test_rules_of_iptables() -> None:
    assert list(check_rules.legacy(["a", "b"], ["x", "a", "b"])) == []
    assert list(check_rules.legacy(["a", "b"], ["a"])) == [Finding(None, "there is no rule b", RELOAD)]
    (one,) = check_rules.legacy(["a", "b"], ["b", "a"])
    assert one.found == "rules of iptables stand in another order than they must"
    (one,) = check_rules.legacy(["a", "b"], ["a", "b", "a"])
    assert "another order" in one.found
