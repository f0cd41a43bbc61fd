from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from eventd.counts import Counts
from eventd.spool import Spool
from ganeti_ext import event
from ganeti_ext.outbox import Outbox

Small = Callable[..., Spool]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def small(outbox: Outbox, counts: Counts, clock: Clock) -> Small:
    return lambda limit: Spool(outbox, limit, "node1.example.org", lambda: "cluster.example.org", counts, clock)


def message(status: str | None, kind: str = event.OP_STATUS, instance: str = "gx-1") -> dict[str, Any]:
    return {"type": kind, "version": 1, "status": status, "instance": instance, "event_time": [5, 0]}


def put(spool: Spool, *statuses: str) -> None:
    for status in statuses:
        spool.put([message(status)])


def left(outbox: Outbox) -> list[str]:
    bodies = [json.loads(one.body) for one in outbox.take(10_000)]
    return [body.get("status") or body["type"] for body in bodies]


def test_final_states_outlive_newer_others(outbox: Outbox, small: Small, counts: Counts) -> None:
    spool = small(5)
    put(spool, "success", "error", "running", "canceled", "queued")
    assert (left(outbox), counts.lost) == (["success", "error", "running", "canceled", "queued"], 0)
    put(spool, "waiting")
    assert left(outbox) == ["success", "error", "canceled", "waiting", event.LOST]
    spool.put([message(None, event.NET_STATUS)])
    assert left(outbox) == ["success", "error", "canceled", event.NET_STATUS, event.LOST]
    put(spool, "success")
    assert left(outbox) == ["success", "error", "canceled", "success", event.LOST]
    put(spool, "running")
    assert left(outbox) == ["success", "error", "canceled", "success", event.LOST]
    assert (counts.lost, counts.lost_final) == (5, 0)
    put(spool, "canceled")
    assert left(outbox) == ["error", "canceled", "success", "canceled", event.LOST]
    assert (counts.lost, counts.lost_final) == (6, 1)


def test_who_hears_of_it_is_told_how_much_was_lost(outbox: Outbox, small: Small) -> None:
    spool = small(2)
    put(spool, "success", "running", "success", "success")
    (_, lost) = [event.decode(one.body) for one in outbox.take(9)]
    assert {key: value for key, value in lost.items() if key != "event_time"} == {
        "type": event.LOST, "version": 1, "cluster": "cluster.example.org", "node": "node1.example.org",
        "count": 3, "final": 2,
    }  # fmt: skip
    assert lost["event_time"][0] > 1_700_000_000
    assert outbox.take(9)[1].key == "ganeti.event.lost"


def test_it_says_so_once_a_minute(small: Small, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    spool = small(2)
    with caplog.at_level(logging.ERROR):
        put(spool, *["success"] * 20)
        clock.now += 61
        put(spool, "success")
    assert [record.getMessage().partition(", ")[2] for record in caplog.records] == [
        "dropped the 2 oldest, 2 of them final", "dropped the 18 oldest, 18 of them final",
    ]  # fmt: skip


def test_a_disk_that_refuses_loses_nothing_and_is_counted(
    outbox: Outbox, small: Small, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    spool = small(2)
    put(spool, "success", "running")
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "put", full)
        with pytest.raises(sqlite3.OperationalError):
            put(spool, "success")
    assert (left(outbox), counts.spool_failures, counts.told) == (["success", "running"], 1, {event.OP_STATUS: 2})


def test_who_watches_sees_what_is_in_the_spool(outbox: Outbox, small: Small, counts: Counts) -> None:
    seen: list[tuple[Any, int]] = []
    counts.watchers.append(lambda message: seen.append((message["status"], len(outbox))))
    put(small(9), "running", "success")
    assert seen == [("running", 1), ("success", 2)]
    assert counts.last_event > 0


def test_fullness(small: Small) -> None:
    spool = small(9)
    put(spool, "success", "running")
    assert (spool.fullness().count, spool.limit) == (2, 9)
    assert spool.fullness().oldest > 0


def test_a_heartbeat_goes_before_any_final_state(outbox: Outbox, small: Small) -> None:
    spool = small(2)
    put(spool, "success")
    spool.put([message("success", event.HEARTBEAT)])
    put(spool, "error")
    assert left(outbox) == ["error", event.LOST]


def test_of_samples_the_newest_wait_and_take_no_messages_place(outbox: Outbox, small: Small, counts: Counts) -> None:
    spool = small(2)
    sample = {"type": event.SAMPLES, "version": 1, "instances": []}
    for number in range(3):
        spool.put([{**sample, "number": number}], lasting=False)
    (one,) = outbox.take(9)
    assert (one.key, json.loads(one.body)["number"]) == ("sample.node", 2)
    assert (counts.told, counts.last_event) == ({event.SAMPLES: 3}, 0.0)
    put(spool, "success", "error")
    spool.put([sample])
    assert (left(outbox), counts.lost) == (["success", "error"], 0)
