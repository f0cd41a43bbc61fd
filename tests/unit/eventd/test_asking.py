from __future__ import annotations

import json
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from eventd import asking
from eventd.asking import Asker
from eventd.counts import Counts
from eventd.jobs import parse
from eventd.messages import News, news
from tests.waiting import until

T0 = 1795200000


class Ganeti:
    """Knows instances by name, with their rows.

    `gates` holds the nodes of these names back until it is set, `busy` itself when it is asked for these.
    """

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] | None = {}
        self.states: dict[str, bool | None] | None = {}
        self.gates: dict[str, threading.Event] = {}
        self.busy: dict[str, threading.Event] = {}
        self.asked: list[list[str]] = []
        self.nodes_asked: list[list[str]] = []

    def add(self, name: str, mtime: float = T0 + 1000, pnode: str = "node1") -> None:
        assert self.rows is not None
        self.rows[name] = {"mtime": mtime, "instance_state": {"pnode": pnode, "admin_state": "up"}}

    def instances(self, names: Iterable[str]) -> dict[str, dict[str, Any]] | None:
        self.asked.append(sorted(names))
        for name in self.asked[-1]:
            if name in self.busy:
                assert self.busy[name].wait(20)
        return None if self.rows is None else {name: self.rows[name] for name in self.asked[-1] if name in self.rows}

    def networks(self, names: Iterable[str]) -> dict[str, dict[str, Any]] | None:
        self.asked.append(sorted(names))
        return {}

    def running(self, names: Iterable[str]) -> dict[str, bool | None] | None:
        wanted = sorted(names)
        self.nodes_asked.append(wanted)
        for name in wanted:
            if name in self.gates:
                assert self.gates[name].wait(20)
        return self.states and {name: self.states.get(name) for name in wanted}


@pytest.fixture
def ganeti() -> Ganeti:
    return Ganeti()


class Clock:
    now = T0 + 5000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def asker(ganeti: Ganeti, counts: Counts, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asker]:
    monkeypatch.setattr(asking, "_AGAIN", 0.005)
    monkeypatch.setattr(asking, "_SILENT", 0.02)
    made = Asker(ganeti, counts, clock)
    made.start()
    yield made
    made.stop()
    assert not made._thread.is_alive()


@pytest.fixture
def ended(job_file: Callable[[str], bytes]) -> Callable[..., News]:
    """The end, at T0 + 42, of a job on an instance; by itself one whose node must be asked."""

    def ended(number: int, name: str, opcode: str = "OP_INSTANCE_REINSTALL", **fields: Any) -> News:
        raw = json.loads(job_file("startup-success"))
        raw["id"] = number
        raw["ops"][0]["input"].update(OP_ID=opcode, instance_name=name, **fields)
        (item,) = news(parse(json.dumps(raw)), {}, "c")
        return item

    return ended


def collect(asker: Asker, count: int) -> list[News]:
    found: list[News] = []
    end = time.monotonic() + 20
    while len(found) < count:
        assert asker.wait(max(0, end - time.monotonic())), found
        found += asker.take()
    assert len(found) == count
    return found


def jobs(items: Iterable[News]) -> list[int]:
    return [item.message["jobId"] for item in items]


def test_all_that_came_is_asked_for_at_once(asker: Asker, ganeti: Ganeti, ended: Callable[..., News]) -> None:
    for name in ("a", "b", "c"):
        ganeti.add(name)
    ganeti.states = {"a": True, "b": False}
    asker.ask([ended(1, "a"), ended(2, "b"), ended(3, "c"), ended(4, "d")])
    found = sorted(collect(asker, 4), key=lambda item: jobs([item]))
    assert ganeti.asked == [["a", "b", "c", "d"]]
    assert ganeti.nodes_asked == [["a", "b", "c"]]
    assert [item.message.get("instance_state", {}).get("oper_state", "unknown") for item in found] == [
        True, False, None, "unknown",
    ]  # fmt: skip
    assert all(item.message["read_at"] == [T0 + 5000, 0] for item in found)


def test_a_node_that_is_silent_holds_up_its_own_alone(asker: Asker, ganeti: Ganeti, ended: Callable[..., News]) -> None:
    ganeti.add("dead", pnode="node1")
    ganeti.add("alive", pnode="node2")
    ganeti.gates["dead"] = threading.Event()
    asker.ask([ended(1, "dead")])
    asker.ask([ended(2, "alive")])
    asker.ask([ended(3, "gone")])
    assert sorted(jobs(collect(asker, 2))) == [2, 3]
    asker.ask([ended(4, "alive"), ended(5, "dead")])
    assert jobs(collect(asker, 1)) == [4]
    ganeti.gates["dead"].set()
    assert jobs(collect(asker, 2)) == [1, 5]


def test_without_an_answer_about_the_node_nothing_is_said_of_it(
    asker: Asker, ganeti: Ganeti, ended: Callable[..., News]
) -> None:
    ganeti.add("a")
    ganeti.states = None
    asker.ask([ended(1, "a")])
    (item,) = collect(asker, 1)
    assert ganeti.nodes_asked == [["a"]]
    assert item.message["instance_state"] == {"pnode": "node1", "admin_state": "up"}


def test_what_luxid_does_not_know_yet_holds_up_its_own_alone(
    asker: Asker, ganeti: Ganeti, clock: Clock, ended: Callable[..., News]
) -> None:
    clock.now = T0 + 42.0
    ganeti.add("old", mtime=T0)
    asker.ask([ended(1, "old", "OP_INSTANCE_SET_PARAMS"), ended(2, "other", "OP_INSTANCE_STARTUP")])
    assert jobs(collect(asker, 1)) == [2]
    ganeti.add("old", mtime=T0 + 41.5)
    clock.now = T0 + 42.1
    (item,) = collect(asker, 1)
    assert item.message["read_at"][1] in (0, 99999, 100000)
    assert item.message["instance_state"] == {"pnode": "node1", "admin_state": "up"}


def test_messages_about_one_object_keep_their_order(asker: Asker, ganeti: Ganeti, ended: Callable[..., News]) -> None:
    ganeti.add("a")
    ganeti.gates["a"] = threading.Event()
    asker.ask([ended(1, "a")])
    asker.ask([ended(2, "a", "OP_INSTANCE_SET_PARAMS")])  # no node need be asked
    asker.ask([ended(3, "a", "OP_INSTANCE_REMOVE")])  # nobody need be asked
    asker.ask([ended(4, "b", "OP_INSTANCE_STARTUP")])
    assert jobs(collect(asker, 1)) == [4]
    ganeti.gates["a"].set()
    assert jobs(collect(asker, 3)) == [1, 2, 3]


def test_what_waited_for_a_node_goes_before_what_came_since(
    asker: Asker, ganeti: Ganeti, ended: Callable[..., News]
) -> None:
    for name in ("a", "b", "z"):
        ganeti.add(name)
    ganeti.gates["a"], ganeti.busy["z"] = threading.Event(), threading.Event()
    asker.ask([ended(1, "a")])
    until(lambda: ganeti.nodes_asked == [["a"]])
    asker.ask([ended(2, "a", "OP_INSTANCE_SET_PARAMS"), ended(3, "b", "OP_INSTANCE_SET_PARAMS")])
    assert jobs(collect(asker, 1)) == [3]  # the second is put aside by then
    asker.ask([ended(4, "z", "OP_INSTANCE_SET_PARAMS")])
    until(lambda: ganeti.asked[-1] == ["z"])
    asker.ask([ended(5, "a", "OP_INSTANCE_SET_PARAMS")])
    ganeti.gates["a"].set()
    until(lambda: asker._inbox.qsize() == 2)  # the fifth, and the node's answer
    ganeti.busy["z"].set()
    assert [job for job in jobs(collect(asker, 4)) if job != 4] == [1, 2, 5]


def test_what_waits_for_a_node_is_forgotten_too(asker: Asker, ganeti: Ganeti, ended: Callable[..., News]) -> None:
    for name in ("a", "b"):
        ganeti.add(name)
    ganeti.gates["a"] = threading.Event()
    asker.ask([ended(1, "a")])
    until(lambda: ganeti.nodes_asked == [["a"]])
    asker.ask([ended(2, "a", "OP_INSTANCE_SET_PARAMS"), ended(3, "b", "OP_INSTANCE_SET_PARAMS")])
    assert jobs(collect(asker, 1)) == [3]
    asker.forget()
    ganeti.gates["a"].set()
    assert jobs(collect(asker, 1)) == [1]  # its node was being asked
    asker.ask([ended(4, "a", "OP_INSTANCE_SET_PARAMS")])
    assert jobs(collect(asker, 1)) == [4]


def test_without_an_answer_it_goes_as_it_is_and_once_more_when_there_is_one(
    asker: Asker, ganeti: Ganeti, counts: Counts, ended: Callable[..., News]
) -> None:
    ganeti.rows = None
    first = ended(1, "a", "OP_INSTANCE_STARTUP")
    asker.ask([first])
    assert collect(asker, 1) == [first]
    asker.ask([ended(2, "b", "OP_INSTANCE_STARTUP"), ended(3, "a", "OP_INSTANCE_SHUTDOWN")])
    found = collect(asker, 2)
    assert jobs(found) == [2, 3]
    assert all("read_at" not in item.message for item in [first, *found])
    assert counts.unanswered >= 2
    ganeti.rows = {}
    ganeti.add("a")
    # Of each object the newest.
    again = collect(asker, 2)
    assert sorted(jobs(again)) == [2, 3]
    assert all("read_at" in item.message for item in again)
    assert again[0] is not found[0]
    asker.wait(0.1)  # a wake-up may come behind what it was for
    assert asker.take() == []


def test_what_is_owed_and_what_comes_as_that_is_due_are_asked_for_in_their_order(
    ganeti: Ganeti, counts: Counts, clock: Clock, ended: Callable[..., News], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_AGAIN", 0.0)
    monkeypatch.setattr(asking, "_SILENT", 0.0)
    ganeti.rows = None
    asker = Asker(ganeti, counts, clock)  # its thread is this one
    told = []
    for number in (1, 2):
        asker.ask([ended(number, "a", "OP_INSTANCE_STARTUP")])
        assert asker._next()
        told.append(jobs(asker.take()))
    ganeti.rows = {}
    assert asker._next()
    assert [*told, jobs(asker.take())] == [[1], [2], [2]]


def test_what_is_forgotten_is_not_asked_for_again(asker: Asker, ganeti: Ganeti, ended: Callable[..., News]) -> None:
    ganeti.rows = None
    asker.ask([ended(1, "a")])
    collect(asker, 1)
    asker.forget()
    ganeti.rows = {}
    asker.ask([ended(2, "b")])
    assert jobs(collect(asker, 1)) == [2]
    assert not asker.wait(0.1)


def test_networks_are_asked_for_as_such(asker: Asker, ganeti: Ganeti, job_file: Callable[[str], bytes]) -> None:
    items = news(parse(job_file("network-add-success")), {}, "c")
    asker.ask(items)
    assert collect(asker, 2) == items
    assert ganeti.asked == [["gx-net1"]]


def test_a_bug_in_it_is_seen(ganeti: Ganeti, counts: Counts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    asker = Asker(ganeti, counts)
    monkeypatch.setattr(asker, "_settle", lambda *_: 1 / 0)
    asker.start()
    asker.ask([])
    assert select.select([asker.ended], [], [], 5)[0]
