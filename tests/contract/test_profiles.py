"""Firewall profiles with real packets, in both backends: what comes to a guest, by which way, in which family."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest
from scapy.packet import Packet, Raw

from tests.contract.kvm_ifup_node import needs_node
from tests.contract.profiles_node import IPTABLES, NFT, Ends, Node, Way
from tests.contract.profiles_packets import ALWAYS, NEW, ON_LINK, OWN, REDIRECT, fragments

pytestmark = [pytest.mark.lab, needs_node]

PROFILES = ("unprotected", "limited", "ssh", "protected", "own")


@pytest.fixture(scope="module", params=[NFT, IPTABLES])
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    made = Node(request.param, {"own": OWN})
    yield made
    made.close()


@pytest.fixture(params=["bridged", "routed", "onto a bridge"])
def way(node: Node, request: pytest.FixtureRequest) -> Way:
    node.forget()
    return node.ways[request.param]


@pytest.fixture(params=[4, 6])
def ends(way: Way, request: pytest.FixtureRequest) -> Ends:
    return way.ends[request.param]


@pytest.mark.parametrize("profile", PROFILES)
class TestEach:
    """Each profile, on each way, in each family."""

    def test_what_is_new(self, node: Node, way: Way, ends: Ends, profile: str) -> None:
        node.give(profile)
        probes = NEW[ends.version]
        passed = {name: way.arrives(*make(ends)) for name, (make, _) in probes.items()}
        assert passed == {name: profile in profiles for name, (_, profiles) in probes.items()}

    def test_what_is_needed(self, node: Node, way: Way, ends: Ends, profile: str) -> None:
        node.give(profile)
        assert [name for name, make in ALWAYS[ends.version].items() if not way.arrives(*make(ends))] == []

    def test_answers(self, node: Node, way: Way, ends: Ends, profile: str) -> None:
        node.give(profile)
        for question, answer in (
            (UDP(sport=3001, dport=53) / Raw(b"?"), UDP(sport=53, dport=3001) / Raw(b"!")),
            _echo(ends.version),
            _refused(ends),
        ):
            assert way.leaves(ends.to_peer(question))
            assert way.arrives(ends.to_guest(answer))

    def test_an_answer_in_fragments(self, node: Node, way: Way, ends: Ends, profile: str) -> None:
        node.give(profile)
        assert way.leaves(ends.to_peer(UDP(sport=3001, dport=53) / Raw(b"?")))
        answer = fragments(ends, UDP(sport=53, dport=3001) / Raw(bytes(1600)))
        assert len(way.delivered(*map(way.from_peer, answer))) == 2

    def test_a_tcp_connection_of_the_guests(self, node: Node, way: Way, ends: Ends, profile: str) -> None:
        node.give(profile)
        _open(way, ends, Tcp(3003, 80), from_guest=True)

    def test_a_tcp_connection_of_the_peers(self, node: Node, way: Way, ends: Ends, profile: str) -> None:
        """Where it may begin, it goes on."""
        node.give(profile)
        port = {"own": 80}.get(profile, 22)
        if profile == "protected" or (profile == "ssh" and ends.version == 6):
            assert not way.arrives(ends.to_guest(TCP(sport=3004, dport=port, flags="S", seq=100)))
        else:
            _open(way, ends, Tcp(port, 3004), from_guest=False)


@pytest.mark.parametrize("profile", PROFILES)
def test_discovery_of_neighbours_and_routers(node: Node, profile: str) -> None:
    node.give(profile)
    way = node.ways["bridged"]
    assert [name for name, make in ON_LINK.items() if not way.arrives(*make(way.ends[6]))] == []
    assert way.arrives(*REDIRECT(way.ends[6])) == (profile == "unprotected")


class TestChange:
    """Another profile comes into force while connections exist."""

    @pytest.fixture
    def inbound(self, node: Node, way: Way, ends: Ends) -> Tcp:
        node.give("unprotected")
        tcp = Tcp(80, 4001)
        _open(way, ends, tcp, from_guest=False)
        return tcp

    def test_keep(self, node: Node, way: Way, ends: Ends, inbound: Tcp) -> None:
        node.give("protected")
        assert way.arrives(ends.to_guest(inbound.to_guest("PA", 507, 109, b"more")))
        assert not way.arrives(ends.to_guest(Tcp(80, 4002).to_guest("S", 1)))

    def test_cut(self, node: Node, way: Way, ends: Ends, inbound: Tcp) -> None:
        outbound = Tcp(4003, 443)
        _open(way, ends, outbound, from_guest=True)
        node.give("protected")
        assert node.cut(ends.guest) == 2
        for tcp in (inbound, outbound):
            more = ends.to_guest(tcp.to_guest("PA", 507, 109, b"more"))
            assert not way.arrives(more)
            way.leaves(ends.to_peer(tcp.to_peer("PA", 109, 507, b"are you there?")))
            assert not way.arrives(more), "what the guest says brings nothing back"
        _open(way, ends, Tcp(4004, 443), from_guest=True)

    def test_cut_for_good(self, node: Node, way: Way, ends: Ends, inbound: Tcp) -> None:
        node.cut(ends.guest)
        for profile in PROFILES:
            node.give(profile)
            assert not way.arrives(ends.to_guest(inbound.to_guest("PA", 507, 109, b"more")))

    def test_cut_spares_others(self, node: Node, way: Way, ends: Ends, inbound: Tcp) -> None:
        assert node.cut("10.0.1.77", "2001:db8:1::77") == 0
        assert node.cut(*way.ends[10 - ends.version][:1], zone=0) == 0
        assert way.arrives(ends.to_guest(inbound.to_guest("PA", 507, 109, b"more")))

    def test_a_guest_that_came_from_another_node(self, node: Node, way: Way, ends: Ends) -> None:
        """Its connections are not known here: they go on as soon as it speaks, not before."""
        node.give("protected")
        tcp = Tcp(4005, 80)
        _open(way, ends, tcp, from_guest=True)
        node.forget()
        more = ends.to_guest(tcp.to_guest("PA", 507, 109, b"more"))
        assert not way.arrives(more)
        assert way.leaves(ends.to_peer(tcp.to_peer("A", 109, 507)))
        assert way.arrives(more)


class Tcp:
    """The segments of a connection, seen from the guest's port."""

    def __init__(self, guest: int, peer: int) -> None:
        self._guest, self._peer = guest, peer

    def to_guest(self, flags: str, seq: int, ack: int = 0, data: bytes = b"") -> Packet:
        return TCP(sport=self._peer, dport=self._guest, flags=flags, seq=seq, ack=ack) / Raw(data)

    def to_peer(self, flags: str, seq: int, ack: int = 0, data: bytes = b"") -> Packet:
        return TCP(sport=self._guest, dport=self._peer, flags=flags, seq=seq, ack=ack) / Raw(data)


def _open(way: Way, ends: Ends, tcp: Tcp, *, from_guest: bool) -> None:
    """Handshake, and data both ways."""
    if from_guest:
        assert way.leaves(ends.to_peer(tcp.to_peer("S", 100)))
        assert way.arrives(ends.to_guest(tcp.to_guest("SA", 500, 101)))
        assert way.leaves(ends.to_peer(tcp.to_peer("A", 101, 501)))
    else:
        assert way.arrives(ends.to_guest(tcp.to_guest("S", 500)))
        assert way.leaves(ends.to_peer(tcp.to_peer("SA", 100, 501)))
        assert way.arrives(ends.to_guest(tcp.to_guest("A", 501, 101)))
    assert way.leaves(ends.to_peer(tcp.to_peer("PA", 101, 501, b"question")))
    assert way.arrives(ends.to_guest(tcp.to_guest("PA", 501, 109, b"answer")))


def _echo(version: int) -> tuple[Packet, Packet]:
    if version == 6:
        return ICMPv6EchoRequest(id=9), ICMPv6EchoReply(id=9)
    return ICMP(type=8, id=9), ICMP(type=0, id=9)


def _refused(ends: Ends) -> tuple[Packet, Packet]:
    """A question, and an error that quotes it. That of IPv4 would not pass if it belonged to nothing."""
    question = UDP(sport=3002, dport=33434) / Raw(b"?")
    quoted = ends.to_peer(question)
    return question, ICMPv6DestUnreach(code=4) / quoted if ends.version == 6 else ICMP(type=12) / quoted
