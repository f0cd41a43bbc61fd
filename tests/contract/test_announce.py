"""Announcements as a neighbour's kernel takes them, and as they leave the host that sends them: untouched."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from kvm_ifup import announce, sender
from tests.contract.kvm_ifup_node import Node, needs_node
from tests.contract.network_namespace import Changes

IP, IP6 = "10.0.0.5", "2001:db8::5054:ff:fe00:1"
UPLINK_MAC, OLD_MAC = "02:00:00:00:00:aa", "02:00:00:00:00:bb"
_LINK, _NEIGHBOURS = 0x1, 0x4  # RTMGRP_LINK, RTMGRP_NEIGH
REQUEST, REPLY, ADVERTISEMENT = announce.frames(UPLINK_MAC, IP, IP6)

pytestmark = [pytest.mark.lab, needs_node]


class Wire:
    """A node whose uplink `up0` ends at the neighbour's `wire`. None of the guest's addresses is on either."""

    def __init__(self, node: Node, neighbour: Node) -> None:
        self.node, self.neighbour = node, neighbour
        node.run("ip", "link", "delete", "br0")
        peer = ("type", "veth", "peer", "name", "wire", "netns", str(neighbour.pid))
        with Changes(node.pid, _LINK) as changes:
            node.run("ip", "link", "add", "up0", "address", UPLINK_MAC, *peer)
            # Without addresses of its own, whose duplicate address detection would end in the midst of a test.
            node.run("ip", "link", "set", "up0", "addrgenmode", "none")
            node.run("ip", "link", "set", "up0", "up")
            neighbour.run("ip", "link", "set", "wire", "up")
            changes.until(lambda: "state UP" in node.run("ip", "link", "show", "up0"))
        neighbour.run("ip", "address", "add", "10.0.0.1/24", "dev", "wire")
        neighbour.run("ip", "address", "add", "2001:db8::1/64", "dev", "wire", "nodad")

    def send(self, interface: str, *frames: bytes) -> None:
        with self.node.inside():
            sender.send(interface, frames)

    def know(self, address: str, mac: str) -> None:
        """The neighbour has just heard that the address is at this MAC."""
        self.neighbour.run(
            *("ip", "neighbour", "replace", address, "lladdr", mac, "dev", "wire", "nud", "reachable"),
        )

    def known(self, address: str) -> str:
        return self.neighbour.run("ip", "neighbour", "show", address, "dev", "wire")

    def host(self) -> list[str]:
        """What there is in the sending node: settings, links, addresses, routes, rules, neighbours."""
        settings = self.node.run("sysctl", "--all").splitlines()
        found = [line for line in settings if line.startswith("net.")]
        for words in ("link", "address", "neighbour show nud all", "rule", "-6 rule", "route show table all"):
            found += self.node.run("ip", *words.split()).splitlines()
        return found + self.node.run("ip", "-6", "route", "show", "table", "all").splitlines()


@pytest.fixture
def wire() -> Iterator[Wire]:
    with contextlib.ExitStack() as undo:
        nodes = []
        for _ in range(2):
            nodes.append(Node())
            undo.callback(nodes[-1].close)
        yield Wire(*nodes)


@pytest.mark.parametrize(
    ("frame", "address"),
    [
        pytest.param(REQUEST, IP, id="arp request"),
        pytest.param(REPLY, IP, id="arp reply"),
        pytest.param(ADVERTISEMENT, IP6, id="neighbour advertisement"),
    ],
)
def test_a_neighbour_learns_the_new_mac_from_one_frame(wire: Wire, frame: bytes, address: str) -> None:
    wire.know(address, OLD_MAC)
    assert OLD_MAC in wire.known(address)
    with Changes(wire.neighbour.pid, _NEIGHBOURS) as changes:
        wire.send("up0", frame)
        changes.until(lambda: UPLINK_MAC in wire.known(address))
    assert OLD_MAC not in wire.known(address)


def test_nothing_changes_on_the_host_that_sends(wire: Wire) -> None:
    wire.know(IP, OLD_MAC)
    wire.know(IP6, OLD_MAC)
    before = wire.host()
    assert any(line.startswith("net.ipv4.ip_nonlocal_bind = 0") for line in before)
    with Changes(wire.neighbour.pid, _NEIGHBOURS) as changes:
        wire.send("up0", REQUEST, REPLY, ADVERTISEMENT)
        changes.until(lambda: UPLINK_MAC in wire.known(IP) and UPLINK_MAC in wire.known(IP6))
    assert wire.host() == before


def test_an_interface_that_cannot_send_is_named(wire: Wire) -> None:
    wire.node.run("ip", "link", "add", "down0", "type", "bridge")
    for interface, words in (
        ("gone0", "No such device: 'gone0'"),
        ("down0", "Network is down: 'down0'"),
        ("lo", "not an Ethernet interface: 'lo'"),
    ):
        with pytest.raises(OSError, match=words):
            wire.send(interface, REQUEST)
