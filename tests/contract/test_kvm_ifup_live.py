"""Tags of a guest that runs: what they say is in force when instance-tags has ended, whatever happens meanwhile."""

from __future__ import annotations

import random
from collections.abc import Iterator
from subprocess import Popen

import pytest

from ganeti_ext import binding
from tests.contract.kvm_ifup_frames import IP, OTHER_IP, OTHER_MAC, PASS, of_ip4, of_ip6
from tests.contract.kvm_ifup_live import (
    ALL,
    ALLOW,
    BRIDGED,
    INSTANCE,
    LIMITED,
    NIC,
    OWN_ONLY,
    PROTECTED,
    SPOOF,
    Connection,
    Live,
    hook,
    to_guest,
    to_peer,
)
from tests.contract.kvm_ifup_node import PATIENCE, Node, needs_node
from tests.contract.kvm_ifup_set import for_taps

pytestmark = [pytest.mark.lab, needs_node]

OTHER = {"INTERFACE": "tap1", "INTERFACE_UUID": "another", "MAC": OTHER_MAC, "IP": OTHER_IP}
CUT = "[profile]\nestablished = cut\n"
NETWORK = {
    "GANETI_INSTANCE_NIC_COUNT": "1",
    "GANETI_INSTANCE_NIC0_UUID": NIC,
    **{
        f"GANETI_INSTANCE_NIC0_{key}": BRIDGED[key]
        for key in ("NETWORK_GATEWAY", "NETWORK_SUBNET6", "NETWORK_GATEWAY6")
    },
}


@pytest.fixture
def node() -> Iterator[Node]:
    made = Node()
    yield made
    made.close()


@pytest.fixture
def live(node: Node) -> Live:
    made = Live(node)
    made.up(TAGS="nfdhcpd:prefix6:2001:db8:77::/56")
    return made


OWN = "nfdhcpd:prefix6:2001:db8:77::/56"


class TestProfile:
    """What comes in."""

    def test_another(self, live: Live) -> None:
        for at, (tags, expected) in enumerate([("", {22, 23}), (LIMITED, {22}), (PROTECTED, set()), ("", {22, 23})]):
            live.tell(f"{OWN} {tags}", at)
            assert {port for port in (22, 23) if live.lets_in(port)} == expected

    def test_connections_that_stand_go_on(self, live: Live) -> None:
        connection = Connection(live)
        live.tell(PROTECTED)
        assert not live.lets_in(80)
        assert connection.goes_on()

    def test_or_are_cut(self, live: Live) -> None:
        live.node.run("mkdir", "/etc/ganeti-ext/profiles")
        live.node.write("/etc/ganeti-ext/profiles/closed.conf", CUT)
        connection = Connection(live)
        live.tell("ganeti-ext:firewall:closed")
        assert not connection.goes_on()
        assert live.says(to_peer("S", 81, 1001, seq=1))
        assert live.hears(to_guest("SA", 1001, 81, seq=1, ack=2)), "what it opens itself from now on stands"
        live.tell("", 101)
        assert not connection.goes_on(), "what was cut does not come back"

    @pytest.mark.parametrize(
        ("tags", "code", "words"),
        [
            ("ganeti-ext:firewall:strict", 3, "there is no firewall profile 'strict'"),
            (f"{PROTECTED} {LIMITED}", 2, "contradict each other"),
            (f"{ALLOW}:10.0.0.256", 2, f"tag {ALLOW}:10.0.0.256"),
        ],
    )
    def test_a_slip_is_told_and_changes_nothing(self, live: Live, tags: str, code: int, words: str) -> None:
        live.tell(f"{OWN} {PROTECTED}")
        before = for_taps(live.node), live.node.file("/run/ganeti-ext/taps/tap0").read_text()
        done = live.told(tags, 101)
        assert done.returncode in (1, code)
        assert f"tap0 of {INSTANCE} stays as it was: " in done.stderr
        assert words in done.stderr
        assert (for_taps(live.node), live.node.file("/run/ganeti-ext/taps/tap0").read_text()) == before
        assert not live.lets_in(22)
        assert live.may() == OWN_ONLY
        live.tell(f"{OWN} {LIMITED}", 101)
        assert live.lets_in(22)

    def test_a_slip_for_one_nic_does_not_stop_the_other(self, live: Live) -> None:
        second = live.node.tap("tap1")
        live.up(**OTHER, INTERFACE_INDEX="1")
        done = live.told("ganeti-ext:firewall.1:strict ganeti-ext:firewall.0:protected")
        assert done.returncode == 1
        assert f"tap1 of {INSTANCE} stays as it was: " in done.stderr
        assert "tap0" not in done.stderr
        assert not live.lets_in(22)
        second.close()


class TestSaid:
    """What the guest may say."""

    def test_all_and_its_own_again(self, live: Live) -> None:
        for at, tags in enumerate([SPOOF, "", SPOOF, ""]):
            live.tell(f"{OWN} {tags}", at)
            assert live.may() == (ALL if tags else OWN_ONLY)

    def test_all_by_a_tag_of_its_network(self, live: Live) -> None:
        for at, tags in enumerate([SPOOF, "", SPOOF, ""]):
            live.tell(OWN, at, **NETWORK, GANETI_INSTANCE_NIC0_NETWORK_TAGS=f"nfdhcpd {tags}")
            assert live.may() == (ALL if tags else OWN_ONLY)

    def test_more_addresses_and_fewer(self, live: Live) -> None:
        """Prefixes that hold each other follow on one another."""
        known = ("10.0.0.77", "10.0.0.130", "10.0.0.200")
        for at, (prefix, expected) in enumerate(
            [
                ("10.0.0.128/25", {"10.0.0.130", "10.0.0.200"}),
                ("10.0.0.0/24", set(known)),
                ("10.0.0.128/26", {"10.0.0.130"}),
                ("10.0.0.200", {"10.0.0.200"}),
            ]
        ):
            live.tell(f"{OWN} {ALLOW}:{prefix}", at)
            assert {ip for ip in known if all(map(live.says, of_ip4(ip).values()))} == expected
            assert {ip for ip in known if any(map(live.says, of_ip4(ip).values()))} == expected
        live.tell(f"{OWN} {ALLOW}:2001:db8::77", 50)
        assert all(map(live.says, of_ip6("2001:db8::77").values()))
        assert not live.says(of_ip4("10.0.0.200")["icmp"])
        live.tell(OWN, 51)
        assert live.may() == OWN_ONLY
        assert not any(map(live.says, of_ip6("2001:db8::77").values()))

    def test_a_network_that_becomes_private(self, live: Live) -> None:
        assert live.lets_in(22)
        stranger = to_guest("S", 900, 22).replace(b"\x52\x54\x00\x00\x00\x02", b"\x52\x54\x10\x00\x00\x02")
        assert live.hears(stranger)
        live.tell(OWN, 1, **NETWORK, GANETI_INSTANCE_NIC0_NETWORK_TAGS="nfdhcpd private-filtered")
        assert live.lets_in(22)
        assert not live.hears(stranger)
        live.tell(OWN, 2, **NETWORK, GANETI_INSTANCE_NIC0_NETWORK_TAGS="nfdhcpd")
        assert live.hears(stranger)


class TestBinding:
    """What nfdhcpd is told."""

    def test_terms(self, live: Live) -> None:
        was = self._read(live)
        live.tell("nfdhcpd:lease:120 nfdhcpd:mtu:1280 ganeti-ext:name:Shop nfdhcpd:nameservers:192.0.2.53")
        now = self._read(live)
        assert now == was._replace(hostname="shop", mtu=1280, terms=(("lease", "120"), ("nameservers", "192.0.2.53")))
        live.tell(OWN, 101)
        assert self._read(live) == was

    def test_a_family_less(self, live: Live) -> None:
        live.tell("disable_ipv4")
        assert self._read(live).ip is None
        assert not live.says(PASS["ipv4 icmp"])
        assert live.says(PASS["ipv6 echo"])
        live.tell("disable_ipv4 disable_ipv6", 101)
        assert not live.node.file("/var/lib/nfdhcpd/tap0").exists()
        assert not live.says(PASS["ipv6 echo"])
        live.tell(OWN, 102)
        assert self._read(live).ip == IP
        assert live.may() == OWN_ONLY

    def test_none_by_a_tag_of_its_network(self, live: Live) -> None:
        live.tell(OWN, 1, **NETWORK, GANETI_INSTANCE_NIC0_NETWORK_TAGS="")
        assert not live.node.file("/var/lib/nfdhcpd/tap0").exists()
        live.tell(OWN, 2, **NETWORK, GANETI_INSTANCE_NIC0_NETWORK_TAGS="nfdhcpd nfdhcpd:lease:300")
        assert self._read(live).terms == (("lease", "300"), ("prefix6", "2001:db8:77::/56"))

    def _read(self, live: Live) -> binding.Binding:
        return binding.read("tap0", str(live.node.file("/var/lib/nfdhcpd")))


class TestTime:
    """Words that overtake each other."""

    @pytest.mark.parametrize("at", [100.0, 99.999999999, 99.0])
    def test_what_is_older_is_refused(self, live: Live, at: float) -> None:
        live.tell(PROTECTED, 100.0)
        live.tell("", at)
        assert not live.lets_in(22)
        live.tell("", 100.000000001)
        assert live.lets_in(22)

    def test_a_clock_far_back_is_another_masters(self, live: Live) -> None:
        live.tell(PROTECTED, 1e9)
        live.tell("", 1e9 - 86400)
        assert live.lets_in(22)

    @pytest.mark.parametrize("lacks", ["GANETI_EXT_TAGS_TIME", "GANETI_INSTANCE_TAGS", "GANETI_INSTANCE_NAME"])
    def test_half_a_word_changes_nothing(self, live: Live, lacks: str) -> None:
        live.tell(PROTECTED, 100.0)
        env = hook("", 101.0)
        del env[lacks]
        done = live.node.script("instance-tags", env)
        assert done.returncode == 2
        assert f"{lacks} is not set" in done.stderr
        assert not live.lets_in(22)


class TestReused:
    """A tap that is another's by now."""

    def test_before_its_own_script_has_run(self, live: Live) -> None:
        live.guest.close()
        live.guest = live.node.tap("tap0")
        before = for_taps(live.node)
        live.tell(PROTECTED)
        assert for_taps(live.node) == before

    def test_and_behind_it(self, live: Live) -> None:
        live.guest.close()
        live.guest = live.node.tap("tap0")
        live.up(INSTANCE="gx-0002.example.org", TAGS=OWN)
        live.tell(f"{PROTECTED} {SPOOF}")
        assert live.lets_in(22)
        assert live.may() == OWN_ONLY


@pytest.mark.parametrize("before", [True, False], ids=["before", "behind"])
@pytest.mark.parametrize(
    "tags",
    [("", PROTECTED), (f"{ALLOW}:10.0.0.0/24", f"{ALLOW}:10.0.0.0/25"), ("", SPOOF), (SPOOF, ""), ("disable_ipv4", "")],
    ids=["profile", "prefix", "spoof", "no spoof", "family"],
)
class TestKilled:
    """A script that dies at its transaction, before it or behind it."""

    def test_it_can_be_said_again(self, live: Live, tags: tuple[str, str], before: bool) -> None:
        expected = self._told(live, tags, before)
        live.tell(tags[1], 103)
        assert for_taps(live.node) == expected

    def test_nothing_is_left_in_the_end(self, live: Live, tags: tuple[str, str], before: bool) -> None:
        self._told(live, tags, before)
        reaper = live.node.reaper()
        live.guest.close()
        reaper.says(f"tap tap0 of {INSTANCE}: gone")
        assert not any("tap0" in line or "port_" in line or IP in line for line in for_taps(live.node))

    def test_the_tap_can_be_set_up_anew(self, live: Live, tags: tuple[str, str], before: bool) -> None:
        expected = self._told(live, tags, before)
        live.up(TAGS=tags[1])
        assert for_taps(live.node) == expected

    def _told(self, live: Live, tags: tuple[str, str], before: bool) -> set[str]:
        """Tell both, one of which kills; what is set when both are told."""
        live.tell(tags[1], 100)
        expected = for_taps(live.node)
        live.tell(tags[0], 101)
        assert live.told(tags[1], 102, **live.killing(before)).returncode == -9
        return expected


class TestMoved:
    """A guest that is back on another tap before anybody has noticed that it left the first."""

    def test_it_keeps_what_it_has_now(self, live: Live) -> None:
        live.guest.close()
        live.guest = live.node.tap("tap1")
        live.up(INTERFACE="tap1", TAGS=f"{OWN} {PROTECTED}")
        expected = {line for line in for_taps(live.node) if "tap0" not in line}
        assert live.node.script("instance-moved", {**hook(""), "GANETI_INSTANCE_NAME": "any"}).returncode == 0
        gone = {f"netdev chain port_{live.first}"}
        assert for_taps(live.node) == expected - gone
        assert any(f"br0 . {IP} : " in line for line in expected)
        assert not live.lets_in(22)
        assert live.may() == OWN_ONLY


class Crowd:
    """Scripts that all run at once."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._running: list[Popen[str]] = []

    def run(self, name: str, env: dict[str, str]) -> None:
        self._running.append(self._node.start(name, env))

    def ended(self) -> list[str]:
        """Wait for all; what they complained of."""
        found = [(process.communicate(timeout=PATIENCE)[1], process.returncode) for process in self._running]
        return [text for text, code in found if text or code]


def guest(number: int, tags: str = "") -> dict[str, str]:
    return {
        **BRIDGED,
        "INTERFACE": f"tap{number}",
        "INTERFACE_UUID": f"nic-{number}",
        "INSTANCE": f"gx-{number:04}.example.org",
        "MAC": f"52:54:00:00:01:{number:02x}",
        "IP": f"10.0.0.{100 + number}",
        "TAGS": tags,
    }


MOVED = {"PATH": BRIDGED["PATH"], "GANETI_INSTANCE_NAME": "gx-0001.example.org"}


class TestAtOnce:
    """Twenty scripts, and the reaper."""

    def test_on_one_tap(self, live: Live) -> None:
        many = [OWN, PROTECTED, f"{SPOOF} {LIMITED}", f"{ALLOW}:10.0.0.0/24", f"{ALLOW}:10.0.0.128/25", "disable_ipv6"]
        live.tell(last := f"{OWN} {ALLOW}:10.0.0.128/26", 1)
        expected = for_taps(live.node)
        reaper = live.node.reaper()
        words = [hook(tags, at) for at, tags in enumerate([*many, *many, *many[:3], last], 10)]
        random.Random(4).shuffle(words)
        crowd = Crowd(live.node)
        for env in words:
            crowd.run("instance-tags", env)
        for _ in range(4):
            crowd.run("instance-moved", MOVED)
            reaper.hang_up()
        assert crowd.ended() == []
        assert for_taps(live.node) == expected
        assert "ERROR" not in reaper.told

    def test_starts_of_one_tap(self, live: Live) -> None:
        expected = for_taps(live.node)
        crowd = Crowd(live.node)
        for tags in (PROTECTED, SPOOF, LIMITED, f"{ALLOW}:10.0.0.0/24"):
            for _ in range(5):
                crowd.run("kvm-vif-bridge", {**BRIDGED, "TAGS": tags})
        assert crowd.ended() == []
        live.up(TAGS=OWN)
        assert for_taps(live.node) == expected

    def test_on_many_taps(self, node: Node) -> None:
        """Ten guests come, ten are told of their tags, ten go."""
        taps = {number: node.tap(f"tap{number}") for number in range(30)}
        reaper = node.reaper()
        for number in range(10, 30):
            assert node.kvm_ifup(guest(number)).returncode == 0
        crowd = Crowd(node)
        for number in range(10):
            crowd.run("kvm-vif-bridge", guest(number, PROTECTED))
            crowd.run("instance-tags", hook(PROTECTED, instance=f"gx-{10 + number:04}.example.org"))
            taps.pop(20 + number).close()
        for _ in range(3):
            crowd.run("instance-moved", MOVED)
            reaper.hang_up()
        assert crowd.ended() == []
        reaper.until(lambda: self._records(node) == {f"tap{number}" for number in range(20)}, "the last is gone")
        assert "ERROR" not in reaper.told
        found = for_taps(node)
        other = Node()
        try:
            alone = {number: other.tap(f"tap{number}") for number in range(20)}
            assert other.kvm_ifup(guest(0)).returncode == 0  # so that profiles have the same numbers
            for number in alone:
                assert other.kvm_ifup(guest(number, PROTECTED)).returncode == 0
            assert found == for_taps(other)
        finally:
            other.close()

    def _records(self, node: Node) -> set[str]:
        return {path.name for path in node.file("/run/ganeti-ext/taps").iterdir()}
