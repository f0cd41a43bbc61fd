"""Rows are not looked up that are as the consumer left them, and others are: on both databases."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, update
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError

from frontend.database import db
from frontend.update import together
from frontend.update.mirror import Mirror
from ganeti_ext import event as messages
from ganeti_ext import tags
from tests.contract import consumers
from tests.contract.services import PostgreSql
from tests.unit.frontend.updates import BEGIN, FACTS, create, op, read

HOLDER = "gx-vol-6d2bc4f4-1c2d-4c5e-8a3f-0123456789ab"


@pytest.fixture
def engine(each_database: str) -> Iterator[Engine]:
    engine = db.connect_writer(each_database)
    yield engine
    engine.dispose()


class Sure(Mirror):
    """Remembers nothing."""

    def _write_recalled(self, *_: object) -> bool:
        return False


def take(mirror: Mirror, *told: dict[str, Any]) -> None:
    for message in told:
        mirror.take(messages.encode(message))


@contextlib.contextmanager
def looked_up(engine: Engine) -> Iterator[list[str]]:
    """The SELECTs of the block."""
    said: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT"):
            said.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield said
    event.remove(engine, "before_cursor_execute", note)


def shown(engine: Engine) -> tuple[Any, ...]:
    column = db.server.c
    with engine.connect() as connection:
        return tuple(connection.execute(select(column.status, column.task, column.job, column.name)).one())


def test_a_row_as_it_was_left_is_not_looked_up(engine: Engine) -> None:
    mirror = Mirror(engine, "gx-")
    take(mirror, create("success", at=5, **read(True, at=6)), op("SHUTDOWN", "queued", job=11, at=7))
    with looked_up(engine) as said:
        take(mirror, op("SHUTDOWN", "running", job=11, at=8), op("SHUTDOWN", "success", job=11, at=9))
        take(mirror, op("STARTUP", "queued", job=12, at=10))
    assert said == []
    assert shown(engine)[:3] == ("SHUTOFF", "powering-on", 12)


def test_what_somebody_else_wrote_meanwhile_is_not_lost(engine: Engine) -> None:
    mirror = Mirror(engine, "gx-")
    take(mirror, create("success", at=5, **read(True, at=6)), op("SHUTDOWN", "queued", job=11, at=7))
    other = db.open_engine(engine.url.render_as_string(hide_password=False))
    with other.begin() as connection:
        connection.execute(update(db.server).values(name="another", job=20, task="rebooting"))
    other.dispose()
    take(mirror, op("SHUTDOWN", "running", job=11, at=8))
    assert shown(engine) == ("ACTIVE", "rebooting", 20, "another")
    take(mirror, op("SHUTDOWN", "success", job=11, at=9))
    assert shown(engine) == ("SHUTOFF", "rebooting", 20, "another")


def test_what_somebody_else_wrote_of_a_row_that_was_just_made(engine: Engine) -> None:
    mirror = Mirror(engine, "gx-")
    take(
        mirror,
        op("SHUTDOWN", "success", job=10, at=5, **read(False, at=6, admin_state="down", tags=tags.encode(FACTS))),
    )
    with engine.begin() as connection:
        connection.execute(update(db.server).values(name="another", job=20, task="rebooting"))
    take(mirror, op("STARTUP", "queued", job=11, at=7))
    assert shown(engine) == ("SHUTOFF", "rebooting", 20, "another")


def test_an_action_that_was_ended_meanwhile(engine: Engine) -> None:
    mirror = Mirror(engine, "gx-")
    take(mirror, create("success", at=5, **read(True, at=6)), op("SHUTDOWN", "queued", job=11, at=7))
    final = {"status": "success", "rank": messages.RANKS["success"], "ended": BEGIN + 7.5}
    with engine.begin() as connection:  # as a comparison does, whose server is as it was
        connection.execute(update(db.action).where(db.action.c.job == 11).values(final))
    take(mirror, op("SHUTDOWN", "running", job=11, at=8))
    with engine.connect() as connection:
        found = db.rows(connection, select(db.action).where(db.action.c.job == 11))
    assert [{name: action[name] for name in final} for action in found] == [final]


def test_a_holder_is_looked_up_as_if_nothing_was_remembered(engine: Engine) -> None:
    def searches(mirror: Mirror, job: int) -> int:
        with looked_up(engine) as said:
            take(mirror, op("SHUTDOWN", "running", job=job, at=8, instance=HOLDER))
        return len(said)

    assert searches(Mirror(engine, "gx-"), 11) == searches(Sure(engine, "gx-"), 12)


@pytest.fixture
def pair(postgresql: PostgreSql) -> Iterator[Engine]:
    """A database with a server and two actions, of jobs 10 and 11."""
    engine = db.connect_writer(postgresql.database())
    mirror = Mirror(engine, "gx-")
    take(mirror, create("success", at=5, **read(True, at=6)), op("SHUTDOWN", "queued", job=11, at=7))
    yield engine
    engine.dispose()


def test_in_postgresql_one_statement_writes_both_rows(pair: Engine) -> None:
    mirror = Mirror(pair, "gx-")
    take(mirror, op("SHUTDOWN", "waiting", job=11, at=8))
    said: list[str] = []
    event.listen(pair, "before_cursor_execute", lambda *told: said.append(told[2]))
    take(mirror, op("SHUTDOWN", "running", job=11, at=9), op("STARTUP", "queued", job=12, at=10))
    assert shown(pair)[1:3] == ("powering-on", 12)
    del said[-1]
    take(mirror, op("STARTUP", "success", job=12, at=11))
    assert [words.count("UPDATE server SET") for words in said] == [1, 1, 1]


def marks(engine: Engine) -> tuple[dict[str, Any], dict[str, Any], str, str]:
    """A server and the action of job 11, and the marks of both."""
    with engine.connect() as connection:
        server, action = (
            dict(connection.execute(select(table, together.mark(table).label("mark")).where(which)).mappings().one())
            for table, which in ((db.server, db.server.c.id != ""), (db.action, db.action.c.job == 11))
        )
    return server, action, server.pop("mark"), action.pop("mark")


@pytest.mark.parametrize("is_under_way", [False, True])
@pytest.mark.parametrize(
    ("server_is", "action_is"),
    [
        ("stale", "stale"),
        ("stale", "as it was"),
        ("as it was", "stale"),
        ("stale", "new"),
        ("as it was", "there already"),
    ],
)
def test_both_rows_are_written_or_none(pair: Engine, server_is: str, action_is: str, is_under_way: bool) -> None:
    server, action, server_mark, action_mark = marks(pair)
    new = {**server, "task": "rebooting"}, {**action, "status": "running", "job": 12 if action_is == "new" else 11}
    known = {"stale": "1", "as it was": action_mark}.get(action_is)
    refused = pytest.raises(IntegrityError) if action_is == "there already" else contextlib.nullcontext()
    with pair.begin() as connection:
        if is_under_way:
            connection.execute(select(1))
        with refused:
            mark = "1" if server_is == "stale" else server_mark
            assert together.write(connection, *new, mark, known) is None
    assert marks(pair) == (server, action, server_mark, action_mark)
    assert len(everything(pair, db.action)) == 2


@pytest.mark.parametrize("seed", range(3))
def test_two_that_take_turns_end_as_one_that_looks_everything_up(engine: Engine, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    told = consumers.lives(servers=2, jobs=4)
    told += chance.sample(told, len(told) // 3)
    chance.shuffle(told)
    two = [Mirror(engine, "gx-", clock=lambda: 1.0) for _ in range(2)]
    plain = db.connect_writer(f"sqlite:///{tmp_path}/plain.db")
    sure = Sure(plain, "gx-", clock=lambda: 1.0)
    while told:
        count = chance.choice((1, 1, 1, 5))
        batch, told = told[:count], told[count:]
        bodies = [messages.encode(message) for message in batch]
        assert [sum(mirror.take_all(bodies)) for mirror in (chance.choice(two), sure)] == [len(batch)] * 2
        if chance.random() < 0.1:  # the API's part
            for each in (engine, plain):
                with each.begin() as connection:
                    connection.execute(update(db.server).values(task="rebooting", job=batch[0]["jobId"]))
        for table in (db.server, db.action):
            assert everything(engine, table) == everything(plain, table)
    plain.dispose()


def everything(engine: Engine, table: Any) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        found = db.rows(connection, select(table))
    return sorted(found, key=lambda row: [str(row[column.name]) for column in table.primary_key])
