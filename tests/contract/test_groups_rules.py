"""The rules of tenants' groups with real packets, in both backends: what a group says is what comes, and no more."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

import pytest
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest
from scapy.packet import Packet, Raw

from ganeti_ext import groups
from ganeti_ext import members as grammar
from ganeti_ext.groups import Group, Rule
from kvm_ifup import profile_nft
from lab import layer
from tests.contract.kvm_ifup_node import needs_node
from tests.contract.profiles_node import IPTABLES, NFT, Node

pytestmark = [pytest.mark.lab, needs_node]

IDENT, NAME = "4f1a2b3c-0000-4000-8000-000000000001", "@4f1a2b3c"
OTHER, BOTH = "9e8d7c6b-0000-4000-8000-000000000002", "@4f1a2b3c+@9e8d7c6b+limited"
_CALL = f"""
import json, sys; sys.path.insert(0, {layer.HERE!r})
from kvm_ifup import firewall, settings
name, backend = json.load(sys.stdin)
print(firewall.rules([name], settings.Settings(firewall=backend)))
"""
_JOIN = f"""
import json, sys; sys.path.insert(0, {layer.HERE!r})
from kvm_ifup import firewall, settings
keys, backend = json.load(sys.stdin)
print(firewall.member_rules(keys, settings.Settings(firewall=backend)))
"""
_SETS = f"import sys; sys.path.insert(0, {layer.HERE!r}); from kvm_ifup import ipset, ours; {{}}"
_TEXT = Raw(b"what nobody asked for")
PACKETS: dict[str, tuple[int, Packet]] = {
    "tcp 22": (4, TCP(sport=2001, dport=22)),
    "tcp 80": (4, TCP(sport=2002, dport=80)),
    "tcp 443": (4, TCP(sport=2003, dport=443)),
    "udp 80": (4, UDP(sport=2004, dport=80) / _TEXT),
    "ping": (4, ICMP(type=8, code=0, id=7)),
    "timestamp": (4, ICMP(type=13, code=0, id=8)),
    "tcp6 80": (6, TCP(sport=2005, dport=80)),
    "udp6 53": (6, UDP(sport=2006, dport=53) / _TEXT),
    "ping6": (6, ICMPv6EchoRequest(id=9)),
}
ALL4, ALL6 = ({name for name, (version, _) in PACKETS.items() if version == wanted} for wanted in (4, 6))
CASES: dict[str, tuple[tuple[Rule, ...], set[str]]] = {
    "nothing": ((), set()),
    "a port": ((Rule("ingress", 4, "tcp", 80, 80, None, None),), {"tcp 80"}),
    "a range": ((Rule("ingress", 4, "6", 80, 443, None, None),), {"tcp 80", "tcp 443"}),
    "all ports": ((Rule("ingress", 4, "tcp", None, None, None, None),), {"tcp 22", "tcp 80", "tcp 443"}),
    "the other family": ((Rule("ingress", 6, "tcp", 80, 80, None, None),), {"tcp6 80"}),
    "from where it comes": ((Rule("ingress", 4, "tcp", 80, 80, "10.0.1.0/24", None),), {"tcp 80"}),
    "from its address": ((Rule("ingress", 4, "tcp", 80, 80, "10.0.1.9", None),), {"tcp 80"}),
    "from elsewhere": ((Rule("ingress", 4, "tcp", 80, 80, "10.9.0.0/16", None),), set()),
    "a network with bits of a host": ((Rule("ingress", 6, "udp", 53, 53, "2001:db8:1::77/64", None),), {"udp6 53"}),
    "from everywhere": ((Rule("ingress", 4, "tcp", 22, 22, "0.0.0.0/0", None),), {"tcp 22"}),
    "all of a family": ((Rule("ingress", 4, None, None, None, None, None),), ALL4),
    "all": (tuple(Rule("ingress", family, None, None, None, None, None) for family in (4, 6)), ALL4 | ALL6),
    "icmp": ((Rule("ingress", 4, "icmp", None, None, None, None),), {"ping", "timestamp"}),
    "a type": ((Rule("ingress", 4, "icmp", 8, None, None, None),), {"ping"}),
    "a type and its code": ((Rule("ingress", 4, "icmp", 8, 0, None, None),), {"ping"}),
    "another code": ((Rule("ingress", 4, "icmp", 8, 1, None, None),), set()),
    "a type of icmpv6 and its code": ((Rule("ingress", 6, "ipv6-icmp", 128, 0, None, None),), {"ping6"}),
    "members of which none is known": ((Rule("ingress", 4, "tcp", None, None, None, IDENT),), set()),
    "what is sent": ((Rule("egress", 4, None, None, None, None, None),), set()),
    "what nobody can judge": ((Rule("ingress", 4, "dccp", 80, 80, None, None),), set()),
    "some of each": (
        (
            Rule("ingress", 4, "tcp", 22, 22, "10.0.0.0/8", None),
            Rule("ingress", 4, "udp", 1, 65535, None, None),
            Rule("ingress", 6, "ipv6-icmp", None, None, None, None),
        ),
        {"tcp 22", "udp 80", "ping6"},
    ),
}


@pytest.fixture(scope="module", params=[NFT, IPTABLES])
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    made = Node(request.param, {})
    for name in (NAME, BOTH):
        made.numbers[name] = len(made.numbers) + 1
    made.write("/run/ganeti-ext/profiles", "".join(f"{number} {name}\n" for name, number in made.numbers.items()))
    yield made
    made.close()


@pytest.mark.parametrize("case", CASES)
def test_what_comes(node: Node, case: str) -> None:
    rules, expected = CASES[case]
    assert comes(node, NAME, {IDENT: rules}) == expected


def test_several_add_up(node: Node) -> None:
    web = Rule("ingress", 4, "tcp", 443, 443, None, None)
    said = {IDENT: (web,), OTHER: (web, Rule("ingress", 6, "udp", 53, 53, None, None))}
    assert comes(node, BOTH, said) == {"tcp 443", "udp6 53", "tcp 22", "ping", "ping6"}


def test_members_come_and_go_and_no_rule_changes(node: Node) -> None:
    """By their addresses: of both families, of the group that a rule names, by its protocol and ports."""
    rules = (
        Rule("ingress", 4, "tcp", 80, 80, None, OTHER),
        Rule("ingress", 6, None, None, None, None, OTHER),
        Rule("ingress", 4, "icmp", 8, None, None, IDENT),
    )
    told = {"9e8d7c6b": ["10.0.1.8", "10.0.1.9", "2001:db8:1::9"], "4f1a2b3c": ["10.0.1.8"]}
    assert comes(node, NAME, {IDENT: rules}, told) == {"tcp 80", *ALL6}
    before = standing(node)
    for members, expected in (
        ({"9e8d7c6b": ["10.0.1.9"]}, {"tcp 80"}),
        ({"9e8d7c6b": ["10.0.1.90", "2001:db8:1::90"], "4f1a2b3c": ["10.0.1.9"]}, {"ping"}),
        ({}, set()),
        ({"9e8d7c6b": [f"10.1.{number // 256}.{number % 256}" for number in range(4000)] + ["10.0.1.9"]}, {"tcp 80"}),
    ):
        tell(node, members)
        node.nft(node.run("/usr/bin/python3", "-c", _JOIN, stdin=json.dumps([[*told], node.backend])) or "\n")
        node.forget()
        assert arrived(node) == expected
        assert standing(node) == before


def test_sets_go_with_all_that_is_ours(node: Node) -> None:
    if node.backend != IPTABLES:
        pytest.skip("those of nftables go with their table")
    comes(node, NAME, {IDENT: (Rule("ingress", 4, None, None, None, None, OTHER),)}, {"9e8d7c6b": ["10.0.1.9"]})
    there = node.run("/usr/bin/python3", "-c", _SETS.format("print(ipset.names())"))
    assert "'ganeti-ext-members4-9e8d7c6b'" in there
    node.run("/usr/bin/python3", "-c", _SETS.format("ours.remove()"))
    assert node.run("/usr/bin/python3", "-c", _SETS.format("print(ipset.names())")) == "[]\n"


def standing(node: Node) -> str:
    """The rules of groups as they are, with what tells those that were put anew from those that were not."""
    if node.backend == IPTABLES:
        saved = node.run("iptables-legacy-save", "-t", "filter")
        return "".join(line for line in saved.splitlines(keepends=True) if line.startswith("-A"))
    found = node.run("nft", "--handle", "list", "chain", "inet", "ganeti_ext", f"profile_{node.numbers[NAME]}")
    assert "@members4_9e8d7c6b" in found
    return found


def tell(node: Node, members: Mapping[str, Sequence[str]]) -> None:
    """The node is told of members of groups."""
    node.write("/run/ganeti-ext/members/told", f"100.0\n{grammar.render(members)}")


def comes(
    node: Node, profile: str, said: Mapping[str, Sequence[Rule]], members: Mapping[str, Sequence[str]] | None = None
) -> set[str]:
    """Which packets come to a guest of this profile, where groups have these rules."""
    made = (Group(ident, "physics", "web", "", 0, 0, tuple(rules)) for ident, rules in said.items())
    lines = ["another", *(tag for group in made for tag in groups.encode(group, 1))]
    node.write("/var/lib/ganeti/ssconf_cluster_tags", "".join(f"{line}\n" for line in lines))
    tell(node, members or {})
    text = node.run("/usr/bin/python3", "-c", _CALL, stdin=json.dumps([profile, node.backend]))
    node.nft(profile_nft.skeleton(judge=node.backend == NFT) + text)
    node.give(profile)
    node.forget()
    return arrived(node)


def arrived(node: Node) -> set[str]:
    """The packets that come to the guest."""
    way = node.ways["bridged"]
    return {name for name, (version, what) in PACKETS.items() if way.arrives(way.ends[version].to_guest(what))}
