"""What eventd tells of itself."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest

from eventd import questions
from eventd.counts import BOUNDS, Counts
from ganeti_ext import event, metric
from ganeti_ext.outbox import Fullness

parser = pytest.importorskip("prometheus_client.parser")


class Spool:
    def __init__(self, found: Fullness | None) -> None:
        self._found = found

    def fullness(self) -> Fullness:
        if self._found is None:
            raise sqlite3.OperationalError("disk I/O error")
        return self._found


FILLED = Fullness(3, 90.0, 8192)


class World:
    def __init__(self, spool: Fullness | None = FILLED, brokers: int = 2) -> None:
        self.counts = Counts()
        self.role = ("n1", True, "n1")
        facts = questions.Facts(self.counts, Spool(spool), 1000, brokers, lambda: self.role, lambda: 100.0)
        self.questions, self.tail = questions.make(facts)
        self.counts.watchers.append(self.tail)

    def ask(self, **request: Any) -> list[Any]:
        found = self.questions.begin(request, lambda: None)
        return [json.loads(json.dumps(record)) for record in iter(lambda: next(found, None), None)]

    def metrics(self) -> dict[tuple[str, ...], float]:
        text = "".join(f"{line}\n" for line in metric.text(metric.families(self.ask(do="metrics"))))
        families = list(parser.text_string_to_metric_families(text))
        assert all(family.documentation and family.type != "unknown" for family in families)
        return {
            (sample.name.removeprefix("ganeti_ext_eventd_"), *sample.labels.values()): sample.value
            for family in families
            for sample in family.samples
        }


def test_status() -> None:
    world = World()
    world.counts.put([{"type": event.OP_STATUS}, {"type": event.NET_STATUS}])
    world.counts.broker = "amqp://b:5672/"
    (found,) = world.ask(do="status")
    assert {key: found[key] for key in ("daemon", "node", "is_master", "master", "told", "broker", "brokers")} == {
        "daemon": "eventd",
        "node": "n1",
        "is_master": True,
        "master": "n1",
        "told": 2,
        "broker": "amqp://b:5672/",
        "brokers": 2,
    }
    assert (found["waiting"], found["limit"], found["bytes"], found["oldest"]) == (3, 1000, 8192, 90.0)
    assert (found["last_event"] > 0, found["last_published"]) == (True, None)


def test_metrics() -> None:
    world = World()
    world.counts.put([{"type": event.OP_STATUS}] * 3)
    world.counts.complaints, world.counts.lost, world.counts.owed = 2, 5, 4
    world.counts.publish.add(0.004)
    world.counts.publish.add(700.0)
    world.counts.published = 2
    found = world.metrics()
    assert found[("events_total", event.OP_STATUS)] == 3
    assert (found[("complaints_total",)], found[("lost_total",)], found[("published_total",)]) == (2, 5, 2)
    assert found[("unanswered_messages",)] == 4
    assert (found[("spool_messages",)], found[("spool_limit_messages",)], found[("spool_bytes",)]) == (3, 1000, 8192)
    assert found[("spool_oldest_timestamp_seconds",)] == 90.0
    assert found[("publish_duration_seconds_bucket", "0.0025")] == 0
    assert found[("publish_duration_seconds_bucket", "0.005")] == 1
    assert found[("publish_duration_seconds_bucket", f"{BOUNDS[-1]:g}")] == 1
    assert found[("publish_duration_seconds_count",)] == 2
    assert found[("master",)] == 1
    assert found[("broker_connected",)] == 0
    world.role = ("n1", False, "n2")
    world.counts.broker = "amqp://b/"
    found = world.metrics()
    assert (found[("master",)], found[("broker_connected",)]) == (0, 1)


def test_metrics_without_a_broker_and_with_a_spool_that_cannot_be_read() -> None:
    found = World(None, brokers=0).metrics()
    assert not [key for key in found if "spool_messages" in key[0] or "broker" in key[0] or "publish_dur" in key[0]]
    assert World(None).ask(do="status")[0]["waiting"] is None


def test_what_never_was_has_no_time() -> None:
    found = World(Fullness(0, 0.0, 0)).metrics()
    assert not [key for key in found if "timestamp" in key[0] and "start_time" not in key[0]]


def test_tail_tells_who_is_master_and_then_each_message() -> None:
    world = World()
    watch = world.questions.begin({"do": "tail"}, lambda: None)
    assert next(watch) == {"tailing": True, "node": "n1", "is_master": True, "master": "n1"}
    world.counts.put([{"type": event.NET_STATUS, "instance": "web", "node": "n1", "event_time": [1, 0]}])
    assert next(watch) == {"time": 1.0, "type": event.NET_STATUS, "instance": "web", "node": "n1", "heard": 100.0}
