"""The daemon, its rules and real packets: what reaches it, what reaches the wire, and what a hostile guest can do.

NFDHCPD_PACKETS=1000000 makes the look at its memory a long one.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator

import pytest
from scapy.layers.inet6 import ICMPv6ND_NA
from scapy.packet import Packet

from ganeti_ext.errors import CommandError
from lab.step import until
from tests.contract import nfdhcpd_frames as frames
from tests.contract.kvm_ifup_node import needs_node
from tests.contract.nfdhcpd_node import QUEUE4, QUEUE6, Guest, Node

pytestmark = [pytest.mark.lab, needs_node]

Make = Callable[..., Node]
TO_DAEMON, TO_BOTH, TO_WIRE, NOWHERE = (1, False), (1, True), (0, True), (0, False)
PACKETS = int(os.environ.get("NFDHCPD_PACKETS", "100000"))
FLOOD = 100_000
LENGTH = 8192  # of the queue: nfdhcpd/nfqueue.py
RATE, BURST = 50, 200  # the defaults


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes a node whose rules are set; what was made is closed in the end."""
    made: list[Node] = []

    def new(**general: object) -> Node:
        made.append(Node(**general))
        made[-1].divert()
        return made[-1]

    yield new
    for node in made:
        node.close()


@pytest.fixture
def node(make: Make) -> Node:
    """One that serves whatever comes."""
    made = make(rate=0)
    made.serve()
    return made


@pytest.fixture
def port(node: Node) -> Guest:
    """A guest on br0."""
    guest = node.port("tap1")
    node.bind(guest, indev="br0")
    return guest


def discovery(guest: Guest) -> dict[str, bytes]:
    return frames.discovery4(guest.mac) | frames.discovery6(guest.mac)


def fates(node: Node, guest: Guest, sent: dict[str, bytes]) -> dict[str, tuple[int, bool]]:
    return {name: node.fate(guest, frame) for name, frame in sent.items()}


def unicast(sent: dict[str, bytes]) -> dict[str, bytes]:
    """Frames that a router forwards."""
    return {name: frame for name, frame in sent.items() if frame.startswith(frames.packed(frames.ROUTER_MAC))}


class TestDiversion:
    """Which packets come to the daemon, and which go out."""

    def test_discovery_of_a_port(self, node: Node, port: Guest) -> None:
        assert port.asks() == port.ip
        assert fates(node, port, discovery(port)) == dict.fromkeys(discovery(port), TO_DAEMON)

    def test_discovery_of_a_routed_tap(self, node: Node) -> None:
        guest = node.routed("tap2")
        node.bind(guest)
        assert guest.asks() == guest.ip
        assert fates(node, guest, discovery(guest)) == dict.fromkeys(discovery(guest), TO_DAEMON)

    def test_dhcpv6_that_is_relayed_is_seen_and_let_go(self, node: Node, port: Guest) -> None:
        routed = node.routed("tap2")
        node.bind(routed)
        for guest in (port, routed):
            assert node.fate(guest, frames.relayed(guest.mac)) == TO_BOTH

    def test_nothing_else_of_a_port(self, node: Node, port: Guest) -> None:
        sent = frames.others(port.mac)
        assert fates(node, port, sent) == dict.fromkeys(sent, TO_WIRE)

    def test_nothing_else_of_a_routed_tap(self, node: Node) -> None:
        guest = node.routed("tap2")
        node.bind(guest)
        sent = unicast(frames.others(guest.mac))
        assert len(sent) > 5
        assert fates(node, guest, sent) == dict.fromkeys(sent, TO_WIRE)

    def test_neighbour_solicitations_of_routed_taps_alone(self, node: Node, port: Guest) -> None:
        guest = node.routed("tap2")
        node.bind(guest)
        for target in ("fe80::1", "2001:db8:1::99"):  # the kernel's, and one that the daemon answers for
            assert node.fate(guest, frames.neighbour_solicitation(guest.mac, target)) == TO_DAEMON
            assert guest.expect(is_neighbour)[ICMPv6ND_NA].tgt == target
        assert node.fate(guest, frames.neighbour_probe(guest.mac, "fe80::1")) == NOWHERE
        assert node.fate(port, frames.neighbour_solicitation(port.mac, "2001:db8:1::99")) == TO_WIRE

    def test_a_tap_without_a_binding_is_left_alone(self, node: Node) -> None:
        guest = node.port("tap3")
        sent = discovery(guest)
        assert fates(node, guest, sent) == dict.fromkeys(sent, TO_BOTH)

    def test_a_port_that_is_no_tap_is_left_alone(self, node: Node) -> None:
        guest = node.port("vm0")
        sent = discovery(guest)
        assert fates(node, guest, sent) == dict.fromkeys(sent, TO_WIRE)

    def test_a_tap_with_a_bad_binding_is_cut_off(self, node: Node) -> None:
        guest = node.port("tap4")
        node.bind(guest, subnet="10.9.9.0/33")
        assert node.daemon is not None
        node.daemon.says("not served: binding of tap4")
        sent = discovery(guest)
        assert fates(node, guest, sent) == dict.fromkeys(sent, TO_DAEMON)
        node.daemon.says("tap4.*bad")
        assert node.fate(guest, frames.others(guest.mac)["tcp to 67"]) == TO_WIRE
        node.bind(guest)
        assert guest.asks() == guest.ip

    @pytest.mark.parametrize("tracking", [False, True], ids=["as they come", "put together"])
    def test_of_fragments_the_first_stays_here(self, node: Node, port: Guest, tracking: bool) -> None:
        if tracking:  # connection tracking puts fragments together before anybody looks at them
            node.run("nft", "add table inet t; add chain inet t c { type filter hook prerouting priority 0; }")
            node.run("nft", "add rule inet t c ct state invalid counter")
        for parts in (frames.fragments(port.mac), frames.fragments6(port.mac)):
            for part in parts:
                port.send(part)
            seen = port.among(node.left())
            assert seen == ([] if tracking else parts[1:])


class TestFailure:
    """A daemon that is dead, stopped or new; rules that are gone."""

    def test_a_dead_daemon_fails_closed(self, node: Node, port: Guest) -> None:
        routed = node.routed("tap2")
        node.bind(routed)
        assert port.asks() == port.ip
        node.kill()
        for guest in (port, routed):
            for frame in discovery(guest).values():
                guest.send(frame)
            assert not guest.among(node.wire.received())
        for guest, sent in ((port, frames.others(port.mac)), (routed, unicast(frames.others(routed.mac)))):
            for frame in sent.values():
                guest.send(frame)
                assert guest.among(node.wire.received())
        routed.send(frames.neighbour_solicitation(routed.mac, "fe80::1"))
        assert routed.expect(is_neighbour)[ICMPv6ND_NA].tgt == "fe80::1"
        assert not routed.among(node.wire.received())

    def test_a_restart_loses_nothing(self, node: Node, port: Guest) -> None:
        assert port.asks() == port.ip
        node.kill()
        late = node.port("tap5")
        node.bind(late)
        node.serve()
        assert (port.asks(2), late.asks(3)) == (port.ip, late.ip)

    def test_an_overrun_queue_fails_closed(self, node: Node, port: Guest) -> None:
        assert port.asks() == port.ip
        assert node.daemon is not None
        node.daemon.signal(signal.SIGSTOP)
        frame = frames.discover(port.mac)
        for _ in range(LENGTH + 1000):
            port.send(frame)
        assert not port.among(node.wire.received())
        assert node.queue(QUEUE4).dropped >= 1000
        port.send(frames.others(port.mac)["tcp to 67"])
        assert port.among(node.wire.received())
        node.thaw()
        until("the queue is empty", lambda: not node.queue(QUEUE4).waiting, 60)  # else it has no room for more
        assert not port.among(node.left())
        port.received()
        assert port.asks(2) == port.ip

    def test_rules_are_set_once_and_taken_away(self, node: Node, port: Guest) -> None:
        def shown() -> list[str]:
            return [node.run(tool, "-t", "mangle", "-S") for tool in ("iptables", "ip6tables")]

        before = shown()
        node.divert()
        assert shown() == before
        node.divert("--check")
        node.divert("--undivert")
        node.divert("--undivert")
        assert "nfdhcpd" not in "".join([*shown(), node.run("nft", "list", "ruleset")])
        port.send(frames.discover(port.mac))
        assert port.among(node.wire.received())

    def test_missing_rules_are_told(self, make: Make) -> None:
        node = make()
        node.divert("--check")
        node.run("nft", "flush", "ruleset")
        with pytest.raises(CommandError):
            node.divert("--check")
        daemon = node.serve()
        daemon.says("not in place: iptables -t mangle -A PREROUTING -p udp -m udp --dport 67 -j nfdhcpd")
        daemon.says("not in place: ip6tables -t mangle .*--queue-bypass")
        daemon.says("not in place: nft table bridge nfdhcpd")
        daemon.says("not in place: nft table inet nfdhcpd")
        node.kill()
        node.divert()
        assert "not in place" not in node.serve().told


def is_neighbour(packet: Packet) -> bool:
    return ICMPv6ND_NA in packet


class TestIdentity:
    """Which guest is meant."""

    def test_the_same_mac_on_two_bridges(self, node: Node) -> None:
        one, two = node.port("tap6", "br0", 60), node.port("tap7", "br1", 60)
        node.bind(one, indev="br0")
        node.bind(two, indev="br1", ip="10.0.2.60", subnet="10.0.2.0/24", gateway="10.0.2.1")
        assert one.mac == two.mac
        assert (one.asks(1), two.asks(2)) == ("10.0.1.60", "10.0.2.60")
        assert not two.among(node.wire1.received())

    def test_a_tap_made_anew_is_another(self, node: Node) -> None:
        first = node.port("tap8")
        node.bind(first)
        assert first.asks() == first.ip
        first.close()
        second = node.port("tap8")
        # The binding is the first one's until the interface script has written another.
        assert node.fate(second, frames.discover(second.mac)) == TO_BOTH
        node.bind(second)
        assert second.asks() == second.ip != first.ip

    def test_a_stale_binding_is_not_served(self, node: Node) -> None:
        guest = node.port("tap9")
        node.bind(guest, ifindex=node.index(guest) + 1000)
        assert node.fate(guest, frames.discover(guest.mac)) == TO_BOTH
        assert node.daemon is not None
        node.daemon.signal(signal.SIGUSR1)
        node.daemon.says(f"tap9: not served: it was written for ifindex {node.index(guest) + 1000}")


class TestFlood:
    """A guest that sends all it can."""

    def test_a_flood_costs_the_queue_its_share(self, make: Make) -> None:
        node = make()
        node.serve()
        hostile, neighbour = node.port("tap1"), node.port("tap2")
        for guest in (hostile, neighbour):
            node.bind(guest)
        routed = node.routed("tap3")
        node.bind(routed)
        assert neighbour.asks() == neighbour.ip
        before, start = node.came(), time.monotonic()
        frame, asked = frames.discover(hostile.mac), 0
        for sent in range(FLOOD):
            hostile.send(frame)
            if sent % (FLOOD // 50) == 0:
                asked += 1
                assert neighbour.asks(asked) == neighbour.ip
        share = BURST + RATE * (time.monotonic() - start)
        came = node.came() - before - asked
        assert BURST <= came <= share + 1
        assert node.too_many() == {"tap1": FLOOD - came}
        assert not hostile.among(node.left())
        assert node.queue(QUEUE4).dropped == 0

    @pytest.mark.parametrize("kind", ["discover", "solicit", "router solicitation", "neighbour solicitation"])
    def test_every_kind_is_limited_on_a_routed_tap(self, make: Make, kind: str) -> None:
        node = make(rate=1, burst=5)
        node.serve()
        guest = node.routed("tap3")
        node.bind(guest)
        frame = (discovery(guest) | frames.others(guest.mac))[kind]
        start = time.monotonic()
        before = node.came()
        for _ in range(100):
            guest.send(frame)
        share = 5 + (time.monotonic() - start)
        assert 5 <= node.came() - before <= share + 1
        assert node.too_many().keys() == {"tap3"}

    def test_memory_is_flat(self, node: Node, port: Guest) -> None:
        chance = random.Random(1)
        hostile(node, port, chance, PACKETS // 10)
        before = node.memory()
        hostile(node, port, chance, PACKETS)
        assert node.memory() - before < 512 << 10
        assert node.queue(QUEUE4).dropped + node.queue(QUEUE6).dropped == 0


def hostile(node: Node, guest: Guest, chance: random.Random, packets: int) -> None:
    """Send discovery, mutated; a question that is answered ends each batch, so that no queue overruns."""
    seeds = list(discovery(guest).values())
    for batch in range(packets // 50):
        for _ in range(49):
            frame = bytearray(chance.choice(seeds))
            for _ in range(3):
                frame[chance.randrange(14, len(frame))] = chance.randrange(256)
            guest.send(bytes(frame))
        guest.asks(batch + (1 << 31))
