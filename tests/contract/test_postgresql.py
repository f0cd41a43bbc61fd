"""The update path on PostgreSQL: row locks, and what it refuses that SQLite takes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from frontend.database import db
from frontend.update import mirror_server, pruning
from frontend.update.mirror import Mirror
from ganeti_ext import event, tags
from tests.contract.services import PostgreSql
from tests.unit.frontend import updates
from tests.unit.frontend.updates import create, op, read, row

OTHER = "99999999-52b4-4f0d-9d39-0a0b7c4f9c11"


@pytest.fixture
def url(postgresql: PostgreSql) -> str:
    return postgresql.database()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = db.connect_writer(url)
    yield engine
    engine.dispose()


def rows(engine: Engine, table: Any) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return db.rows(connection, select(table))


def test_a_server_from_its_create_to_its_end(engine: Engine) -> None:
    mirror = Mirror(engine, "gx-")
    history = [
        create("queued"),
        create("success", at=5, **read(True, at=6)),
        updates.network("ADD", "success", 7, **updates.network_data(8)),
        op("SHUTDOWN", "success", job=11, at=9),
        op("REMOVE", "success", job=12, at=12),
    ]
    for message in [*history, *reversed(history)]:
        mirror.take(event.encode(message))
    found = rows(engine, db.server)
    assert [(one["status"], one["task"], one["deleted"]) for one in found] == [("SHUTOFF", None, updates.BEGIN + 12)]
    assert (found[0]["name"], found[0]["nics"]) == ("Größe 1", [updates.SHOWN_NIC])
    assert [one["name"] for one in rows(engine, db.network)] == ["blue"]


@pytest.mark.parametrize(
    "bad",
    [
        {**create("success"), "job_fields": {"tags": [*tags.encode(updates.FACTS), "ganeti-ext:name:z*00b"]}},
        {**create("success"), **read(True, at=1, pnode="n" * 300)},
        {**create("success"), "order": [1, 0, 2**40, 0, 4]},
    ],
    ids=["NUL in a text", "text too long", "number too large"],
)
def test_what_the_database_refuses_is_laid_aside(engine: Engine, bad: dict[str, Any]) -> None:
    mirror = Mirror(engine, "gx-")
    mirror.take(event.encode(bad))
    mirror.take(b"garbage \0 \xff")
    assert len(rows(engine, db.dead_letter)) == 2
    assert rows(engine, db.server) == []


def test_a_row_that_the_api_inserts_at_the_same_moment(
    engine: Engine, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, again = mirror_server.flavor_size, False

    def size(*args: Any) -> dict[str, int]:
        # Called between the look for the row and its insertion.
        nonlocal again
        if not again:
            again = True
            other = db.connect(url)
            with other.begin() as connection:
                connection.execute(insert(db.server).values(row(name="by the API")))
            other.dispose()
        return original(*args)

    monkeypatch.setattr(mirror_server, "flavor_size", size)
    bodies = [event.encode(create("success", at=5)), event.encode(op("SHUTDOWN", "success", job=11, at=6))]
    assert sum(Mirror(engine, "gx-").take_all(bodies)) == 2
    found = rows(engine, db.server)
    assert [(one["name"], one["status"]) for one in found] == [("by the API", "SHUTOFF")]
    assert rows(engine, db.dead_letter) == []


def test_samples_are_kept_once_and_as_they_are(engine: Engine) -> None:
    used = {"began": "a1", "cpu_ns": (1 << 63) - 1, "memory_kib": 1 << 40, "read": 0, "written": 1 << 62}
    nics = [["tap0", 1 << 53, 7, 0, 0, 1 << 62, 9, 0, 0]]
    with engine.begin() as connection:
        connection.execute(insert(db.server).values(row(status="ACTIVE")))
        connection.execute(insert(db.server).values(row(id=OTHER, instance="web", status="ACTIVE")))
    common = {"type": event.SAMPLES, "version": event.VERSION, "cluster": "c", "node": "n1"}
    named = [{"instance": name, "nics": nics, **used} for name in ("web", updates.NAME, "unknown")]
    bad = {**named[0], "began": "a\0"}
    messages = [{**common, "event_time": [updates.BEGIN + at, 250000], "instances": named} for at in (0, 60, 0)]
    messages.append({**common, "event_time": [updates.BEGIN + 120, 0], "instances": [bad]})
    mirror = Mirror(engine, "gx-")
    assert sum(mirror.take_all([event.encode(message) for message in messages])) == 4
    found = sorted(rows(engine, db.sample), key=lambda one: (one["at"], one["server_id"]))
    assert [(one["at"], one["server_id"]) for one in found] == [
        (updates.BEGIN + at + 0.25, ident) for at in (0, 60) for ident in (updates.IDENT, OTHER)
    ]
    assert found[0] == {"server_id": updates.IDENT, "at": updates.BEGIN + 0.25, "nics": nics, **used}
    assert len(rows(engine, db.dead_letter)) == 1
    pruning.Pruning(engine, 0, 1, lambda: updates.BEGIN + 3630.0).tick()
    assert {one["at"] for one in rows(engine, db.sample)} == {updates.BEGIN + 60.25}


def test_two_consumers_of_one_queue(engine: Engine, url: str) -> None:
    """Each message goes to one of them, in any order; the row is as if one had had them all."""
    messages = [create("queued"), create("success", at=5)]
    for job in range(11, 31):
        opcode = "SHUTDOWN" if job % 2 else "STARTUP"
        messages += [op(opcode, status, job=job, at=job) for status in ("running", "success")]
    Mirror(engine, "gx-").take(event.encode(messages[0]))

    def consume(part: list[dict[str, Any]]) -> None:
        own = db.connect_writer(url)
        assert sum(Mirror(own, "gx-").take_all([event.encode(message) for message in part])) == len(part)
        own.dispose()

    threads = [threading.Thread(target=consume, args=(messages[start::2],)) for start in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = rows(engine, db.server)
    assert [(one["status"], one["task"], one["job"]) for one in found] == [("ACTIVE", None, 30)]
    assert found[0]["clocks"].keys() >= {"deleted", "power", "fault"}
    told = rows(engine, db.action)
    assert [one["job"] for one in sorted(told, key=lambda one: one["job"])] == [10, *range(11, 31)]
    assert {one["status"] for one in told} == {"success"}


def test_a_database_that_goes_away_is_not_the_messages_fault(engine: Engine, url: str) -> None:
    mirror = Mirror(engine, "gx-")
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE dead_letter RENAME TO gone"))
    with pytest.raises(SQLAlchemyError) as err:
        mirror.take("garbage")
    assert not isinstance(err.value, IntegrityError)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO dead_letter"))
    mirror.take("garbage")
    assert len(rows(engine, db.dead_letter)) == 1
