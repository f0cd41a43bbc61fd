"""All nodes are told who the members of groups are: when that changes, when they answer again, every minute."""

from __future__ import annotations

import logging
import queue
import select
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from eventd import membership
from eventd.hook_env import Site
from eventd.hooks_runner import HooksRunnerError, Script
from eventd.inventory import Nodes, Rows
from eventd.membership import Membership
from eventd.messages import News
from ganeti_ext import groups
from ganeti_ext import members as grammar
from ganeti_ext.groups import Group, Rule
from tests.unit.eventd.test_members import DB, WEB, instance

PATIENCE = 10.0
ONE, TWO = "10.0.0.1", "10.0.0.2"


class World:
    """Ganeti and its nodes: `bad` ones do not answer."""

    def __init__(self) -> None:
        self.rows: Rows = {}
        self.tags: list[str] = []
        self.answers, self.is_master = True, True
        self.asked = 0
        self.offline: frozenset[str] = frozenset()
        self.bad: set[str] = set()
        self.calls: queue.SimpleQueue[tuple[str, dict[str, tuple[str, ...]], float]] = queue.SimpleQueue()
        self.hold = threading.Event()
        self.hold.set()
        self.looked = threading.Semaphore(0)
        self.membership = Membership(self, self, self._is_master)

    def names(self, *idents: str, of: str = WEB) -> None:
        """A group has rules that name these."""
        rules = tuple(Rule("ingress", 4, "tcp", 80, 80, None, f"{key}-0000-4000-8000-000000000000") for key in idents)
        self.tags = groups.encode(Group(f"{of}-0000-4000-8000-000000000000", "p", "n", "", 0, 0, rules), 1)

    def has(self, name: str, key: str, address: str, node: str = "node1") -> None:
        self.rows[name] = instance(f"ganeti-ext:firewall:@{key}", name=name, pnode=node, **{"nic.ips": [address]})

    def told(self) -> tuple[str, dict[str, tuple[str, ...]]]:
        """The next call: of which node, and who the members are."""
        address, known, _ = self.calls.get(timeout=PATIENCE)
        return address, known

    def all_told(self, *addresses: str) -> dict[str, tuple[str, ...]]:
        """What all of these nodes are told next, in any order."""
        found = dict(self.told() for _ in addresses)
        assert set(found) == set(addresses)
        (known,) = {tuple(some.items()): some for some in found.values()}.values()
        return known

    def job(self, operation: str = "OP_INSTANCE_REMOVE", **more: str) -> None:
        self.membership.see([News("1/0", "success", {"operation": operation, **more}, 0.0, 0.0)])

    def _is_master(self) -> bool:
        return self.is_master

    def cluster_tags(self) -> list[str]:
        self.looked.release()
        return self.tags

    def everything(self) -> tuple[Rows, Rows] | None:
        self.asked += 1
        return (dict(self.rows), {}) if self.answers else None

    def nodes(self) -> Nodes:
        return Nodes({"node1": ONE, "node2": TWO}, self.offline)

    @staticmethod
    def site() -> Site:
        return Site("cluster", "node1", "/var/lib/ganeti")

    def run(self, address: str, path: str, phase: str, env: dict[str, str]) -> list[Script]:
        assert (path, phase) == ("group-members", "post")
        known = grammar.parse(grammar.of_environment(env))
        self.calls.put((address, known, float(env[grammar.TIME])))
        self.hold.wait(PATIENCE)
        if address in self.bad:
            raise HooksRunnerError("no answer")
        return []


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("_SOON", "_PAUSE", "_UNREACHED", "_AGAIN"):
        monkeypatch.setattr(membership, name, 0.05)
    made = World()
    yield made
    made.hold.set()
    made.membership.stop()
    assert not made.membership._thread.is_alive()


def test_who_comes_and_who_goes(world: World) -> None:
    world.names(DB)
    world.has("a", DB, "10.0.0.7")
    world.membership.start()
    assert world.all_told(ONE, TWO) == {DB: ("10.0.0.7",)}
    world.has("b", DB, "10.0.0.8")
    world.has("c", WEB, "10.0.0.9")
    world.job("OP_INSTANCE_CREATE", instance="b")
    assert world.all_told(ONE, TWO) == {DB: ("10.0.0.7", "10.0.0.8")}
    del world.rows["a"]
    world.job()
    assert world.all_told(ONE, TWO) == {DB: ("10.0.0.8",)}
    world.names(DB, WEB)
    world.job("OP_TAGS_SET")
    assert world.all_told(ONE, TWO) == {DB: ("10.0.0.8",), WEB: ("10.0.0.9",)}
    world.tags = []
    world.job("OP_TAGS_DEL")
    assert world.all_told(ONE, TWO) == {}


def test_what_luxid_knows_late_is_found(world: World) -> None:
    world.names(DB)
    world.membership.start()
    assert world.all_told(ONE, TWO) == {}
    assert world.looked.acquire(timeout=PATIENCE)
    world.job()
    assert world.looked.acquire(timeout=PATIENCE), "luxid says the same still"
    world.has("b", DB, "10.0.0.8")
    assert world.all_told(ONE, TWO) == {DB: ("10.0.0.8",)}


def test_without_such_rules_nobody_is_asked(world: World) -> None:
    world.has("a", WEB, "10.0.0.7")
    world.membership.start()
    assert world.all_told(ONE, TWO) == {}
    for _ in range(3):
        world.job()
        assert world.looked.acquire(timeout=PATIENCE)
    assert world.asked == 0
    assert world.calls.empty()


def test_a_node_that_does_not_answer_is_told_later(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.names(DB)
    world.bad = {TWO}
    with caplog.at_level(logging.INFO):
        world.membership.start()
        assert world.all_told(ONE, TWO) == {}
        assert world.told() == (TWO, {})
        world.has("a", DB, "10.0.0.7")
        world.job()
        while (call := world.told())[1] != {DB: ("10.0.0.7",)} or call[0] != TWO:
            pass
        world.bad = set()
        assert world.told() == (TWO, {DB: ("10.0.0.7",)})
        world.job()
        world.has("b", DB, "10.0.0.8")
        assert world.all_told(ONE, TWO) == {DB: ("10.0.0.7", "10.0.0.8")}
    assert caplog.text.count("node2: no answer; what it knows of the members of groups is old") == 1
    assert "node2: told of the members of groups again" in caplog.text
    assert "node1" not in caplog.text


def test_a_slow_node_is_told_of_the_newest_then(world: World) -> None:
    world.names(DB)
    world.offline = frozenset({"node2"})
    world.hold.clear()
    world.membership.start()
    assert world.told() == (ONE, {})
    for number in range(3):
        world.has("a", DB, f"10.0.0.{number}")
        world.job()
        assert world.looked.acquire(timeout=PATIENCE)
    assert world.calls.empty(), "one at a time"
    world.hold.set()
    while world.told() != (ONE, {DB: ("10.0.0.2",)}):
        pass


def test_every_minute_all_is_said_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that has booted knows nothing."""
    monkeypatch.setattr(membership, "PERIOD", 0.2)
    world.names(DB)
    world.has("a", DB, "10.0.0.7")
    world.membership.start()
    for _ in range(3):
        assert world.all_told(ONE, TWO) == {DB: ("10.0.0.7",)}


def test_where_a_guest_comes_all_is_said_again(world: World) -> None:
    world.names(DB)
    world.has("a", DB, "10.0.0.7", "node2")
    world.membership.start()
    assert world.all_told(ONE, TWO) == {DB: ("10.0.0.7",)}
    world.job("OP_INSTANCE_STARTUP", instance="a")
    assert world.told() == (TWO, {DB: ("10.0.0.7",)})
    assert world.calls.empty()


def test_only_the_master_tells(world: World) -> None:
    world.names(DB)
    world.is_master = False
    world.membership.start()
    world.job()
    world.is_master = True
    world.membership.look()
    assert world.all_told(ONE, TWO) == {}


def test_while_ganeti_does_not_answer_nothing_is_said(world: World) -> None:
    world.names(DB)
    world.has("a", DB, "10.0.0.7")
    world.answers = False
    world.membership.start()
    assert world.looked.acquire(timeout=PATIENCE)
    assert world.looked.acquire(timeout=PATIENCE), "it is asked again"
    assert world.calls.empty()
    world.answers = True
    assert world.all_told(ONE, TWO) == {DB: ("10.0.0.7",)}


def test_too_many_are_told_of(world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(grammar, "MOST", 2)
    world.names(DB)
    for number in range(3):
        world.has(f"a{number}", DB, f"10.0.0.{number}")
    world.membership.start()
    assert world.all_told(ONE, TWO) == {DB: ("10.0.0.0", "10.0.0.1")}
    assert f"security groups {DB} have more than 2 members" in caplog.text


def test_a_bug_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(threading, "excepthook", lambda _args: None)
    monkeypatch.setattr(world, "cluster_tags", breaks)
    world.membership.start()
    assert select.select([world.membership.ended], [], [], PATIENCE)[0]
