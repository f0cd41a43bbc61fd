"""Probes through Ganeti, and the consumer's signs of life."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.engine import Engine

from frontend.database import db
from frontend.update import probe
from frontend.update.beat import Beat
from frontend.update.counts import Counts
from ganeti_ext.errors import ExtError, RapiError, RapiUnavailable
from ganeti_ext.event import HEARTBEAT, HEARTBEAT_TAG, SAMPLES


class Ganeti:
    """Takes probes as jobs; `hears` tells the database of one, as the consumer would."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.asked: list[Any] = []
        self.status = "success"
        self.fails: Exception | None = None
        self.hears = True

    def get(self, path: str) -> Any:
        if self.status == "away":
            raise RapiUnavailable("RAPI: timed out")
        assert path == "jobs/17"
        return {"status": self.status}

    def submit(self, method: str, path: str, body: object = None, query: Any = None) -> int:
        self.asked.append((method, path, body, query))
        if self.fails:
            raise self.fails
        ident = query["tag"].removeprefix(HEARTBEAT_TAG)
        if self.hears:
            with self.engine.begin() as connection:
                done = connection.execute(update(db.probe).where(db.probe.c.id == ident).values(received=1e10))
                assert done.rowcount == 1
        return 17


@pytest.fixture
def ganeti(engine: Engine) -> Ganeti:
    return Ganeti(engine)


def rows(engine: Engine, table: Any = db.probe) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return db.rows(connection, select(table))


def test_a_probe_is_a_dry_run_of_a_tag_on_the_cluster(engine: Engine, ganeti: Ganeti) -> None:
    assert probe.run(engine, ganeti) < 5
    (asked,) = ganeti.asked
    method, path, body, query = asked
    assert (method, path, body) == ("PUT", "tags", None)
    assert set(query) == {"tag", "dry-run"}
    assert query["dry-run"] == 1  # without it, the tag would be set
    (row,) = rows(engine)
    assert query["tag"] == f"ganeti-ext:heartbeat:{row['id']}"
    assert len(query["tag"]) <= 128  # Ganeti's MAX_TAG_LEN


def test_old_probes_are_forgotten(engine: Engine, ganeti: Ganeti) -> None:
    for now in (0.0, 80000.0, 90000.0):
        probe.send(engine, ganeti, lambda now=now: now)  # type: ignore[misc]
    assert [row["sent"] for row in rows(engine)] == [80000.0, 90000.0]


@pytest.mark.parametrize("err", [RapiError("RAPI PUT: forbidden", 403), RapiUnavailable("RAPI c:5080: refused")])
def test_ganeti_refuses_it(engine: Engine, ganeti: Ganeti, err: Exception) -> None:
    ganeti.fails = err
    with pytest.raises(ExtError, match=f"remote API took no probe: {err}"):
        probe.run(engine, ganeti)
    assert rows(engine) == []


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("waiting", "took the probe as job 17, which is still waiting after 0.2 s: see gnt-job info 17"),
        ("success", "job 17 of the probe ended .success., but its message did not come within 0.2 s: see eventd"),
        ("error", "job 17 of the probe ended .error., but its message"),
        ("away", "as job 17, and then nothing was heard for 0.2 s: RAPI: timed out"),
    ],
)
def test_which_leg_failed(engine: Engine, ganeti: Ganeti, status: str, words: str) -> None:
    ganeti.hears, ganeti.status = False, status
    with pytest.raises(ExtError, match=words):
        probe.run(engine, ganeti, timeout=0.2)


class World:
    def __init__(self, engine: Engine, ganeti: Ganeti, seconds: float = 300) -> None:
        self.now = 0.0
        self.counts = Counts(lambda: 1000.0 + self.now)
        self.beat = Beat(engine, ganeti, self.counts, lambda: 4, seconds, lambda: self.now)
        self.ganeti = ganeti

    def pass_(self, seconds: float) -> None:
        self.now += seconds
        self.beat.tick()

    def probes(self, count: int) -> None:
        """So many have been sent, once the thread that does so is through."""
        if self.beat._thread is not None:
            self.beat._thread.join(10)
        assert len(self.ganeti.asked) == count


def test_signs_of_life_are_one_row(engine: Engine, ganeti: Ganeti) -> None:
    world = World(engine, ganeti)
    world.pass_(20)
    world.counts.seen({"type": HEARTBEAT, "event_time": [900, 500000]}, "applied")
    world.counts.seen({"type": SAMPLES, "event_time": [990, 0]}, "skipped")
    world.counts.seen({}, "dead")
    world.pass_(20)
    (row,) = rows(engine, db.beat)
    assert (row["time"], row["last_event"], row["waiting"], row["applied"]) == (1040.0, 900.5, 4, 2)


def test_silence_is_probed_and_nothing_else(engine: Engine, ganeti: Ganeti) -> None:
    world = World(engine, ganeti)
    world.pass_(290)
    world.counts.seen({"type": HEARTBEAT}, "applied")
    world.pass_(20)
    world.pass_(299)
    world.counts.seen({"type": SAMPLES, "event_time": [900, 0]}, "applied")  # any node's: the master may be silent
    world.probes(0)
    world.pass_(1)
    world.probes(1)
    world.pass_(20)
    world.probes(1)
    world.pass_(280)
    world.probes(2)


def test_never_means_never(engine: Engine, ganeti: Ganeti) -> None:
    world = World(engine, ganeti, seconds=0)
    world.pass_(1e6)
    world.probes(0)
    assert len(rows(engine, db.beat)) == 1


def test_a_remote_api_that_is_away_is_said_once(
    engine: Engine, ganeti: Ganeti, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(engine, ganeti)
    ganeti.fails = RapiUnavailable("RAPI c:5080: refused")
    with caplog.at_level(logging.WARNING):
        for count in (1, 2):
            world.pass_(300)
            world.probes(count)
    assert caplog.text.count("took no probe: RAPI c:5080: refused") == 1


def test_a_database_that_is_away_costs_nothing(engine: Engine, ganeti: Ganeti) -> None:
    world = World(engine, ganeti)
    with engine.begin() as connection:
        db.beat.drop(connection)
    world.pass_(1000)
    world.probes(0)
