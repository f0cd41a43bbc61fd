from __future__ import annotations

import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eventd import owed, tagged, telling
from eventd.hook_env import Site
from eventd.hooks_runner import HooksFailedError, HooksRunnerError, Script
from eventd.inventory import Nodes, Rows
from eventd.tagged import Change
from eventd.telling import Teller
from ganeti_ext.outbox import Dropped, Outbox
from tests.waiting import until

PATIENCE = 10.0
NIC_COLUMNS = ("names", "uuids", "ips", "macs", "modes", "links", "vlans", "bridges", "networks.names")


class Known:
    """An inventory whose content the test sets."""

    def __init__(self) -> None:
        self.rows: Rows = {}
        self.nets: Rows = {}
        self.offline: frozenset[str] = frozenset()
        self.answers = True
        self.asked = threading.Semaphore(0)
        self.held = threading.Event()  # cleared, it takes its time
        self.held.set()

    def instance(self, name: str, node: str = "node2", **fields: Any) -> None:
        nics: dict[str, Any] = {f"nic.{column}": [] for column in NIC_COLUMNS}
        self.rows[name] = {
            "name": name, "pnode": node, "admin_state": "up", "tags": [], "mtime": time.time() + 60, **nics, **fields,
        }  # fmt: skip

    def network(self, name: str, *instances: str) -> None:
        self.nets[name] = {"name": name, "uuid": f"uuid-{name}", "mtime": time.time() + 60, "inst_list": instances}

    def instances(self, names: Iterable[str]) -> Rows | None:
        self.asked.release()
        self.held.wait(PATIENCE)
        return {name: row for name, row in self.rows.items() if name in names} if self.answers else None

    def networks(self, names: Iterable[str]) -> Rows | None:
        return {name: row for name, row in self.nets.items() if name in names} if self.answers else None

    def nodes(self) -> Nodes:
        return Nodes({"node2": "10.0.0.2", "node3": "10.0.0.3"}, self.offline)

    @staticmethod
    def site() -> Site:
        return Site("cluster", "node1", "/var/lib/ganeti")


class Runner:
    """Stands for noded: `calls` has what it was told; it does what `outcomes` has for the instance, else succeeds."""

    def __init__(self) -> None:
        self.calls: queue.SimpleQueue[tuple[str, dict[str, str]]] = queue.SimpleQueue()
        self.outcomes: dict[str, list[Callable[[], None]]] = {}

    def run(self, address: str, path: str, phase: str, env: dict[str, str]) -> list[Script]:
        assert (path, phase) == ("instance-tags", "post")
        self.calls.put((address, env))
        for outcome in self.outcomes.get(env["GANETI_INSTANCE_NAME"], [])[:1]:
            self.outcomes[env["GANETI_INSTANCE_NAME"]].pop(0)
            outcome()
        return [Script("instance-tags-post.d/50-x", 2, ""), Script("instance-tags-post.d/x.bak", 0, "")]

    def told(self) -> tuple[str, str, str]:
        """Address, instance and tags of the next call."""
        address, env = self.calls.get(timeout=PATIENCE)
        return address, env["GANETI_INSTANCE_NAME"], env["GANETI_INSTANCE_TAGS"]


def fails(error: Exception) -> Callable[[], None]:
    def outcome(*_: object) -> None:
        raise error

    return outcome


def hangs(until: threading.Event) -> Callable[[], None]:
    def outcome() -> None:
        until.wait(PATIENCE)

    return outcome


def change(cause: str, name: str = "web1", kind: str = "instance") -> Change:
    return Change(cause, kind, name, "OP_TAGS_SET", time.time() - 0.2, time.time())


class World:
    """A master whose teller is started, or not yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known, self.runner = Known(), Runner()
        self.is_master = True
        self.outbox = Outbox(str(path / "outbox.db"))
        self.teller: Teller | None = None
        self.known.instance("web1")
        self.known.instance("web2", "node3")

    def start(self) -> Teller:
        outbox = str(self.path / "outbox.db")
        self.teller = Teller(outbox, self.known, self.runner, lambda: self.is_master)  # type: ignore[arg-type]
        self.teller.start()
        return self.teller

    def keep(self, *changes: Change) -> None:
        """As the follower does."""
        self.outbox.put([], tagged.records(changes))
        if self.teller:
            self.teller.owe(changes)

    def cursors(self) -> set[str]:
        return {name for name in self.outbox.cursors() if name.startswith("tags/")}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[World]:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(telling, "_LUXID", 0.01)
    monkeypatch.setattr(telling, "_BEHIND", 0.01)
    monkeypatch.setattr(owed, "UNREACHED", (0.01,))
    monkeypatch.setattr(owed, "FAILED", (0.01, 0.02))
    made = World(tmp_path)
    yield made
    if made.teller:
        made.teller.stop()
    made.outbox.close()


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [f"{record.levelname} {record.getMessage()}" for record in caplog.records if record.name != "eventd.watch"]


def test_a_job_is_told_of_as_it_ends(world: World) -> None:
    world.known.instance("web1", tags=["b", "a"])
    teller, seen = world.start(), change("7/0")
    teller.see([seen])
    assert world.runner.told() == ("10.0.0.2", "web1", "a b")  # what Ganeti has, not what the job said
    teller.see([seen])
    teller.see([change("8/0", "web2")])
    assert world.runner.told()[1] == "web2"
    world.keep(change("9/0", "web2"))
    until(lambda: not world.cursors())
    assert world.runner.told()[1] == "web2"
    assert world.runner.calls.empty()


def test_the_outbox_keeps_it_until_it_is_told(world: World) -> None:
    gate = threading.Event()
    world.runner.outcomes["web1"] = [hangs(gate)]
    world.start()
    one = change("7/0")
    world.keep(one)
    world.runner.told()
    assert world.cursors() == {"tags/7/0"}
    gate.set()
    until(lambda: not world.cursors())
    # The follower comes late, as it waited for luxid.
    world.keep(one)
    until(lambda: not world.cursors())
    assert world.runner.calls.empty()


def test_after_a_restart_it_goes_on(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.keep(change("7/0"), change("8/0", "web2"), change("9/0", "web2"))
    teller = world.start()
    teller.owe([change("9/0", "web2")])
    assert {world.runner.told()[1], world.runner.told()[1]} == {"web1", "web2"}
    until(lambda: not world.cursors())
    assert "INFO node2: told of the tags of web1, 1 scripts ran" in lines(caplog)


def test_only_the_master_tells(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.is_master = False
    world.keep(change("7/0"), change("8/0", "web2"))
    world.start()
    until(lambda: not world.cursors())
    world.is_master = True
    world.keep(change("10/0", "web2"))
    assert world.runner.told()[1] == "web2"
    assert world.runner.calls.empty()
    said = [line for line in lines(caplog) if "master" in line]
    assert said == ["INFO not the master: 2 changes of tags are left to it"]


def test_who_does_not_run_need_not_be_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.known.instance("web1", admin_state="down")
    world.known.offline = frozenset({"node3"})
    world.start()
    world.keep(change("7/0"), change("8/0", "web2"))
    until(lambda: not world.cursors())
    assert sorted(lines(caplog)) == [
        "INFO web1: its tags need not be told, it is down",
        "INFO web2: its tags need not be told, its node node3 is offline",
    ]
    assert world.runner.calls.empty()


def test_luxid_comes_back(world: World) -> None:
    world.known.answers = False
    world.start()
    world.keep(change("7/0"))
    assert all(world.known.asked.acquire(timeout=PATIENCE) for _ in range(3))
    assert world.cursors() == {"tags/7/0"}
    world.known.answers = True
    assert world.runner.told()[1] == "web1"


def test_it_waits_until_luxid_knows_of_the_change(world: World) -> None:
    world.known.instance("web1", tags=["old"], mtime=time.time() - 60)
    world.start()
    world.keep(change("7/0"))
    assert all(world.known.asked.acquire(timeout=PATIENCE) for _ in range(3))
    world.known.instance("web1", tags=["new"])
    assert world.runner.told()[2] == "new"


def test_a_network_means_its_instances(world: World) -> None:
    world.known.instance("web3")
    world.known.network("net1", "web1", "web2")
    teller = world.start()
    world.keep(change("7/0", "net1", "network"))
    assert {world.runner.told()[:2], world.runner.told()[:2]} == {("10.0.0.2", "web1"), ("10.0.0.3", "web2")}
    until(lambda: not world.cursors())
    teller.see([change("8/0", "net1", "network")])
    assert {world.runner.told()[1], world.runner.told()[1]} == {"web1", "web2"}
    assert world.runner.calls.empty()


def test_a_network_that_is_gone(world: World) -> None:
    world.start()
    old = change("7/0", "net1", "network")
    world.keep(old._replace(began=old.began - 60, ended=old.ended - 60))
    until(lambda: not world.cursors())


def test_a_node_that_does_not_answer_is_said_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    away = HooksRunnerError("10.0.0.2:1811: refused")
    world.runner.outcomes["web1"] = [fails(away)] * 3
    world.start()
    world.keep(change("7/0"))
    for _ in range(4):
        assert world.runner.told()[1] == "web1"
    until(lambda: not world.cursors())
    assert lines(caplog) == [
        "WARNING node2: 10.0.0.2:1811: refused; trying again, the tags of 1 instances wait",
        "INFO node2 answers again",
        "INFO node2: told of the tags of web1, 1 scripts ran",
    ]


def test_failing_scripts_are_given_up(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.runner.outcomes["web1"] = [fails(HooksFailedError("50-x: no such tap"))] * 3
    world.start()
    world.keep(change("7/0"))
    until(lambda: not world.cursors())
    assert [world.runner.told()[1] for _ in range(3)] == ["web1"] * 3
    assert world.runner.calls.empty()
    again = "ERROR node2: hooks for the tags of web1 failed, trying again: 50-x: no such tap"
    assert lines(caplog) == [again, again, again.replace("trying again", "given up")]


def test_nobody_waits_for_another_node(world: World) -> None:
    gate = threading.Event()
    world.runner.outcomes["web1"] = [hangs(gate)]
    world.start()
    world.keep(change("7/0"))
    assert world.runner.told()[1] == "web1"
    world.keep(change("8/0", "web2"))
    assert world.runner.told()[1] == "web2"
    until(lambda: world.cursors() == {"tags/7/0"})
    gate.set()
    until(lambda: not world.cursors())


def test_what_is_told_when_it_stops_is_not_told_again(world: World) -> None:
    gate, one = threading.Event(), change("7/0")
    world.runner.outcomes["web2"] = [hangs(gate)]
    teller = world.start()
    world.keep(one)
    until(lambda: not world.cursors())
    while world.known.asked.acquire(blocking=False):
        pass
    world.known.held.clear()
    world.keep(change("8/0", "web2"))
    assert world.known.asked.acquire(timeout=PATIENCE)
    # It waits for luxid just now. The follower is done at last with what was told, and there is SIGTERM.
    world.keep(one)
    os.eventfd_write(teller._stop, 1)
    world.known.held.set()
    teller.stop()
    assert world.cursors() == {"tags/8/0"}
    gate.set()


def test_to_stop_it_waits_for_nobody(world: World) -> None:
    gate = threading.Event()
    world.runner.outcomes["web1"] = [hangs(gate)]
    teller = world.start()
    world.keep(change("7/0"))
    world.runner.told()
    begun = time.monotonic()
    teller.stop()
    assert time.monotonic() - begun < PATIENCE / 2  # the script hangs for PATIENCE
    assert world.cursors() == {"tags/7/0"}
    gate.set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_in_a_call_is_a_failure_of_that_call(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.runner.outcomes["web1"] = [fails(RuntimeError("bug"))]
    world.start()
    world.keep(change("7/0"))
    until(lambda: not world.cursors())
    assert lines(caplog)[0] == (
        "ERROR node2: hooks for the tags of web1 failed, trying again: a bug, see the traceback above"
    )


def test_a_full_disk_only_delays_the_books(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    put = Outbox.put
    full = threading.Event()

    def stumble(outbox: Outbox, messages: Iterable[tuple[str, str]], cursors: dict[str, str | None]) -> Dropped:
        if not full.is_set() and threading.current_thread().name == "teller":
            full.set()
            raise sqlite3.OperationalError("database or disk is full")
        return put(outbox, messages, cursors)

    monkeypatch.setattr(Outbox, "put", stumble)
    world.start()
    world.keep(change("7/0"))
    assert full.wait(PATIENCE)
    assert world.cursors() == {"tags/7/0"}
    world.keep(change("8/0", "web2"))
    until(lambda: not world.cursors())


def test_it_says_when_it_dies_of_a_bug(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _: ended.set())
    monkeypatch.setattr(telling, "Outbox", fails(RuntimeError("bug")))
    teller = world.start()
    assert ended.wait(PATIENCE)
    with open(teller.ended, "rb", buffering=0, closefd=False) as file:
        assert file.read(8) == (1).to_bytes(8, "little")
