"""What the consumer tells of itself, and how the API counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.engine import Engine

from frontend.app import create_app
from frontend.database import db
from frontend.routes import ROUTES
from frontend.settings import Front, Settings
from frontend.update import questions
from frontend.update.counts import Counts
from frontend.web import measure
from ganeti_ext import event, metric, tally
from tests.unit.frontend.conftest import FakeRapi

parser = pytest.importorskip("prometheus_client.parser")


class World:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.waiting: int | None = 7
        self.counts = Counts(lambda: 1000.0)
        self.questions, self.tail = questions.make(
            questions.Facts(self.counts, engine, lambda: self.waiting, lambda: 11)
        )

    def ask(self, **request: Any) -> list[Any]:
        return [json.loads(json.dumps(record)) for record in self.questions.begin(request, lambda: None)]

    def metrics(self) -> dict[tuple[str, ...], float]:
        text = "".join(f"{line}\n" for line in metric.text(metric.families(self.ask(do="metrics"))))
        families = list(parser.text_string_to_metric_families(text))
        assert all(family.documentation and family.type != "unknown" for family in families)
        return {
            (sample.name.removeprefix("ganeti_ext_consumer_"), *sample.labels.values()): sample.value
            for family in families
            for sample in family.samples
        }


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    engine = db.connect_writer(f"sqlite:///{tmp_path}/front.db")
    yield World(engine)
    engine.dispose()


def put(engine: Engine, table: Any, **row: Any) -> None:
    with engine.begin() as connection:
        connection.execute(insert(table).values(row))


def test_messages(world: World) -> None:
    for _ in range(3):
        world.counts.seen({"type": event.OP_STATUS, "event_time": [990, 500000]}, "applied")
    world.counts.seen({"type": event.NET_STATUS, "event_time": [980, 0]}, "skipped")
    world.counts.seen({}, "dead")
    found = world.metrics()
    assert found[("messages_total", event.OP_STATUS, "applied")] == 3
    assert found[("messages_total", event.NET_STATUS, "skipped")] == 1
    assert found[("messages_total", "", "dead")] == 1
    assert (found[("batches_total",)], found[("waiting_messages",)]) == (11, 7)
    assert found[("last_event_timestamp_seconds",)] == 990.5
    assert found[("last_message_timestamp_seconds",)] == 1000
    assert found[("lag_seconds",)] == 20
    (status,) = world.ask(do="status")
    assert (status["applied"], status["dead"], status["waiting"], status["last_event"]) == (4, 1, 7, 990.5)


def test_what_is_not_known_is_left_out(world: World) -> None:
    world.waiting = None
    found = world.metrics()
    assert not {("waiting_messages",), ("lag_seconds",), ("last_event_timestamp_seconds",)} & set(found)
    assert not [key for key in found if key[0].startswith(("comparison", "discrepancies", "probe"))]
    assert (found[("dead_letters",)], found[("owed_servers",)]) == (0, 0)
    assert found[("database_up",)] == 1


def test_what_the_database_knows(world: World) -> None:
    for what, tries in (("create", 0), ("create", 1), ("remove", 0)):  # the first one is merely kept
        put(world.engine, db.owed, id=f"{what}{tries}", server_id=f"{what}{tries}", what=what, tries=tries, due=0.0)
    put(world.engine, db.dead_letter, digest="d", body="b", reason="r", time=0.0, tries=1)
    put(world.engine, db.comparison, id=1, time=900.0, seconds=1.5, found={"power": 2}, mended=1, trigger="timer")
    put(world.engine, db.probe, id="a", sent=800.0, received=801.0)
    put(world.engine, db.probe, id="b", sent=950.0, received=950.25)
    found = world.metrics()
    assert (found[("owed_servers",)], found[("dead_letters",)]) == (2, 1)
    assert found[("discrepancies", "power")] == 2
    assert (found[("comparison_timestamp_seconds",)], found[("comparison_duration_seconds",)]) == (900, 1.5)
    assert (found[("comparison_failed",)], found[("comparison_mended",)]) == (0, 1)
    assert (found[("probe_timestamp_seconds",)], found[("probe_duration_seconds",)]) == (950, 0.25)


def test_a_database_that_is_away(world: World) -> None:
    with world.engine.begin() as connection:
        db.owed.drop(connection)
    found = world.metrics()
    assert found[("database_up",)] == 0
    assert ("dead_letters",) not in found


def test_tail_tells_what_became_of_each_message(world: World) -> None:
    watch = world.questions.begin({"do": "tail"}, lambda: None)
    assert next(watch) == {"tailing": True}
    world.tail({"type": event.HEARTBEAT, "probe": "p"}, "applied")
    told = next(watch)
    assert told is not None
    assert (told["probe"], told["outcome"]) == ("p", "applied")


def test_the_api_counts_requests_by_route_and_code(tmp_path: Path, front: Front, rapi: FakeRapi) -> None:
    path = str(tmp_path / "counts")
    counted = measure.make(path, (f"{method} {url}" for method, url, *_ in ROUTES), 2)
    client = create_app(Settings(front=front), rapi, counted).test_client()
    client.get("/compute/v2.1/servers")
    client.get("/compute/v2.1/servers")
    client.get("/compute/v2.1/servers/some-id")
    client.head("/identity")
    client.get("/nowhere/with/secrets")
    client.post("/identity")
    found = tally.read(path)
    assert found is not None
    assert found.rows["GET /compute/v2.1/servers"].codes == {"401": 2}
    assert found.rows["GET /compute/v2.1/servers/<server_id>"].codes == {"401": 1}
    assert found.rows["GET /identity"].codes == {"300": 1}
    assert found.rows[measure.UNKNOWN].codes == {"404": 1, "405": 1}
    assert sum(found.rows["GET /compute/v2.1/servers"].times) == 2
    assert 0 < found.rows["GET /compute/v2.1/servers"].seconds < 60


def test_without_a_place_the_api_counts_nothing_and_works(
    tmp_path: Path, front: Front, rapi: FakeRapi, caplog: pytest.LogCaptureFixture
) -> None:
    assert measure.make("", [], 2) is None
    counted = measure.make(str(tmp_path / "none/counts"), [], 2)
    assert counted is None
    assert "requests are not counted" in caplog.text
    assert create_app(Settings(front=front), rapi, counted).test_client().get("/identity").status_code == 300
