"""Rows that are written in one statement are what they are when each is written by itself: on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Text, cast, insert, select, update
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from frontend.database import bulk, db

PLAIN: dict[str, Any] = {
    "cluster": "", "op_index": 0, "operation": "OP_INSTANCE_REBOOT", "kind": "instance", "name": "gx-1",
    "server_id": None, "status": "success", "rank": 4, "began": 1_700_000_000.25, "updated": 1_700_000_001.123457,
    "message": None, "ended": None, "seq": None, "source": None, "target": None,
}  # fmt: skip
ODD: tuple[dict[str, Any], ...] = (
    {},
    {"seq": [1, 2], "ended": 0.1 + 0.2, "message": ""},
    {"seq": {"null": None, "text": 'Ελληνικά "\\ \n'}, "message": "a 'quote', %(rows)s, %s, \\u0041, 😀"},
    {"seq": "null", "updated": 1e-300, "rank": -1},
    {"seq": [], "message": "null", "server_id": "x" * 36},
)


@pytest.fixture
def engine(each_database: str) -> Iterator[Engine]:
    engine = db.connect_writer(each_database)
    yield engine
    engine.dispose()


def actions(first: int) -> list[dict[str, Any]]:
    return [{**PLAIN, **more, "job": first + number} for number, more in enumerate(ODD)]


def stored(engine: Engine, first: int) -> list[tuple[Any, ...]]:
    """Their columns but for the job; of the JSON its very words."""
    column = db.action.c
    others = [each for each in column if each.name not in ("job", "seq")]
    wanted = select(cast(column.seq, Text), column.seq.is_(None), *others)
    query = wanted.where(column.job.between(first, first + len(ODD) - 1)).order_by(column.job)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(query)]


def test_rows_are_added_as_each_by_itself(engine: Engine) -> None:
    with engine.begin() as connection:
        bulk.insert(connection, db.action, actions(100))
        for row in actions(200):
            connection.execute(insert(db.action), row)
    assert stored(engine, 100) == stored(engine, 200)
    assert len(stored(engine, 100)) == len(ODD)


def test_rows_are_changed_as_each_by_itself(engine: Engine) -> None:
    key = ("cluster", "job", "op_index")
    changed = ("seq", "message", "updated", "rank")
    with engine.begin() as connection:
        connection.execute(insert(db.action), [{**PLAIN, "job": job} for job in (*range(100, 105), *range(200, 205))])
        bulk.update(connection, db.action, [{name: row[name] for name in (*key, *changed)} for row in actions(100)])
        for row in actions(200):
            one = update(db.action).where(db.action.c.job == row["job"])
            connection.execute(one.values({name: row[name] for name in changed}))
    assert stored(engine, 100) == stored(engine, 200)
    assert len(set(map(repr, stored(engine, 100)))) == len(ODD)


def test_one_that_is_there_already_keeps_the_others_out(engine: Engine) -> None:
    with engine.begin() as connection:
        bulk.insert(connection, db.action, actions(100)[:1])
    with pytest.raises(IntegrityError), engine.begin() as connection:
        bulk.insert(connection, db.action, actions(100))
    assert len(stored(engine, 100)) == 1


def test_what_is_too_long_is_not_cut(postgresql: Any) -> None:
    engine = db.connect_writer(postgresql.database())
    long = [{**PLAIN, "job": 1}, {**PLAIN, "job": 2, "kind": "x" * 17}]
    with pytest.raises(DBAPIError, match="too long"), engine.begin() as connection:
        bulk.insert(connection, db.action, long)
    engine.dispose()
