"""What stands on a node, read from a tree and from what programs say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from ganeti_ext.errors import CommandError, ExtError
from kvm_ifup.check_host import Links
from kvm_ifup.explain import Seen
from kvm_ifup.standing import Node

EMPTY = json.dumps({"nftables": []})
TEXT = """add table netdev ganeti_ext
add chain netdev ganeti_ext port_12 { type filter hook ingress device "tap0" priority -500; policy drop; }
add rule netdev ganeti_ext port_12 goto from_tap
add chain inet ganeti_ext forward { type filter hook forward priority 0; policy accept; }
"""


class Programs:
    """Answers by command lines; an answer may be an error. What was asked stands in `asked`."""

    def __init__(self, answers: Mapping[str, str | CommandError]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str]] = []

    def __call__(self, argv: list[str], *, stdin: str = "") -> str:
        line = " ".join(argv)
        self.asked.append((line, stdin))
        answer = self.answers.get(line, "[]")
        if isinstance(answer, CommandError):
            raise answer
        return answer


def test_rules_are_asked_of_nft() -> None:
    programs = Programs({"nft -j list ruleset": '{"nftables": [{"table": {"family": "inet", "name": "ganeti_ext"}}]}'})
    assert Node(programs).rules().tables == {"inet"}
    assert programs.asked == [("nft -j list ruleset", "")]


def test_what_would_be_is_tried_apart_without_the_taps() -> None:
    argv = "unshare --net sh -c nft -f - && exec nft -j list ruleset"
    programs = Programs({argv: EMPTY})
    assert Node(programs).would_be(TEXT).tables == frozenset()
    ((_, stdin),) = programs.asked
    assert stdin.splitlines() == [
        "add table netdev ganeti_ext",
        "add chain netdev ganeti_ext port_12",
        "add rule netdev ganeti_ext port_12 goto from_tap",
        "add chain inet ganeti_ext forward { type filter hook forward priority 0; policy accept; }",
    ]


@pytest.mark.parametrize("said", ["", "{}", "[]", '{"nftables": [{"set": {"table": "ganeti_ext"}}]}'])
def test_what_cannot_be_read_is_an_error(said: str) -> None:
    with pytest.raises(ExtError, match="nft -j list ruleset: cannot read what it says"):
        Node(Programs({"nft -j list ruleset": said})).rules()


def test_links_routes_rules_and_proxies() -> None:
    answers = {
        "ip -j link show": [
            {"ifname": "tap0", "flags": ["UP"], "master": "br0"},
            {"ifname": "br0", "flags": ["BROADCAST"]},
        ],
        "ip -j -4 route show table 100": [
            {"dst": "default", "gateway": "10.0.0.1"},
            {"dst": "10.0.0.5", "dev": "tap0"},
        ],
        "ip -j -6 rule list table 100": [{"iif": "tap0", "table": "100"}, {"src": "all", "table": "100"}],
        "ip -j -4 neigh show proxy": [{"dst": "10.0.0.5", "dev": "eth0", "flags": ["proxy"]}],
        "ip -j -6 neigh show proxy": [{"dst": "2001:db8::5", "dev": "eth1"}],
    }
    programs = Programs({line: json.dumps(answer) for line, answer in answers.items()})
    assert Node(programs).links(["100"]) == Links(
        masters={"tap0": "br0"},
        up=frozenset(("tap0",)),
        routes={("100", 4): frozenset((("default", ""), ("10.0.0.5", "tap0"))), ("100", 6): frozenset()},
        rules={("100", 4): frozenset(), ("100", 6): frozenset(("tap0",))},
        proxies=frozenset((("10.0.0.5", "eth0"), ("2001:db8::5", "eth1"))),
    )
    assert {line for line, _ in programs.asked} >= set(answers)


@pytest.mark.parametrize(
    ("words", "known"), [("Error: ipv4: FIB table does not exist.", True), ("Cannot open netlink", False)]
)
def test_a_table_that_is_not_there_has_no_routes(words: str, known: bool) -> None:
    programs = Programs({"ip -j -4 route show table 100": CommandError(words)})
    if known:
        assert Node(programs).links(["100"]).routes[("100", 4)] == frozenset()
    else:
        with pytest.raises(CommandError, match=words):
            Node(programs).links(["100"])


def test_ports_of_open_vswitch() -> None:
    programs = Programs({"ovs-vsctl port-to-br tap0": "ovs0\n", "ovs-vsctl port-to-br tap1": CommandError("no port")})
    assert Node(programs).ports(["tap0", "tap1"]) == {"tap0": "ovs0"}
    assert Node(Programs({})).ports([]) == {}


def put(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_sysctls_and_addresses(tmp_path: Path) -> None:
    put(tmp_path, "proc/sys/net/ipv4/conf/tap0/forwarding", "1\n")
    put(tmp_path, "sys/class/net/br0/address", "02:00:00:00:00:b0\n")
    node = Node(root=str(tmp_path))
    assert node.sysctl("net/ipv4/conf/tap0/forwarding") == "1"
    assert node.sysctl("net/ipv6/conf/tap0/forwarding") is None
    assert (node.mac("br0"), node.mac("br1")) == ("02:00:00:00:00:b0", None)


@pytest.mark.parametrize(
    ("files", "seen"),
    [
        ({}, Seen(False, False, False)),
        ({"call-iptables": "1", "call-ip6tables": "0", "filter-vlan-tagged": "0"}, Seen(True, False, False)),
        ({"call-iptables": "1", "call-ip6tables": "1", "filter-vlan-tagged": "1"}, Seen(True, True, True)),
    ],
)
def test_what_br_netfilter_shows(tmp_path: Path, files: dict[str, str], seen: Seen) -> None:
    for name, value in files.items():
        put(tmp_path, f"proc/sys/net/bridge/bridge-nf-{name}", f"{value}\n")
    assert Node(root=str(tmp_path)).shown("br0") == seen


def test_a_bridge_may_have_it_by_itself(tmp_path: Path) -> None:
    put(tmp_path, "sys/class/net/br0/bridge/nf_call_ip6tables", "1\n")
    assert Node(root=str(tmp_path)).shown("br0") == Seen(False, True, False)
    assert Node(root=str(tmp_path)).shown("br1") == Seen(False, False, False)


def test_taps_that_ganeti_has_made(tmp_path: Path) -> None:
    folder = "run/ganeti/kvm-hypervisor/nic"
    for place, tap in (("gx-1/0", "tap0"), ("gx-1/1", "tap1\n"), ("gx-2/0", "")):
        put(tmp_path, f"{folder}/{place}", tap)
    put(tmp_path, f"{folder}/a-file", "")
    assert list(Node(root=str(tmp_path)).ganetis()) == [("tap0", "gx-1"), ("tap1", "gx-1")]
    assert list(Node(root=str(tmp_path / "none")).ganetis()) == []
