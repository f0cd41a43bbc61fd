from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from eventd.enrich import enrich
from eventd.jobs import parse
from eventd.messages import News, news

T0 = 1795200000
SERVER = "gx-5f0c3a52-8c5e-4c52-9f0a-1d2e3f405162"


def instance(mtime: float = T0) -> dict[str, Any]:
    return {"mtime": mtime, "instance_nics": [], "instance_disks": [],
            "instance_state": {"oper_state": None, "admin_state": "up"}}  # fmt: skip


class Ganeti:
    """Answers from lists, one element for each question; the last stays."""

    def __init__(self, instances: list[dict[str, Any] | None], running: dict[str, bool | None] | None = None) -> None:
        self._instances = instances
        self._running = running
        self.asked: list[tuple[str, list[str]]] = []

    def _next(self, kind: str, names: Iterable[str]) -> dict[str, Any] | None:
        self.asked.append((kind, sorted(names)))
        return self._instances.pop(0) if len(self._instances) > 1 else self._instances[0]

    def instances(self, names: Iterable[str]) -> dict[str, dict[str, Any]] | None:
        return self._next("instances", names)

    def networks(self, names: Iterable[str]) -> dict[str, dict[str, Any]] | None:
        return self._next("networks", names)

    def running(self, names: Iterable[str]) -> dict[str, bool | None] | None:
        self.asked.append(("running", sorted(names)))
        return self._running


@pytest.fixture
def found(job_file: Callable[[str], bytes]) -> Callable[..., list[News]]:
    return lambda *names: [item for name in names for item in news(parse(job_file(name)), {}, "c")]


class Clock:
    """Time stands still but while someone sleeps."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def run(items: list[News], ganeti: Ganeti, now: float) -> Clock:
    clock = Clock(now)
    enrich(items, ganeti, clock=clock, sleep=clock.sleep)
    return clock


def test_a_final_message_says_how_the_instance_stands_and_when_that_was_read(found: Callable[..., list[News]]) -> None:
    ganeti = Ganeti([{SERVER: instance()}], {SERVER: True})
    (item,) = items = found("startup-success")
    run(items, ganeti, T0 + 42.25)
    assert item.message["instance_state"] == {"oper_state": True, "admin_state": "up"}
    assert item.message["instance_nics"] == item.message["instance_disks"] == []
    assert item.message["read_at"] == [T0 + 42, 250000]
    assert "mtime" not in item.message
    assert ganeti.asked == [("instances", [SERVER]), ("running", [SERVER])]


def test_an_object_is_asked_for_once(found: Callable[..., list[News]]) -> None:
    ganeti = Ganeti([{SERVER: instance()}], {SERVER: False})
    items = found("startup-success", "modify-canceled", "remove-failed")
    run(items, ganeti, T0 + 100)
    assert len(ganeti.asked) == 2
    assert all(item.message["instance_state"]["oper_state"] is False for item in items)


def test_messages_on_the_way_are_not_asked_for(found: Callable[..., list[News]]) -> None:
    ganeti = Ganeti([{SERVER: instance()}])
    run(found("create-queued", "create-waiting", "create-running", "modify-canceling"), ganeti, T0)
    assert ganeti.asked == []


def test_what_was_removed_is_not_asked_for(found: Callable[..., list[News]]) -> None:
    ganeti = Ganeti([{SERVER: instance()}])  # luxid may still know it for a moment
    (item,) = items = found("remove-success")
    run(items, ganeti, T0 + 75)
    assert ganeti.asked == []
    assert "instance_state" not in item.message


def test_a_failed_removal_shows_that_the_instance_is_there(found: Callable[..., list[News]]) -> None:
    (item,) = items = found("remove-failed")
    run(items, Ganeti([{SERVER: instance()}], {SERVER: True}), T0 + 61)
    assert item.message["instance_state"]["oper_state"] is True


def test_without_an_answer_the_message_goes_as_it_is(found: Callable[..., list[News]]) -> None:
    (item,) = items = found("create-success")
    clock = run(items, Ganeti([None]), T0 + 10)
    assert "read_at" not in item.message
    assert clock.slept == []


def test_an_instance_that_ganeti_does_not_know(found: Callable[..., list[News]]) -> None:
    (item,) = items = found("remove-failed")
    clock = run(items, Ganeti([{}]), T0 + 61)
    assert item.message["read_at"] == [T0 + 61, 0]
    assert "instance_state" not in item.message
    assert clock.slept == []


@pytest.mark.parametrize("late", [{}, {SERVER: instance(T0 + 1.0)}], ids=["not there yet", "older than the job"])
def test_luxid_may_lag_behind_the_job(found: Callable[..., list[News]], late: dict[str, Any]) -> None:
    (item,) = items = found("create-success")
    ganeti = Ganeti([late, {SERVER: instance(T0 + 9)}], {SERVER: True})
    clock = run(items, ganeti, T0 + 9.8)
    assert clock.slept == [0.3]
    assert item.message["instance_state"]["oper_state"] is True
    assert item.message["read_at"] == [T0 + 10, pytest.approx(100000, abs=1)]


def test_luxid_is_not_waited_for_without_end(found: Callable[..., list[News]]) -> None:
    assert run(found("create-success"), Ganeti([{}]), T0 + 9.8).slept == [0.3, 0.3]


def test_old_jobs_are_not_waited_for(found: Callable[..., list[News]]) -> None:
    assert run(found("create-success"), Ganeti([{}]), T0 + 3600).slept == []


def test_after_a_rename_the_new_name_is_asked_for(found: Callable[..., list[News]]) -> None:
    (item,) = items = found("rename-success")
    ganeti = Ganeti([{"gx-new.example.org": instance(T0 + 90.5)}], {"gx-new.example.org": True})
    run(items, ganeti, T0 + 91)
    assert item.message["instance"] == SERVER
    assert item.message["instance_state"]["oper_state"] is True


def test_tags_do_not_ask_the_node(found: Callable[..., list[News]]) -> None:
    items = found("tags-set-success")
    ganeti = Ganeti([{SERVER: instance(T0 + 111)}, {"gx-net1": {"mtime": T0 + 112, "network_data": {"tags": ["x"]}}}])
    run(items, ganeti, T0 + 113)
    assert ganeti.asked == [("instances", [SERVER]), ("networks", ["gx-net1"])]
    assert items[0].message["instance_state"]["oper_state"] is None
    assert items[1].message["network_data"] == {"tags": ["x"]}


def test_cluster_messages_ask_nothing(found: Callable[..., list[News]]) -> None:
    ganeti = Ganeti([{}])
    run(found("cluster-modify-success"), ganeti, T0)
    assert ganeti.asked == []
