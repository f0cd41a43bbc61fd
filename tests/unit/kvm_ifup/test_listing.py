"""What nft says in JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kvm_ifup import listing


def said(*items: dict[str, Any]) -> str:
    return json.dumps({"nftables": [{"metainfo": {"json_schema_version": 1}}, *items]})


OURS = {"family": "netdev", "table": "ganeti_ext"}


def test_only_our_tables_count() -> None:
    found = listing.parse(
        said(
            {"table": {"family": "netdev", "name": "ganeti_ext", "handle": 1}},
            {"table": {"family": "inet", "name": "filter"}},
            {"chain": {"family": "inet", "table": "filter", "name": "c"}},
            {"set": {**OURS, "name": "macs", "elem": ["a", 7]}},
            {"map": {**OURS, "name": "empty"}},
            {"chain": {**OURS, "name": "c", "handle": 3, "hook": "ingress", "prio": -500, "dev": "tap0"}},
            {"rule": {**OURS, "chain": "c", "handle": 9, "expr": [{"drop": None}], "comment": "x"}},
            {"rule": {**OURS, "chain": "d", "handle": 9, "expr": []}},
        )
    )
    assert found.tables == {"netdev"}
    assert found.chains == {("netdev", "c"): '{"dev": "tap0", "hook": "ingress", "prio": -500}'}
    assert found.rules == {
        ("netdev", "c"): ['{"comment": "x", "expr": [{"drop": null}]}'],
        ("netdev", "d"): ['{"expr": []}'],
    }
    assert found.elements == {("netdev", "macs"): ['"a"', "7"], ("netdev", "empty"): []}


def test_no_rules_at_all() -> None:
    assert listing.parse(said()) == (frozenset(), {}, {}, {})


@pytest.mark.parametrize(
    ("element", "key", "tap"),
    [
        ({"concat": ["tap0", "52:54:00:00:00:01"]}, '"tap0" . 52:54:00:00:00:01', "tap0"),
        ({"concat": ["tap0", "10.0.0.5"]}, '"tap0" . 10.0.0.5', "tap0"),
        ({"concat": ["tap0", 7]}, '"tap0" . 7', "tap0"),
        ({"concat": ["tap0", "0x20010db8"]}, '"tap0" . 0x20010db8', "tap0"),
        ({"concat": ["tap0", {"prefix": {"addr": "10.1.0.0", "len": 16}}]}, '"tap0" . 10.1.0.0/16', "tap0"),
        ({"concat": ["tap0", {"range": ["52:54:00:00:00:00", "52:54:0f:ff:ff:ff"]}]}, None, "tap0"),
        (["tap0", {"goto": {"target": "mark_2"}}], '"tap0"', "tap0"),
        ([{"concat": ["br0", "2001:db8::1"]}, {"goto": {"target": "mark_2"}}], '"br0" . 2001:db8::1', "br0"),
        ([131072, {"jump": {"target": "profile_2"}}], "131072", ""),
        ({"elem": {"val": "tap0", "comment": "x"}}, '"tap0"', "tap0"),
        ("52:54:00:00:00:01", "52:54:00:00:00:01", ""),
    ],
)
def test_the_key_of_an_element_is_as_nft_takes_it(element: Any, key: str | None, tap: str) -> None:
    text = json.dumps(element)
    assert listing.key(text) == (key or '"tap0" . 52:54:00:00:00:00-52:54:0f:ff:ff:ff')
    assert listing.tap(text) == tap
