"""The nft text for what taps may say holds together."""

from __future__ import annotations

import re

from kvm_ifup import ruleset
from tests.unit.kvm_ifup.kernel import Kernel

TEXT = ruleset.skeleton()
RULES = re.findall(r"^add rule netdev ganeti_ext (\w+) (.*)$", TEXT, re.MULTILINE)


def said(*texts: str) -> Kernel:
    kernel = Kernel()
    for text in texts:
        kernel.run(["nft", "-f", "-"], stdin=text)
    return kernel


def test_all_that_rules_name_is_there_and_all_that_is_there_is_named() -> None:
    sets = set(re.findall(r"^add set netdev ganeti_ext (\w+)", TEXT, re.MULTILINE))
    chains = set(re.findall(r"^add chain netdev ganeti_ext (\w+)", TEXT, re.MULTILINE))
    assert set(re.findall(r"@(?![nt]h,)(\w+)", TEXT)) == sets
    assert set(re.findall(r"goto (\w+)", TEXT)) == chains - {"from_tap"}
    assert {chain for chain, _ in RULES} == chains


def test_what_is_said_again_stands_once() -> None:
    assert said(TEXT, TEXT).rules == said(TEXT).rules


def test_the_skeleton_judges_no_tap() -> None:
    assert "hook" not in TEXT
    assert "policy" not in TEXT
    assert said(TEXT).elements == {}


def test_a_tap_may_say_what_a_rule_accepts_and_no_more() -> None:
    kernel = said(TEXT, ruleset.judge("tap0", 12))
    assert kernel.rules["netdev", "port_12"][-1] == "goto from_tap"
    assert (
        'add chain netdev ganeti_ext port_12 { type filter hook ingress device "tap0" priority -500; policy drop; }\n'
    ) in ruleset.judge("tap0", 12)


def test_what_a_guest_says_often_is_accepted_at_once() -> None:
    text = ruleset.judge("tap0", 12, "52:54:00:00:00:01", ("10.0.0.5", "2001:db8::5"))
    mac = "ether saddr 52:54:00:00:00:01"
    assert said(TEXT, text).rules["netdev", "port_12"] == [
        f"{mac} ether type 0x0800 ip saddr 10.0.0.5 @th,0,16 != 67 accept",
        f"{mac} ether type 0x86dd ip6 saddr 2001:db8::5 meta l4proto != icmpv6 @th,0,16 != 547 accept",
        "goto from_tap",
    ]


def test_no_rule_accepts_all_that_comes_to_it() -> None:
    assert [rule for _, rule in RULES if rule in ("accept", "return", "continue")] == []
    # Every way leads through these two: the frame's source, and then what its header says.
    assert RULES[0] == ("from_tap", "iifname . ether saddr != @macs drop")
    assert {rule.rpartition(" ")[0] for chain, rule in RULES[1:] if chain == "from_tap" and "goto" in rule} <= {
        f"ether type {number} goto" for number in ("0x0800", "0x86dd", "0x0806", "0x8035", "0x8100")
    }


def test_arp_tells_of_own_addresses_only() -> None:
    assert [rule for chain, rule in RULES if chain == "from_arp" and rule != "drop"] == [
        "iifname . arp saddr ether != @macs drop",
        "arp saddr ip 0.0.0.0 accept",
        "iifname . arp saddr ip @ip4 accept",
        "iifname . arp saddr ip @ip4_more accept",
    ]


def test_a_tag_of_a_vlan_is_for_trunks() -> None:
    assert [rule for chain, rule in RULES if chain == "from_vlan" and rule != "drop"] == [
        "iifname . vlan id @vlans accept"
    ]


def test_to_be_judged_twice_changes_nothing() -> None:
    once = said(TEXT, ruleset.judge("tap0", 12))
    assert said(TEXT, ruleset.judge("tap0", 12), ruleset.judge("tap0", 12)).rules == once.rules


def test_forget_stands_alone_and_takes_the_taps_chain_only() -> None:
    assert said(ruleset.forget(12)).chains == set()
    kernel = said(TEXT, ruleset.judge("tap0", 12), ruleset.judge("tap1", 13), ruleset.forget(12))
    assert {chain for _, chain in kernel.chains if chain.startswith("port_")} == {"port_13"}
