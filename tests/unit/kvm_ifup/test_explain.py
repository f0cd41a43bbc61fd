"""Verdicts on packets, and the rules that decide. That they are the kernel's: tests/contract/test_ganeti_ext_net.py."""

from __future__ import annotations

from typing import Any

import pytest

from ganeti_ext import config, tags
from kvm_ifup import profiles, reasons, required
from kvm_ifup.explain import DROP, PASS, Met, Seen
from kvm_ifup.nftrule import Step
from kvm_ifup.nfttext import Ruleset
from kvm_ifup.packet import IN, OUT
from kvm_ifup.packet_words import PacketError
from kvm_ifup.profile_iptables import line
from kvm_ifup.settings import Settings
from kvm_ifup.state import Assigned
from tests.contract import kvm_ifup_frames as frames
from tests.contract.kvm_ifup_words import words
from tests.unit.kvm_ifup.explained import ask, record

OWN = """[profile]
[allow web]
protocol = tcp
ports = 80, 8000-8010
sources = 192.0.2.0/24, 2001:db8:5::/48
[allow sctp]
protocol = sctp
ports = 22
family = ipv6
[allow all-from-one]
protocol = any
sources = 198.51.100.7
[allow pings]
protocol = icmp
types = echo-request, 13
"""
PROFILE = profiles.build("own", "own.conf", config.parse(OWN, "own.conf"))
BACKENDS = [Settings(), Settings(firewall="iptables")]


def told(met: list[Met]) -> list[str]:
    return [f"{one.stage}: {one.words}" for one in met]


@pytest.mark.parametrize("name", [*frames.PASS, *frames.DROP])
def test_what_a_guest_says(name: str) -> None:
    of = record(TAGS=f"nfdhcpd:prefix6:{frames.PREFIX6}")
    frame = {**frames.PASS, **frames.DROP}[name]
    verdict, met = ask(of, OUT, " ".join(words(frame)))
    assert verdict == (PASS if name in frames.PASS else DROP)
    assert met[-1].verdict == verdict
    assert all(one.words and one.stage for one in met)


def test_each_stage_is_told_up_to_the_one_that_decides() -> None:
    verdict, met = ask(record(), OUT, "src=10.0.0.9 tcp dport=22")
    assert verdict == DROP
    assert told(met) == [
        "MAC: 52:54:00:00:00:01 is the guest's",
        "family: IPv4",
        "address: 10.0.0.9 is not an address that this guest may use",
    ]
    assert met[-1][2:] == ("netdev ganeti_ext", "from_ip4", "policy drop of port_12", DROP)
    _, met = ask(record(), OUT, "mac=02:00:00:00:00:09")
    assert told(met) == ["MAC: 02:00:00:00:00:09 is not the guest's"]
    assert met[0].rule == "iifname . ether saddr != @macs drop"


@pytest.mark.parametrize(
    ("env", "words_", "why"),
    [
        ({"TAGS": f"{tags.ALLOW_ADDRESS}:192.0.2.0/24"}, "src=192.0.2.9", f"instance's tag {tags.ALLOW_ADDRESS}:192."),
        ({"NETWORK_TAGS": f"{tags.ALLOW_ADDRESS}.0:192.0.2.9"}, "arp src=192.0.2.9", "network's tag"),
        ({"TAGS": f"{tags.ALLOW_ADDRESS}:2001:db8:7::/48"}, "src=2001:db8:7::1", "allowed by the instance's tag"),
        ({"TAGS": "nfdhcpd:prefix6:2001:db8:7::/56"}, "src=2001:db8:7::1", "2001:db8:7::/56, which is delegated"),
        ({}, "src=10.0.0.5", "10.0.0.5 is the guest's address"),
    ],
)
def test_why_an_address_may_be_used(env: dict[str, Any], words_: str, why: str) -> None:
    verdict, met = ask(record(**env), OUT, words_)
    assert verdict == PASS
    assert why in next(one.words for one in met if one.stage == "address")


def test_a_tag_allows_everything() -> None:
    assert ask(record(TAGS=tags.SPOOF_ALLOWED), OUT, "mac=02:00:00:00:00:09 src=1.2.3.4") == (PASS, [])


def test_vlans_of_a_trunk() -> None:
    of = record(VLAN=":7:8")
    assert ask(of, OUT, "vlan=7 src=1.2.3.4")[0] == PASS
    verdict, met = ask(of, OUT, "vlan=9")
    assert (verdict, met[-1].words) == (DROP, "9 is none of the tap's")


@pytest.mark.parametrize("mode", ["bridged", "routed"])
@pytest.mark.parametrize("settings", BACKENDS)
@pytest.mark.parametrize(
    ("profile", "text", "verdict", "why"),
    [
        ("unprotected", "tcp dport=22", PASS, ""),
        ("limited", "tcp dport=22", PASS, "[allow ssh] of the profile limited"),
        ("limited", "src=2001:db8::9 tcp dport=22", PASS, "[allow ssh]"),
        ("limited", "tcp dport=23", DROP, "nothing in the profile limited allows what is new and like this"),
        ("limited", "tcp dport=23 established", PASS, "it belongs to a connection that stands"),
        ("limited", "icmp type=3 related", PASS, "it belongs to a connection that stands"),
        ("limited", "tcp dport=22 established cut", DROP, "the connection was cut"),
        ("limited", "udp dport=3389", PASS, "[allow rdp-udp]"),
        ("limited", "icmp", PASS, "[allow ping]"),
        ("limited", "icmpv6", PASS, "[allow ping6]"),
        ("limited", "tcp dport=22 invalid", DROP, "it belongs to no connection and does not begin one"),
        ("protected", "icmp type=destination-unreachable", PASS, "of ICMP, what IPv4 needs"),
        ("protected", "icmp", DROP, "nothing in the profile protected"),
        ("protected", "icmp type=redirect", DROP, "it belongs to no connection"),
        ("protected", "icmpv6 type=packet-too-big", PASS, "of ICMPv6, what IPv6 needs"),
        ("protected", "icmpv6 type=neighbour-solicitation", PASS, "of ICMPv6, what IPv6 needs"),
        ("protected", "icmpv6 type=router-solicitation", DROP, "nothing in the profile protected"),
        ("protected", "udp sport=67 dport=68", PASS, "an answer of a DHCP"),
        ("protected", "src=fe80::9 udp sport=547 dport=546", PASS, "an answer of a DHCP"),
        ("protected", "udp sport=68 dport=68", DROP, "nothing in the profile"),
        ("protected", "arp", PASS, ""),
    ],
)
def test_what_comes_to_a_guest(mode: str, settings: Settings, profile: str, text: str, verdict: str, why: str) -> None:
    of = record(profile) if mode == "bridged" else record(profile, MODE=mode, LINK="100", BRIDGE="")
    found, met = ask(of, IN, text, settings=settings)
    assert found == verdict
    assert any(why in one.words for one in met if one.verdict == verdict) or not why
    assert all(one.words and one.stage for one in met if one.verdict == DROP)


@pytest.mark.parametrize("settings", BACKENDS)
@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("src=192.0.2.9 tcp dport=80", PASS),
        ("src=192.0.3.9 tcp dport=80", DROP),
        ("src=2001:db8:5::9 tcp dport=8010", PASS),
        ("src=2001:db8:5::9 tcp dport=8011", DROP),
        ("src=2001:db8:6::9 tcp dport=80", DROP),
        ("ip6 src=2001:db8:6::9 sctp dport=22", PASS),
        ("src=192.0.2.9 sctp dport=22", DROP),
        ("src=198.51.100.7 gre", PASS),
        ("src=198.51.100.8 gre", DROP),
        ("src=198.51.100.8 icmp type=13", PASS),
        ("src=198.51.100.8 icmp type=15", DROP),
        ("src=198.51.100.8 udp dport=80", DROP),
    ],
)
def test_a_profile_of_the_administrators(settings: Settings, text: str, verdict: str) -> None:
    assert ask(record("protected"), IN, text, settings=settings, own=PROFILE)[0] == verdict


def test_the_rules_of_iptables_are_told_as_iptables_prints_them() -> None:
    _, met = ask(record("limited"), IN, "src=192.0.2.1 tcp dport=22", settings=BACKENDS[1])
    (decided,) = [one for one in met if one.verdict == PASS]
    assert (decided.table, decided.chain) == ("iptables filter", "ganeti-ext-limited")
    assert decided.rule.startswith("-A ganeti-ext-limited -p 6 -m multiport --dports 22")


@pytest.mark.parametrize(
    ("direction", "text"), [(IN, "udp"), (IN, "src=192.0.2.1 tcp"), (OUT, "ip6 src=:: icmpv6 type=135")]
)
def test_what_decides_has_to_be_said(direction: str, text: str) -> None:
    word = "target=" if direction == OUT else "dport="
    with pytest.raises(PacketError, match=f"say {word} too: "):
        ask(record("limited"), direction, text)
    assert ask(record("unprotected"), IN, "udp")[0] == PASS, "nothing looks at it"


def test_a_source_has_to_be_said_where_it_matters() -> None:
    for settings in BACKENDS:
        with pytest.raises(PacketError, match="say src= too"):
            ask(record("protected"), IN, "tcp dport=80", own=PROFILE, settings=settings)


def test_private_networks_are_told_apart() -> None:
    of = record(zone=5, NETWORK_TAGS="private-filtered")
    assert ask(of, IN, "mac=52:54:00:00:00:02 arp")[0] == PASS
    verdict, met = ask(of, IN, "mac=52:54:10:00:00:02 arp")
    assert (verdict, told(met)[-1]) == (DROP, "peers: 52:54:10:00:00:02 is no station of the guest's network")
    assert ask(of, IN, "local udp dport=1")[0] == DROP, "the bridge's own MAC is none of the network's either"
    assert ask(record(), IN, "mac=52:54:10:00:00:02 arp")[0] == PASS


@pytest.mark.parametrize(
    ("seen", "text", "verdict"),
    [
        (Seen(), "tcp dport=22", PASS),
        (Seen(ip4=False), "tcp dport=22", DROP),
        (Seen(ip4=False), "ip6 tcp dport=22", PASS),
        (Seen(ip6=False), "ip6 tcp dport=22", DROP),
        (Seen(), "vlan=7 tcp dport=22", DROP),
        (Seen(tagged=True), "vlan=7 tcp dport=22", PASS),
        (Seen(tagged=True), "vlan=7 tcp dport=23", DROP),
        (Seen(), "ethertype=0x8863", DROP),
        (Seen(), "arp", PASS),
    ],
)
def test_what_the_ip_tables_do_not_see_is_dropped_where_a_profile_drops(seen: Seen, text: str, verdict: str) -> None:
    found, met = ask(record("limited"), IN, text, seen=seen)
    assert found == verdict
    if verdict == DROP and "23" not in text:
        assert "could not judge it" in met[-1].words
    assert ask(record("unprotected"), IN, text, seen=seen)[0] == PASS


def test_what_the_node_routes_onto_a_bridge_is_judged_by_address() -> None:
    assert ask(record("limited"), IN, "routed tcp dport=23")[0] == DROP
    assert ask(record("limited"), IN, "routed tcp dport=22")[0] == PASS
    assert ask(record("limited"), IN, "routed dst=10.0.0.77 tcp dport=23")[0] == PASS, "another guest's"


def test_what_the_node_says_itself_is_not_judged() -> None:
    assert ask(record("protected"), IN, "local tcp dport=23")[0] == PASS
    routed = record("protected", MODE="routed", LINK="100", BRIDGE="")
    assert ask(routed, IN, "local tcp dport=23") == (PASS, [])


def test_open_vswitch_shows_netfilter_nothing() -> None:
    assert ask(record(MODE="openvswitch", BRIDGE=""), IN, "tcp dport=22") == (PASS, [])


def test_every_rule_has_its_words() -> None:
    each = dict(enumerate([*profiles.load_all().values(), PROFILE], 1))
    for settings in BACKENDS:
        of = [record()._replace(firewall=Assigned(one.name, number, "br0", ())) for number, one in each.items()]
        steps = [
            Step(table, chain, rule, "")
            for (table, chain), found in Ruleset(required.text(of, each, settings, {})).chains.items()
            for rule in found.rules
            if chain != "zone"
        ]
        steps += [
            Step("iptables filter", chain, line(chain, rule), "")
            for chains in required.legacy(each, settings).values()
            for chain, rules in chains.items()
            for rule in rules
        ]
        assert len(steps) > 70
        assert [step for step in steps if reasons.of(step) is None] == []


def test_chains_that_may_end_have_words_for_that() -> None:
    ruleset = Ruleset(required.text([record()], {}, Settings(), {}))
    ends = [chain for table, chain in ruleset.chains if table == "netdev ganeti_ext" and not chain.startswith("port_")]
    assert len(ends) == 10
    for chain in ends:
        assert reasons.of(Step("netdev ganeti_ext", chain, "policy drop of port_12", "drop")) is not None, chain
