"""Rules of nftables on the fields of a packet."""

from __future__ import annotations

import pytest

from kvm_ifup import iptables_rule, nftrule
from kvm_ifup.fields import Fields, Unsaid
from kvm_ifup.nftrule import RuleError, Step
from kvm_ifup.nfttext import Chain, Ruleset
from kvm_ifup.packet_words import PacketError
from kvm_ifup.profile_iptables import DISPATCH, Rule

T = "inet t"
FIELDS: Fields = {"oifname": "tap0", "ip saddr": 0x0A000005, "tcp dport": 22, "meta mark": 0x10000001, "ct state": 8}


def text(*rules: str, policy: str = "accept") -> str:
    base = f"add chain {T} base {{ type filter hook forward priority -5; policy {policy}; }}"
    return "\n".join([base, "add chain inet t other", *(f"add rule {T} {rule}" for rule in rules)])


def verdicts(*rules: str, elements: str = "", policy: str = "accept") -> list[str | None]:
    ruleset = Ruleset(f"{text(*rules, policy=policy)}\n{elements}")
    return [step.verdict for step in nftrule.walk(ruleset, T, "base", dict(FIELDS))]


@pytest.mark.parametrize(
    ("match", "holds"),
    [
        ("tcp dport 22", True),
        ("tcp dport != 22", False),
        ("tcp dport { 80, 20-22 }", True),
        ("tcp dport { 80, 20-21 }", False),
        ("tcp dport != { 80, 20-21 }", True),
        ("tcp dport & 0x3 == 0x2", True),
        ("udp dport 22", False),
        ("udp dport != 22", False),
        ("ip saddr 10.0.0.5", True),
        ("ip saddr 10.0.0.0/29", True),
        ("ip saddr { 10.0.0.8/29, 192.0.2.1 }", False),
        ("ct state established,related", False),
        ("ct state new,related", True),
        ("ct state new tcp dport 22", True),
        ("ct state new tcp dport 23", False),
        ("oifname @names", True),
        ("oifname != @names", False),
        ("oifname . ip saddr @pairs", True),
        ("oifname . tcp dport @pairs", False),
        ("oifname @nothing", False),
    ],
)
def test_matches(match: str, holds: bool) -> None:
    elements = 'add element inet t names { "tap0" }\nadd element inet t pairs { "tap0" . 10.0.0.4-10.0.0.6 }'
    assert verdicts(f"base {match} drop", elements=elements) == (["drop"] if holds else [None])


def test_jumps_come_back_and_leaps_do_not() -> None:
    rules = ("base jump other", "base accept", "other tcp dport 23 drop", "other return")
    assert verdicts(*rules) == ["jump other", None, "return", "accept"]
    assert verdicts("base goto other", *rules[1:]) == ["goto other", None, "return"]
    assert verdicts("base jump other", "base accept", "other drop") == ["jump other", "drop"]
    assert verdicts("base goto other", *rules[1:], policy="drop") == ["goto other", None, "return", "drop"]


def test_a_policy_is_said_where_the_packet_came_to_an_end() -> None:
    ruleset = Ruleset(text("base goto other", "other udp dport 1 accept", policy="drop"))
    *_, last = nftrule.walk(ruleset, T, "base", dict(FIELDS))
    assert last == Step(T, "other", "policy drop of base", "drop")


def test_maps_of_verdicts_and_marks() -> None:
    fields = dict(FIELDS)
    rules = (
        "base oifname vmap @where",
        "other meta mark set meta mark & 0xf000ffff | 0x00030000",
        "other oifname vmap @none",
    )
    ruleset = Ruleset(f'{text(*rules)}\nadd element {T} where {{ "tap0" : goto other }}')
    assert [step.verdict for step in nftrule.walk(ruleset, T, "base", fields)] == ["goto other", "", None]
    assert fields["meta mark"] == 0x10030001


def test_what_was_not_described_is_missed_when_a_rule_looks_at_it() -> None:
    fields: Fields = {**FIELDS, "tcp dport": Unsaid("dport=")}
    rules = ("base ip saddr 10.0.0.6 tcp dport 22 drop",)
    assert [step.verdict for step in nftrule.walk(Ruleset(text(*rules)), T, "base", fields)] == [None]
    with pytest.raises(PacketError, match="say dport= too: the rule `tcp dport 22 drop` looks at it"):
        list(nftrule.walk(Ruleset(text("base tcp dport 22 drop")), T, "base", fields))


@pytest.mark.parametrize("rule", ["fib saddr type local drop", "tcp flags syn drop"])
def test_a_rule_that_is_none_of_ours_is_named(rule: str) -> None:
    with pytest.raises(RuleError, match=f"cannot read the rule '{rule}' from"):
        verdicts(f"base {rule}")


def test_an_unknown_match_of_iptables_is_named() -> None:
    chains = {4: {DISPATCH: (Rule("DROP", matches=(("physdev", ()),)),)}}
    with pytest.raises(RuleError, match="the match 'physdev' of iptables"):
        list(iptables_rule.walk(chains, {}, {**FIELDS, "meta nfproto": 2}))
    assert list(iptables_rule.walk(chains, {}, {**FIELDS, "meta nfproto": 10})) == []


def test_text_is_read_as_nft_does() -> None:
    lines = (
        text("base accept"),
        f"flush chain {T} base",
        f"add rule {T} base drop",
        f"add table {T}",
        f"add set {T} s {{ type mark; }}",
        *(f"{verb} element {T} s {{ {key} }}" for verb, key in (("add", 1), ("add", 2), ("delete", 1))),
        f"delete chain {T} other",
    )
    ruleset = Ruleset("\n".join(lines))
    assert ruleset.chains == {(T, "base"): Chain("forward", -5, "accept", ["drop"])}
    assert ruleset.elements == {(T, "s"): {"2": ""}}
