"""Passwords that did not fit, counted: by whose they were to be, and by where they came from.

They stand in the database, so that all workers and fronts count together. What does not exist is counted, too, so that
nothing tells it from what does. Who counts, and what follows: lockout.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import case, delete, func, select
from sqlalchemy.engine import Connection, Engine

from frontend.database import db

MOST = 50_000
"""Rows. Beyond, the oldest that lock nothing are forgotten first."""

_table = db.attempt
ADDRESS, USER, CREDENTIAL, UNKNOWN = "address", "user", "credential", "unknown"


def count(engine: Engine, keys: list[tuple[str, int]], now: float, window: float) -> list[str]:
    """One more for each (key, how many lock it); the keys that are locked by that, for `window` seconds."""
    locked = []
    with engine.begin() as connection:
        for key, limit in sorted(keys):  # in one order, so that two never wait for each other
            number, until = _add(connection, key, limit, now, window)
            if number == 1:
                _prune(connection, now, window)
            if until is not None and number == limit:
                locked.append(key)
    return locked


def rows(connection: Connection, keys: Collection[str] | None = None) -> list[dict[str, Any]]:
    """What is counted of these keys, or of all; the newest first."""
    where = [] if keys is None else [_table.c.key.in_(keys)]
    return db.rows(connection, select(_table).where(*where).order_by(_table.c.since.desc(), _table.c.key))


def release(connection: Connection, key: str | None) -> int:
    """Forget what was counted of one key, or of all; how many there were."""
    where = [] if key is None else [_table.c.key == key]
    return connection.execute(delete(_table).where(*where)).rowcount


def locked_until(row: Mapping[str, Any], now: float) -> float | None:
    """The end of a row's lock, if it has one."""
    until: float | None = row["until"]
    return until if until is not None and until > now else None


def _add(connection: Connection, key: str, limit: int, now: float, window: float) -> tuple[int, float | None]:
    end = now + window if limit <= 1 else None
    fresh = _table.c.since > now - window
    statement = db.insert_or(connection, _table).values(key=key, count=1, since=now, until=end)
    again = {
        "count": case((fresh, _table.c.count + 1), else_=1),
        "since": case((fresh, _table.c.since), else_=now),
        "until": case((fresh & (_table.c.count + 1 >= limit), now + window), else_=end),
    }
    connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=again))
    done = connection.execute(select(_table.c.count, _table.c.until).where(_table.c.key == key)).one()
    return done[0], done[1]


def _prune(connection: Connection, now: float, window: float) -> None:
    """Forget what counts no more, and the oldest of too many."""
    free = _table.c.until.is_(None) | (_table.c.until <= now)
    connection.execute(delete(_table).where(_table.c.since <= now - window, free))
    surplus = (connection.execute(select(func.count()).select_from(_table)).scalar() or 0) - MOST
    if surplus > 0:
        oldest = select(_table.c.key).order_by(~free, _table.c.since).limit(surplus)
        connection.execute(delete(_table).where(_table.c.key.in_(oldest)))
