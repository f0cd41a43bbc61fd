"""Events for who watches."""

from __future__ import annotations

from typing import Any

import pytest

from ganeti_ext import event
from ganeti_ext.errors import ExtError
from ganeti_ext.tail import REMEMBERED, Tail, digest

STARTED: dict[str, Any] = {
    "type": event.OP_STATUS,
    "version": 1,
    "event_time": [1700000002, 500000],
    "began": [1700000000, 0],
    "cluster": "c",
    "jobId": 17,
    "op_index": 0,
    "operation": "OP_INSTANCE_STARTUP",
    "status": "success",
    "instance": "web.example.com",
    "order": [1, 2, 3, 4, 5],
    "instance_nics": [{"ip": "192.0.2.1"}],
    "logmsg": None,
    "result": None,
    "error_code": None,
    "job_fields": {},
}


class World:
    def __init__(self) -> None:
        self.now = 100.0
        self.woken = 0
        self.tail = Tail(lambda: self.now, lambda: {"node": "node1"})

    def watch(self, **request: Any) -> Any:
        return self.tail.watch(request, self._wake)

    def _wake(self) -> None:
        self.woken += 1


@pytest.fixture
def world() -> World:
    return World()


def test_a_digest_has_what_people_want_to_know_and_no_more() -> None:
    assert digest(STARTED) == {
        "time": 1700000002.5,
        "began": 1700000000.0,
        "type": event.OP_STATUS,
        "cluster": "c",
        "job": 17,
        "op": 0,
        "operation": "OP_INSTANCE_STARTUP",
        "status": "success",
        "instance": "web.example.com",
    }


@pytest.mark.parametrize(
    ("result", "log", "said"), [("why", "last", "why"), (["n1"], "last", "last"), (None, "", None)]
)
def test_a_digest_says_why_or_what_last(result: Any, log: str, said: str | None) -> None:
    assert digest({**STARTED, "result": result, "logmsg": log}).get("said") == said


def test_samples_tell_of_nothing_that_happened(world: World) -> None:
    watch = world.watch(since=0)
    assert next(watch)["tailing"]
    world.tail({"type": event.SAMPLES, "node": "node1", "event_time": [1, 0]})
    assert (next(watch), world.woken) == (None, 0)


@pytest.mark.parametrize("odd", [{}, {"event_time": 7, "began": "x"}, {"event_time": ["a", "b"], "result": {}}])
def test_a_digest_of_odd_messages(odd: Any) -> None:
    assert digest(odd) == {"time": None}


def test_who_watches_hears_what_happens_from_then_on(world: World) -> None:
    world.tail(STARTED)
    watch = world.watch()
    assert next(watch) == {"tailing": True, "node": "node1"}
    assert next(watch) is None
    world.tail(STARTED, "applied")
    assert world.woken == 1
    told = next(watch)
    assert (told["job"], told["heard"], told["outcome"]) == (17, 100.0, "applied")
    assert next(watch) is None


def test_since_a_time_without_what_was_before_and_nothing_twice(world: World) -> None:
    for number in range(5):
        world.now = 100.0 + number
        world.tail({**STARTED, "jobId": number})
    watch = world.watch(since=102.0)
    next(watch)
    world.tail({**STARTED, "jobId": 9})  # while the past is told
    assert [record["job"] for record in iter(lambda: next(watch), None)] == [2, 3, 4, 9]


def test_of_one_instance_with_or_without_its_domain(world: World) -> None:
    world.tail({**STARTED, "instance": "webber"})
    world.tail(STARTED)
    for name in ("web", "web.example.com"):
        watch = world.watch(instance=name, since=0)
        next(watch)
        assert next(watch)["instance"] == "web.example.com"
        assert next(watch) is None
        world.tail({**STARTED, "instance": "other"})
        assert next(watch) is None


def test_one_who_reads_too_slowly_is_told_what_he_missed_and_holds_nobody_up(world: World) -> None:
    slow, other = world.watch(), world.watch()
    next(slow), next(other)
    for number in range(1500):
        world.tail({**STARTED, "jobId": number})
        if number % 500 == 499:
            assert len(list(iter(lambda: next(other), None))) == 500
    *told, lost = iter(lambda: next(slow), None)
    assert (len(told), told[-1]["job"], lost) == (1000, 999, {"lost": 500})


def test_only_so_much_is_remembered(world: World) -> None:
    for number in range(REMEMBERED + 10):
        world.tail({**STARTED, "jobId": number})
    watch = world.watch(since=0)
    next(watch)
    assert next(watch)["job"] == 10


def test_one_who_goes_is_forgotten(world: World) -> None:
    watch = world.watch()
    next(watch)
    watch.close()
    world.tail(STARTED)
    assert world.woken == 0


@pytest.mark.parametrize("request_", [{"instance": ""}, {"instance": 7}, {"since": "now"}])
def test_a_bad_request_gets_a_clear_error(world: World, request_: Any) -> None:
    with pytest.raises(ExtError, match="is a n"):
        next(world.watch(**request_))
