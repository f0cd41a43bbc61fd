"""What a guest sees of others on its bridge, and what it may say: private-filtered networks, allowances, fragments."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from subprocess import CompletedProcess

import pytest

from tests.contract.kvm_ifup_fragments import ALLOWED, SPOKEN, ping, unwanted
from tests.contract.kvm_ifup_frames import DROP, IP, IP6, PASS, of_ip4, of_ip6, offer
from tests.contract.kvm_ifup_node import Node, Tap, needs_node
from tests.contract.kvm_ifup_set import for_taps
from tests.contract.kvm_ifup_site import PLAIN, watched
from tests.contract.kvm_ifup_tenants import (
    A1,
    A2,
    A3,
    AWAY,
    B1,
    B2,
    B3,
    HERE,
    Street,
    Who,
    flooded,
    halves,
    tcp,
    unicast,
)

pytestmark = [pytest.mark.lab, needs_node]

PEERS = {A1: {"a2"}, A2: {"a1"}, B1: {"b2"}, B2: {"b1"}, A3: {"a1", "a2"}, B3: {"b1", "b2"}}
NOBODY: set[str] = set()


@pytest.fixture
def node() -> Iterator[Node]:
    made = Node()
    yield made
    made.close()


@pytest.fixture
def street(node: Node) -> Street:
    return Street(node)


@pytest.fixture(params=[False, True], ids=["bridge alone", "br_netfilter"])
def either(request: pytest.FixtureRequest, street: Street) -> Street:
    """With the tables of IP at the bridge, and without."""
    street.filter(request.param)
    return street


@pytest.fixture(scope="class")
def quiet() -> Iterator[Street]:
    """One for tests that set nothing up: to make a node takes longer than most of them."""
    made = Node()
    yield Street(made)
    made.close()


@pytest.fixture(params=[False, True], ids=["bridge alone", "br_netfilter"])
def both(request: pytest.FixtureRequest, quiet: Street) -> Street:
    """As `either`; the bridge has learned nothing."""
    quiet.filter(request.param)
    quiet.forget()
    return quiet


class TestTenants:
    """Frames of two networks on one bridge."""

    @pytest.mark.parametrize("who", HERE, ids=lambda who: who.name)
    def test_what_is_flooded_comes_to_its_own(self, both: Street, who: Who) -> None:
        found = {name: both.seen(who.name, frame) for name, frame in flooded(who).items()}
        assert found == {name: {*PEERS[who], "wire"} for name in found}

    @pytest.mark.parametrize("who", AWAY, ids=lambda who: who.name)
    def test_and_so_does_what_comes_from_another_node(self, both: Street, who: Who) -> None:
        found = {name: both.seen("wire", frame) for name, frame in flooded(who).items()}
        assert found == dict.fromkeys(found, PEERS[who])

    def test_a_station_of_nboth_reaches_nobody(self, both: Street) -> None:
        stranger = A3._replace(mac="aa:bb:e3:00:00:03")
        found = {name: both.seen("wire", frame) for name, frame in flooded(stranger).items()}
        assert found == dict.fromkeys(found, NOBODY)

    def test_a_known_peer_alone_gets_what_is_for_it(self, both: Street) -> None:
        both.introduce(*HERE, *AWAY)
        for who, to in ((A1, A2), (B2, B1), (A3, A1)):
            port = who.name if who in HERE else "wire"
            found = {name: both.seen(port, frame) for name, frame in unicast(who, to).items()}
            assert found == {name: {to.name} for name in found}
        found = {name: both.seen("a1", frame) for name, frame in unicast(A1, A3).items()}
        assert found == {name: {"wire"} for name in found}

    def test_a_guest_of_the_other_cannot_be_addressed(self, both: Street) -> None:
        for known in (False, True):
            for who, to in ((A1, B1), (A1, B2), (B1, A1), (B3, A2)):
                both.forget()
                if known:
                    both.introduce(*HERE, *AWAY)
                port = who.name if who in HERE else "wire"
                # One for the other's MAC is flooded where that is unknown: to peers and wires.
                found = both.seen(port, unicast(who, to)["ipv4"]) - {"wire"}
                assert found == (NOBODY if known else PEERS[who])

    def test_a_forged_mac_goes_nowhere(self, both: Street) -> None:
        both.introduce(A1, A2, B1)
        for forged in (A2, B1, B2, B3):
            found = {name: both.seen("a1", frame) for name, frame in flooded(forged).items()}
            assert found == dict.fromkeys(found, NOBODY)
        assert both.learned() == {A1.mac, A2.mac, B1.mac}
        assert both.seen("a2", unicast(A2, A1)["ipv4"]) == {"a1"}

    def test_who_may_spoof_still_hears_its_own_alone(self, either: Street) -> None:
        either.up(A1, TAGS="ganeti-ext:spoof-allowed")
        assert either.seen("a1", flooded(B1)["broadcast"]) == {"b1", "b2", "wire"}
        assert either.seen("b2", flooded(B2)["broadcast"]) == {"b1", "wire"}

    def test_the_node_itself_does_not_speak_to_them(self, either: Street) -> None:
        either.sent("wire")
        either.node.run("ip", "address", "add", "192.168.0.9/24", "dev", "br0")
        either.node.run("sh", "-c", f"ping -c1 -W1 -q {A1.ip} || true")
        got = {name for name, tap in either.taps.items() if tap.received()}
        assert got == {"wire"}

    def test_ten_thousand_macs_teach_the_bridge_nothing(self, street: Street) -> None:
        street.introduce(A1)
        frame = flooded(A1)["broadcast"]
        for number in range(10_000):
            street.taps["a1"].send(frame[:6] + b"\xaa\xbb\xc0\x01" + number.to_bytes(2, "big") + frame[12:])
        assert street.learned() == {A1.mac}
        assert not any(tap.received() for tap in street.taps.values())


class TestConnections:
    """Conntrack, when the tables of IP see what is bridged."""

    @pytest.fixture(autouse=True)
    def _filter(self, street: Street) -> None:
        street.filter(True)

    def test_equal_connections_of_two_tenants_are_two(self, street: Street) -> None:
        for who, to in ((A1, A2), (B1, B2)):
            assert street.seen(who.name, tcp(who, to, "S", 1000)) >= {to.name}
        known = _connections(street, 1000)
        assert len(known) == 2
        assert len({line.partition("zone=")[2].split()[0] for line in known}) == 2

    def test_one_does_not_open_the_way_for_the_other(self, street: Street) -> None:
        street.up(B2, TAGS="ganeti-ext:firewall:protected")
        street.introduce(*HERE)
        assert self._let_in(street, 1000) == {A2.name}
        street.node.run("nft", "flush", "chain", "inet", "ganeti_ext", "zone")
        assert self._let_in(street, 1001) == {A2.name, B2.name}, "zones are what kept it out"

    def _let_in(self, street: Street, port: int) -> set[str]:
        """Who gets a segment in the midst of a connection when one of A's is established."""
        for who, to, flags, numbers in (
            (A1, A2, "S", {"seq": 100}),
            (A2, A1, "SA", {"seq": 500, "ack": 101}),
            (A1, A2, "A", {"seq": 101, "ack": 501}),
        ):
            assert street.seen(who.name, tcp(who, to, flags, port, **numbers)) == {to.name}
        sent = {who: tcp(who, to, "PA", port, seq=101, ack=501) for who, to in ((A1, A2), (B1, B2))}
        return {name for who, frame in sent.items() for name in street.seen(who.name, frame)}

    def test_fragments_of_two_tenants_are_not_put_together(self, street: Street) -> None:
        street.introduce(*HERE)
        (first_a, last_a), (first_b, last_b) = halves(A1, A2, 7), halves(B1, B2, 7)
        for port, frame in (("a1", first_a), ("b1", last_b)):
            assert street.seen(port, frame) == NOBODY
        got = street.sent("a1", last_a)
        assert {name: b"b1" in b"".join(frames) for name, frames in got.items() if frames} == {"a2": False}
        got = street.sent("b1", first_b)
        assert {name: b"a1" in b"".join(frames) for name, frames in got.items() if frames} == {"b2": False}


class TestProfiles:
    """Equal addresses, and a firewall profile each."""

    def test_equal_addresses_have_different_profiles(self, street: Street) -> None:
        street.filter(True)
        street.up(A2, TAGS="ganeti-ext:firewall:protected")
        street.introduce(*HERE)
        assert street.seen("a1", tcp(A1, A2, "S", 1000)) == NOBODY
        assert street.seen("b1", tcp(B1, B2, "S", 1000)) == {"b2"}

    def test_one_that_goes_takes_nothing_of_the_other(self, street: Street) -> None:
        street.filter(True)
        street.up(A2, TAGS="ganeti-ext:firewall:protected")
        street.introduce(*HERE)
        before = for_taps(street.node)
        index = street.node.run("cat", "/sys/class/net/tap-b2/ifindex").strip()
        reaper = street.node.reaper()
        street.taps.pop("b2").close()
        reaper.says("tap tap-b2 of b2.example.org: gone")
        gone = {line for line in before if "tap-b2" in line or line == f"netdev chain port_{index}"}
        assert for_taps(street.node) == before - gone
        assert street.seen("a1", tcp(A1, A2, "S", 1000)) == NOBODY


def _connections(street: Street, port: int) -> list[str]:
    lines = street.node.run("cat", "/proc/net/nf_conntrack").splitlines()
    return [line for line in lines if f"dport={port}" in line]


class Speaker:
    """A guest, and what of it passes its tap."""

    def __init__(self, node: Node, env: dict[str, str], tap: Tap, watcher: Tap) -> None:
        self._node, self.env, self._tap, self._watcher = node, env, tap, watcher

    def up(self, **more: str) -> None:
        done = self.tried(**more)
        assert (done.returncode, done.stderr) == (0, "")

    def tried(self, **more: str) -> CompletedProcess[str]:
        return self._node.kvm_ifup({**self.env, **more})

    def passes(self, *frames: bytes) -> list[bytes]:
        self._watcher.received()
        for frame in frames:
            self._tap.send(frame)
        return self._watcher.received()

    def may(self, frames: dict[str, bytes]) -> set[str]:
        return {name for name, frame in frames.items() if self.passes(frame) == [frame]}


BRIDGED = {**PLAIN, "MODE": "bridged", "LINK": "br0", "BRIDGE": "br0"}
FILTERED = {**BRIDGED, "NETWORK_TAGS": "nfdhcpd private-filtered"}
MODES = {"bridged": BRIDGED, "private-filtered": FILTERED, "routed": PLAIN}


@contextlib.contextmanager
def speaking(node: Node, env: dict[str, str]) -> Iterator[Speaker]:
    tap = node.tap("tap0")
    with watched(node, "tap0") as watcher:
        yield Speaker(node, env, tap, watcher)


@pytest.fixture(params=list(MODES.values()), ids=list(MODES))
def speaker(request: pytest.FixtureRequest, node: Node) -> Iterator[Speaker]:
    with speaking(node, request.param) as made:
        yield made


@pytest.fixture(scope="class", params=list(MODES.values()), ids=list(MODES))
def silent(request: pytest.FixtureRequest) -> Iterator[Speaker]:
    """One for tests in which it is never set up."""
    node = Node()
    with speaking(node, request.param) as made:
        yield made
    node.close()


@pytest.fixture(scope="class")
def plain(silent: Speaker) -> Speaker:
    """One for tests of what is so without any tags."""
    silent.up()
    return silent


ALL4, ALL6 = set(of_ip4(IP)), set(of_ip6(IP6))
ONLY_FROM = {"echo", "tcp"}  # used behind the guest, so never claimed on the link
# Tags, and what may be said as the owner of an address.
ALLOWANCES: dict[str, dict[str, set[str]]] = {
    "10.0.0.77": {"10.0.0.77": ALL4, "10.0.0.78": set()},
    "10.0.0.128/30": {"10.0.0.127": set(), "10.0.0.128": ALL4, "10.0.0.131": ALL4, "10.0.0.132": set()},
    "0.0.0.0/0": {"10.0.0.1": ALL4, "198.51.100.9": ALL4},
    "2001:db8::77": {"2001:db8::77": ALL6, "2001:db8::78": set()},
    "2001:db8:5::/64": {"2001:db8:5::9": ONLY_FROM, "2001:db8:5:1::9": set()},
}
OTHERS = {"foreign source mac", "arp, foreign sender mac", "vlan tag", "dhcp offer", "router advertisement"}


class TestMayToo:
    """Tags that allow more, on every mode."""

    @pytest.mark.parametrize("allowed", ALLOWANCES)
    def test_an_allowed_address(self, speaker: Speaker, allowed: str) -> None:
        speaker.up(TAGS=f"ganeti-ext:allow-address:{allowed}")
        frames = of_ip6 if ":" in allowed else of_ip4
        found = {address: speaker.may(frames(address)) for address in ALLOWANCES[allowed]}
        assert found == ALLOWANCES[allowed]
        assert (speaker.may(of_ip4(IP)), speaker.may(of_ip6(IP6))) == (ALL4, ALL6)
        assert speaker.may({name: DROP[name] for name in OTHERS}) == set()
        assert speaker.passes(offer("10.0.0.77"), offer("10.0.0.129"), offer("198.51.100.9")) == []

    def test_one_for_all_guests_of_a_network(self, speaker: Speaker) -> None:
        speaker.up(**self._tagged(speaker, "NETWORK_TAGS", "ganeti-ext:allow-address:10.0.0.77"))
        assert speaker.may(of_ip4("10.0.0.77")) == ALL4

    @pytest.mark.parametrize(
        ("nic", "holds"), [("0", 1), ("1", 0), ("web", 1), ("other", 0), (PLAIN["INTERFACE_UUID"], 1)]
    )
    def test_of_one_nic(self, speaker: Speaker, nic: str, holds: int) -> None:
        speaker.up(INTERFACE_NAME="web", TAGS=f"ganeti-ext:allow-address.{nic}:10.0.0.77")
        assert speaker.may(of_ip4("10.0.0.77")) == (ALL4 if holds else set())

    @pytest.mark.parametrize("address", ["10.0.0.5/24", "10.0.0.256", "fe80::1/33", "", "all"])
    def test_a_slip_stops_the_start(self, silent: Speaker, address: str) -> None:
        done = silent.tried(TAGS=f"ganeti-ext:allow-address:{address}")
        assert done.returncode == 2
        assert f"tag ganeti-ext:allow-address:{address}: " in done.stderr

    @pytest.mark.parametrize("variable", ["TAGS", "NETWORK_TAGS"])
    def test_everything(self, speaker: Speaker, variable: str) -> None:
        speaker.up(**self._tagged(speaker, variable, "ganeti-ext:spoof-allowed"))
        everything = {**PASS, **DROP}
        assert speaker.may(everything) == set(everything)

    def _tagged(self, speaker: Speaker, variable: str, tag: str) -> dict[str, str]:
        return {variable: f"{speaker.env.get(variable, '')} {tag}"}


class TestNeverMay:
    """What no guest may say that is not allowed all."""

    def test_foreign_ethertypes(self, plain: Speaker) -> None:
        """With a VLAN's number, or what looks like it, and a packet of the guest behind each."""
        frame = PASS["ipv4 icmp"]
        assert plain.passes(frame)
        passed = []
        for kind in range(1 << 16):
            passed += plain.passes(frame[:12] + kind.to_bytes(2, "big") + b"\0\7" + frame[12:])
        assert passed == []

    @pytest.mark.parametrize(
        "tags", ["8100 0000", "8100 0001", "8100 e007", "88a8 0007", "9100 0007", "88a8 0007 8100 0007"]
    )
    def test_a_tagged_frame_on_an_access_port(self, plain: Speaker, tags: str) -> None:
        tagged = [frame[:12] + bytes.fromhex(tags) + frame[12:] for frame in PASS.values()]
        assert plain.passes(*tagged) == []

    def test_in_fragments(self, speaker: Speaker) -> None:
        speaker.up()
        passed = {name: speaker.passes(*attack.frames) for name, attack in SPOKEN.items()}
        assert passed == {name: attack.innocent for name, attack in SPOKEN.items()}

    def test_what_is_allowed_may_be_in_fragments(self, speaker: Speaker) -> None:
        speaker.up()
        assert speaker.passes(*ALLOWED) == ALLOWED


class TestNeverReaches:
    """Fragments that come to a guest whose profile keeps them out."""

    @pytest.mark.parametrize("profile", ["protected", "limited"])
    def test_in_fragments(self, either: Street, profile: str) -> None:
        either.up(A2, TAGS=f"ganeti-ext:firewall:{profile}")
        attacks = unwanted(A3, A2)
        assert {name: either.sent("wire", *frames)["a2"] for name, frames in attacks.items()} == {
            name: [] for name in attacks
        }
        # ARP comes to everyone: the way is open.
        assert "a2" in either.seen("wire", flooded(A3)["arp request"])

    def test_a_ping_that_may_come_does(self, street: Street) -> None:
        street.filter(True)
        street.up(A2, TAGS="ganeti-ext:firewall:limited")
        assert b"ping" in b"".join(street.sent("wire", *ping(A3, A2))["a2"])

    def test_another_address_on_it_is_no_way_around(self, street: Street) -> None:
        """A frame for a guest is judged by its profile, whosever address it carries."""
        street.filter(True)
        street.up(A2, TAGS="ganeti-ext:firewall:protected", NETWORK_TAGS="nfdhcpd")
        street.up(A1, NETWORK_TAGS="nfdhcpd")
        assert "a2" not in street.seen("wire", tcp(A3, A2._replace(ip=A1.ip), "S", 1000))
