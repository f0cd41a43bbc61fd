"""Tenants' groups on a node: Ganeti's file of the cluster's tags changes, and what comes to running guests with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from ganeti_ext import groups
from ganeti_ext import members as grammar
from ganeti_ext.groups import Group, Rule
from tests.contract.kvm_ifup_frames import OTHER_IP
from tests.contract.kvm_ifup_live import Connection, Live, hook
from tests.contract.kvm_ifup_node import Node, Reaper, needs_node

pytestmark = [pytest.mark.lab, needs_node]

WEB, MAIL = "4f1a2b3c-0000-4000-8000-000000000001", "9e8d7c6b-0000-4000-8000-000000000002"
OF_WEB, OF_BOTH = "ganeti-ext:firewall:@4f1a2b3c", "ganeti-ext:firewall:@9e8d7c6b+@4f1a2b3c"
FILE, MEMBERS = "/var/lib/ganeti/ssconf_cluster_tags", "/run/ganeti-ext/members/told"
PORTS = (22, 25, 80, 443)


def tcp(*ports: int) -> tuple[Rule, ...]:
    return tuple(Rule("ingress", 4, "tcp", port, port, None, None) for port in ports)


class Cluster:
    """Ganeti, as far as it takes the tags of the cluster to a node."""

    def __init__(self, live: Live) -> None:
        self.live, self._version = live, 0
        self._tags: dict[str, list[str]] = {}
        live.node.run("mkdir", "-p", "/var/lib/ganeti")

    def say(self, ident: str, *rules: Rule) -> None:
        """A group has these rules from now on."""
        self._version += 1
        group = Group(ident, "physics", "web", "", 1_700_000_000, 1_700_000_000, rules)
        self._tags[ident] = groups.encode(group, self._version)
        self._write()

    def drop(self, ident: str) -> None:
        del self._tags[ident]
        self._write()

    def tell(self, members: Mapping[str, Sequence[str]], at: int) -> None:
        """As eventd has it run, through the node daemon."""
        env = {"PATH": "/usr/bin:/bin", **grammar.variables(grammar.render(members), f"{at}.000000000")}
        done = self.live.node.script("group-members", env)
        assert done.returncode == 0, done.stderr

    def damage(self) -> None:
        self._tags["x"] = [f"{groups.HEAD}4f1a2b3c.99.0-1:nonsense"]
        self._write()

    def _write(self) -> None:
        lines = ["htools:iextags:x", *(tag for tags in self._tags.values() for tag in tags)]
        self.live.node.write(f"{FILE}.new", "".join(f"{line}\n" for line in lines))
        self.live.node.run("mv", f"{FILE}.new", FILE)

    def open(self) -> set[int]:
        return {port for port in PORTS if self.live.lets_in(port)}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    node = Node()
    yield Cluster(Live(node))
    node.close()


def eventually(reaper: Reaper, check: Callable[[], bool]) -> float:
    """Seconds until it holds."""
    began = time.monotonic()
    while not check():
        assert time.monotonic() - began < 5, reaper.heard()
    return time.monotonic() - began


def test_a_guest_starts_in_a_group(cluster: Cluster) -> None:
    cluster.say(WEB, *tcp(80, 443))
    cluster.live.up(TAGS=OF_WEB)
    assert cluster.open() == {80, 443}


def test_groups_add_up(cluster: Cluster) -> None:
    cluster.say(WEB, *tcp(80))
    cluster.say(MAIL, *tcp(25))
    cluster.live.up(TAGS=OF_BOTH)
    assert cluster.open() == {25, 80}
    cluster.live.tell("ganeti-ext:firewall:@4f1a2b3c+limited", 101)
    assert cluster.open() == {22, 80}


def test_a_group_changes_while_the_guest_runs(cluster: Cluster) -> None:
    cluster.say(WEB, *tcp(80))
    cluster.live.up(TAGS=OF_WEB)
    reaper = cluster.live.node.reaper()
    connection = Connection(cluster.live)
    cluster.say(WEB, *tcp(25, 443))
    assert eventually(reaper, lambda: cluster.open() == {25, 443}) < 1
    assert connection.goes_on(), "what stands is kept"
    cluster.say(WEB)
    assert eventually(reaper, lambda: cluster.open() == set()) < 1


def test_what_nobody_heard_of_is_found(cluster: Cluster) -> None:
    """The reaper was not there when it changed."""
    cluster.say(WEB, *tcp(80))
    cluster.live.up(TAGS=OF_WEB)
    cluster.say(WEB, *tcp(443))
    assert cluster.open() == {80}
    cluster.live.node.reaper()
    assert cluster.open() == {443}


@pytest.mark.parametrize("harm", ["dropped", "damaged", "no file"])
def test_a_group_that_is_not_there_lets_nothing_come(cluster: Cluster, harm: str) -> None:
    cluster.say(WEB, *tcp(80))
    cluster.live.up(TAGS=OF_WEB)
    reaper = cluster.live.node.reaper()
    if harm == "dropped":
        cluster.drop(WEB)
    elif harm == "damaged":
        cluster.damage()
    else:
        cluster.live.node.run("rm", FILE)
        cluster.live.node.run("touch", "/var/lib/ganeti/another")
    eventually(reaper, lambda: cluster.open() == set())
    cluster.live.tell("ganeti-ext:firewall:protected")
    cluster.live.tell(OF_WEB, 101)
    assert cluster.open() == set()


def test_one_that_comes_late_is_in_force_then(cluster: Cluster) -> None:
    """A guest starts on a node that does not have the group yet; the directory is not there either."""
    cluster.live.node.run("rmdir", "/var/lib/ganeti")
    cluster.live.up(TAGS=OF_WEB)
    assert cluster.open() == set()
    cluster.live.node.run("mkdir", "/var/lib/ganeti")
    reaper = cluster.live.node.reaper()
    cluster.say(WEB, *tcp(80))
    eventually(reaper, lambda: cluster.open() == {80})


def test_rules_of_the_kernel_that_were_flushed_come_back(cluster: Cluster) -> None:
    cluster.say(WEB, *tcp(80))
    cluster.live.up(TAGS=OF_WEB)
    reaper = cluster.live.node.reaper()
    cluster.live.node.run("nft", "flush", "ruleset")
    reaper.hang_up()
    eventually(reaper, lambda: cluster.open() == {80})


def test_many_changes_at_once(cluster: Cluster) -> None:
    """While scripts bring the same group into force: the last one holds."""
    cluster.say(WEB, *tcp(80))
    cluster.live.up(TAGS=OF_WEB)
    reaper = cluster.live.node.reaper()
    for turn in range(12):
        running = cluster.live.node.start("instance-tags", hook(OF_WEB, 200 + turn))
        wanted = {25} if turn % 2 else {443}
        cluster.say(WEB, *tcp(*wanted))
        running.communicate()
        eventually(reaper, lambda wanted=wanted: cluster.open() == wanted)  # type: ignore[misc]
    assert "ERROR" not in reaper.heard()


def members_of(ident: str) -> tuple[Rule, ...]:
    return (Rule("ingress", 4, "tcp", 80, 80, None, ident),)


def test_members_come_and_go_while_the_guest_runs(cluster: Cluster) -> None:
    """One that comes is let in, and one that goes is not, within a second; what stands is kept."""
    cluster.say(WEB, *members_of(MAIL))
    cluster.live.up(TAGS=OF_WEB)
    reaper = cluster.live.node.reaper()
    assert cluster.open() == set(), "nobody has told who the members are"
    cluster.tell({"9e8d7c6b": [OTHER_IP, "192.0.2.77"]}, 100)
    assert eventually(reaper, lambda: cluster.open() == {80}) < 1
    connection = Connection(cluster.live)
    cluster.tell({"9e8d7c6b": ["192.0.2.77"]}, 101)
    assert eventually(reaper, lambda: cluster.open() == set()) < 1
    assert connection.goes_on()
    assert reaper.heard().count("are in force") == 1, "at its start: no rule had to change"


def test_a_guest_starts_where_members_are_known(cluster: Cluster) -> None:
    cluster.say(WEB, *members_of(WEB))
    cluster.tell({"4f1a2b3c": [OTHER_IP]}, 100)
    cluster.live.up(TAGS=OF_WEB)
    assert cluster.open() == {80}
    reaper = cluster.live.node.reaper()
    cluster.live.node.run("nft", "flush", "ruleset")
    reaper.hang_up()
    eventually(reaper, lambda: cluster.open() == {80})


@pytest.mark.parametrize("harm", ["rm", "truncate --size=0", "truncate --size=150", "sed -i s/^9e8d/nonsense/"])
def test_members_that_cannot_be_read_are_nobody(cluster: Cluster, harm: str) -> None:
    cluster.say(WEB, *members_of(MAIL))
    cluster.tell({"9e8d7c6b": [OTHER_IP]}, 100)
    cluster.live.up(TAGS=OF_WEB)
    reaper = cluster.live.node.reaper()
    assert cluster.open() == {80}
    cluster.live.node.run(*harm.split(), MEMBERS)
    cluster.live.node.run("sh", "-c", "echo > /run/ganeti-ext/members/another")
    eventually(reaper, lambda: cluster.open() == set())


def test_what_was_on_its_way_for_long_is_not_believed(cluster: Cluster) -> None:
    cluster.say(WEB, *members_of(MAIL))
    cluster.live.up(TAGS=OF_WEB)
    reaper = cluster.live.node.reaper()
    cluster.tell({"9e8d7c6b": [OTHER_IP]}, 100)
    eventually(reaper, lambda: cluster.open() == {80})
    cluster.tell({}, 99)
    cluster.tell({}, 100)
    assert cluster.open() == {80}
    cluster.tell({}, 30)
    eventually(reaper, lambda: cluster.open() == set())


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"GANETI_EXT_MEMBERS": "0"}, "GANETI_EXT_MEMBERS_TIME is not set"),
        (
            {"GANETI_EXT_MEMBERS_TIME": "now", "GANETI_EXT_MEMBERS": "0"},
            "GANETI_EXT_MEMBERS_TIME has a bad value 'now'",
        ),
        ({"GANETI_EXT_MEMBERS_TIME": "1.0"}, "GANETI_EXT_MEMBERS is not set"),
        ({"GANETI_EXT_MEMBERS_TIME": "1.0", "GANETI_EXT_MEMBERS": "1"}, "GANETI_EXT_MEMBERS_0 is not set"),
        (
            {
                "GANETI_EXT_MEMBERS_TIME": "1.0",
                "GANETI_EXT_MEMBERS": "1",
                "GANETI_EXT_MEMBERS_0": "9e8d7c6b 10.0.0.300",
            },
            "'10.0.0.300' does not appear to be an IPv4 or IPv6 address",
        ),
    ],
)
def test_what_says_nothing_is_refused(cluster: Cluster, env: dict[str, str], said: str) -> None:
    done = cluster.live.node.script("group-members", {"PATH": "/usr/bin:/bin", **env})
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert not cluster.live.node.file(MEMBERS).exists()


def test_as_many_as_there_may_be(cluster: Cluster) -> None:
    """The environment holds them, and a set takes them at once."""
    many = [f"10.{200 + number // 65536}.{number // 256 % 256}.{number % 256}" for number in range(16000)]
    cluster.say(WEB, *members_of(MAIL))
    cluster.live.up(TAGS=OF_WEB)
    reaper = cluster.live.node.reaper()
    known, less = grammar.bounded({"4f1a2b3c": many, "9e8d7c6b": [*many[:4000], OTHER_IP], "a0000000": many})
    assert less == ["4f1a2b3c", "a0000000"]
    cluster.tell(known, 100)
    assert eventually(reaper, lambda: cluster.open() == {80}) < 2
