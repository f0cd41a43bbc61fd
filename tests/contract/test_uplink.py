"""The uplink of routing tables that a real `ip` has filled.

The original read it as the fifth word of a line with `default via`; `fifth` does so too, and shows what came of it.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

import pytest

from ganeti_ext.errors import ContractError
from kvm_ifup import uplink
from tests.contract.kvm_ifup_node import ROOT, Node, needs_node
from tests.contract.network_namespace import Changes

_LINK = 0x1  # RTMGRP_LINK
pytestmark = [pytest.mark.lab, needs_node]


class Router:
    """A node with two uplinks, eth1 in 10.0.1.0/24 and eth2 in 10.0.2.0/24; `ip` fills table 100."""

    def __init__(self, node: Node) -> None:
        self.node = node
        for number in (1, 2):
            node.run("ip", "link", "add", f"eth{number}", "type", "veth", "peer", "name", f"far{number}")
            node.run("ip", "link", "set", f"far{number}", "up")
            node.run("ip", "link", "set", f"eth{number}", "up")
            node.run("ip", "address", "add", f"10.0.{number}.2/24", "dev", f"eth{number}")

    def ip(self, *lines: str) -> None:
        for line in lines:
            self.node.run("ip", *line.split())

    def lose_carrier(self, number: int) -> None:
        """The far end goes down; the kernel notes that some time later, in its routes last."""
        with Changes(self.node.pid, _LINK) as changes:
            self.ip(f"link set far{number} down")
            changes.until(lambda: f"dev eth{number} proto kernel" in self._dead())

    def _dead(self) -> str:
        lines = self.node.run("ip", "route", "show", "table", "main").splitlines()
        return "\n".join(line for line in lines if "linkdown" in line)

    def find(self, version: int = 4, table: str = "100") -> str:
        with self.node.inside():
            return uplink.find(table, version)

    def fifth(self, version: int = 4) -> str:
        shown = self.node.run("ip", f"-{version}", "route", "show", "table", "100")
        (words, *_) = [line.split() for line in shown.splitlines() if "default via" in line] or [[]]
        return words[4] if len(words) > 4 else ""


@pytest.fixture
def router() -> Iterator[Router]:
    with contextlib.ExitStack() as undo:
        node = Node()
        undo.callback(node.close)
        yield Router(node)


ROUTE, ROUTE6, APPEND6 = "route add table 100", "-6 route add table 100", "-6 route append table 100"


@pytest.mark.parametrize(
    ("version", "lines"),
    [
        (4, (f"{ROUTE} default via 10.0.1.1 dev eth1",)),
        (4, (f"{ROUTE} default via 10.0.1.1 dev eth1 proto static src 10.0.1.2 metric 7 mtu 1400 onlink",)),
        (6, (f"{ROUTE6} default via fe80::1 dev eth1",)),
    ],
)
def test_what_the_original_could_read(router: Router, version: int, lines: tuple[str, ...]) -> None:
    router.ip(*lines)
    assert router.find(version) == router.fifth(version) == "eth1"


@pytest.mark.parametrize(
    ("version", "lines", "misread"),
    [
        pytest.param(4, (f"{ROUTE} default dev eth1",), "", id="no gateway"),
        pytest.param(6, (f"{ROUTE6} default dev eth1",), "", id="no gateway, IPv6"),
        pytest.param(
            4,
            (f"{ROUTE} default nexthop via 10.0.2.1 dev eth2 nexthop via 10.0.1.1 dev eth1 weight 3",),
            "",
            id="multipath",
        ),
        pytest.param(
            6,
            (f"{ROUTE6} default nexthop via fe80::1 dev eth2 nexthop via fe80::1 dev eth1 weight 3",),
            "",
            id="multipath, IPv6",
        ),
        pytest.param(4, (f"-4 {ROUTE} default via inet6 fe80::1 dev eth1",), "dev", id="word order: IPv6 gateway"),
        pytest.param(
            4, ("nexthop add id 10 via 10.0.1.1 dev eth1", f"{ROUTE} default nhid 10"), "", id="word order: next hop"
        ),
        pytest.param(
            4,
            (f"{ROUTE} default via 10.0.2.1 metric 5", f"{ROUTE} default dev eth1 metric 3"),
            "eth2",
            id="metric",
        ),
        pytest.param(
            6,
            (f"{ROUTE6} default via fe80::1 dev eth2 metric 5", f"{ROUTE6} default dev eth1 metric 3"),
            "eth2",
            id="metric, IPv6",
        ),
    ],
)
def test_what_it_could_not(router: Router, version: int, lines: tuple[str, ...], misread: str) -> None:
    router.ip(*lines)
    assert router.find(version) == "eth1"
    assert router.fifth(version) == misread


@pytest.mark.parametrize(
    ("version", "lines"),
    [
        (4, (f"{ROUTE} default tos 0x10 via 10.0.2.1", f"{ROUTE} default via 10.0.1.1")),
        (6, (f"{ROUTE6} default from 2001:db8::/64 via fe80::1 dev eth2", f"{ROUTE6} default via fe80::1 dev eth1")),
        (
            6,
            (f"{ROUTE6} default dev eth2 pref low", "-6 route append table 100 default via fe80::2 dev eth1 pref high"),
        ),
        (4, (f"{ROUTE} unreachable default metric 1", f"{ROUTE} default dev eth1 metric 2")),
        (6, (f"{ROUTE6} blackhole default metric 1", f"{ROUTE6} default dev eth1 metric 2")),
    ],
)
def test_which_of_several(router: Router, version: int, lines: tuple[str, ...]) -> None:
    router.ip(*lines)
    assert router.find(version) == "eth1"


def test_a_next_hop_object_alone_is_told(router: Router) -> None:
    router.ip("nexthop add id 10 via 10.0.1.1 dev eth1", f"{ROUTE} default nhid 10")
    router.node.run("sysctl", "-q", "-w", "net.ipv4.nexthop_compat_mode=0")
    with pytest.raises(ContractError, match="but default by next hop object 10 alone"):
        router.find()


def test_a_hop_whose_link_is_down_is_no_way(router: Router) -> None:
    router.ip(f"{ROUTE} default nexthop via 10.0.2.1 dev eth2 weight 3 nexthop via 10.0.1.1 dev eth1")
    assert router.find() == "eth2"
    router.ip("link set eth2 down")
    assert router.find() == "eth1"


def test_a_hop_without_carrier_comes_last(router: Router) -> None:
    router.ip(f"{ROUTE} default nexthop via 10.0.2.1 dev eth2 weight 3 nexthop via 10.0.1.1 dev eth1")
    router.lose_carrier(2)
    assert router.find() == "eth1"
    router.lose_carrier(1)
    assert router.find() == "eth2"


def test_families_and_tables_are_apart(router: Router) -> None:
    router.ip(f"{ROUTE} default dev eth1", f"{ROUTE6} default dev eth2", "route add table 100000 default dev eth2")
    assert [router.find(4), router.find(6), router.find(4, "100000")] == ["eth1", "eth2", "eth2"]
    with pytest.raises(ContractError, match="routing table '100000' has no usable default route of IPv6"):
        router.find(6, "100000")


@pytest.mark.parametrize(
    ("version", "lines", "seen"),
    [
        (4, (), "but no route at all"),
        (6, (), "but no route at all"),
        (4, (f"{ROUTE} 10.9.0.0/16 dev eth1", f"{ROUTE} unreachable default"), "but unreachable default, 10.9.0.0/16"),
        (
            6,
            (f"{ROUTE6} blackhole default", f"{ROUTE6} 2001:db8::/64 dev eth1"),
            "but 2001:db8::/64, blackhole default",
        ),
        (4, (f"{ROUTE} default tos 0x10 via 10.0.2.1",), "but default tos 0x10"),
    ],
)
def test_no_way_out_is_told(router: Router, version: int, lines: tuple[str, ...], seen: str) -> None:
    router.ip(*lines)
    with pytest.raises(ContractError, match=f"'100' has no usable default route of IPv{version}, {seen}"):
        router.find(version)


def test_among_many_routes(router: Router) -> None:
    many = "".join(f"route add table 100 10.{high}.{low}.0/24 dev eth2\n" for high in range(1, 9) for low in range(250))
    router.node.run("ip", "-batch", "-", stdin=f"route add table 100 default dev eth1 metric 9\n{many}")
    assert router.find() == "eth1"


def test_a_table_has_the_name_that_ip_knows(router: Router) -> None:
    """In a process of its own, as the node has files of its own."""
    router.node.file("/etc/iproute2/rt_tables.d").mkdir(parents=True, exist_ok=True)
    router.node.write("/etc/iproute2/rt_tables.d/ours.conf", "4711 snf_public\n")
    router.ip("route add table snf_public default dev eth2", "route add table 4712 default dev eth1")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from kvm_ifup import uplink; print(uplink.find(sys.argv[2], 4))"
    )
    argv = ("/usr/bin/python3", "-SEI", "-c", code, str(ROOT))
    assert router.node.run(*argv, "snf_public") == "eth2\n"
    assert router.node.run(*argv, "4712") == "eth1\n"
    with pytest.raises(subprocess.CalledProcessError) as failed:
        router.node.run(*argv, "snf_private")
    assert "no routing table is called 'snf_private'" in failed.value.stderr
