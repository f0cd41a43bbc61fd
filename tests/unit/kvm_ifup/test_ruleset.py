"""The nft text holds together."""

from __future__ import annotations

import re

from kvm_ifup import ruleset

TEXT = ruleset.skeleton()


def test_all_that_rules_name_is_there() -> None:
    sets = set(re.findall(r"^add set bridge ganeti_ext (\w+)", TEXT, re.MULTILINE))
    chains = set(re.findall(r"^add chain bridge ganeti_ext (\w+)", TEXT, re.MULTILINE))
    assert set(re.findall(r"@(\w+)(?!,)\b", re.sub(r"@[nt]h,\d+,\d+", "", TEXT))) == sets
    assert set(re.findall(r"goto (\w+)", TEXT)) == chains - {"prerouting"}


def test_chains_are_emptied_before_they_are_filled() -> None:
    for chain in re.findall(r"^add chain bridge ganeti_ext (\w+)", TEXT, re.MULTILINE):
        assert TEXT.index(f"flush chain bridge ganeti_ext {chain}\n") < TEXT.index(
            f"add rule bridge ganeti_ext {chain} "
        )


def test_every_chain_but_the_hook_ends_in_drop() -> None:
    last = dict(re.findall(r"^add rule bridge ganeti_ext (\w+) (.*)$", TEXT, re.MULTILINE))
    assert last.pop("prerouting") == "iifname @taps goto from_tap"
    assert set(last.values()) == {"drop"}


def test_only_the_judgement_of_taps_is_hooked() -> None:
    assert TEXT.count("hook") == 1
    assert "policy drop" not in TEXT


def test_allow() -> None:
    assert ruleset.allow("tap0", 12, [("taps", ""), ("ip4", "10.0.0.5")]).splitlines() == [
        'add chain netdev ganeti_ext port_12 { type filter hook ingress device "tap0" priority -500; policy accept; }',
        "flush chain netdev ganeti_ext port_12",
        "add rule netdev ganeti_ext port_12 ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00 drop",
        'add element bridge ganeti_ext taps { "tap0" }',
        'add element bridge ganeti_ext ip4 { "tap0" . 10.0.0.5 }',
    ]


def test_forget_stands_alone() -> None:
    lines = ruleset.forget("tap0", 12, [("taps", ""), ("ip4", "10.0.0.5")]).splitlines()
    assert lines[:2] == ["add table bridge ganeti_ext", "add table netdev ganeti_ext"]
    assert [line for line in lines if not line.startswith(("add table", "add set"))] == [
        "add chain netdev ganeti_ext port_12",
        "flush chain netdev ganeti_ext port_12",
        "delete chain netdev ganeti_ext port_12",
        'add element bridge ganeti_ext taps { "tap0" }',
        'delete element bridge ganeti_ext taps { "tap0" }',
        'add element bridge ganeti_ext ip4 { "tap0" . 10.0.0.5 }',
        'delete element bridge ganeti_ext ip4 { "tap0" . 10.0.0.5 }',
    ]
