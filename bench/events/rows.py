"""The rows at the end of the path, as whoever reads the database sees them.

`table` is that of the front's servers, or `seen` (sinks.py), which has a row for each message.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from bench.events.matching import Event
from bench.inotify import MODIFY, Watch

_PATIENCE = 0.02  # seconds from a write to the log of SQLite to its end
_NEWEST = {"server": "SELECT max(job) FROM server", "seen": "SELECT job FROM seen ORDER BY id DESC LIMIT 1"}
_ENDED = {
    "server": "SELECT count(*) FROM action WHERE ended IS NOT NULL AND job >= {first}",
    "seen": "SELECT count(*) FROM seen WHERE job >= {first}",
}
# Of a row of `server`, the last message about it: `order` of ganeti_ext/event.py.
_LAST = "SELECT job, json_extract(job_order, '$[4]') FROM server WHERE job_order IS NOT NULL"
_TOLD = {
    "server": ("NEW.job || ' ' || (NEW.job_order->>4)", "NEW.job_order IS NOT NULL"),
    "seen": ("NEW.job || ' ' || NEW.rank", "true"),
}
_TRIGGER = """
CREATE OR REPLACE FUNCTION bench_told() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_notify('bench', {told}); RETURN NULL; END $$;
CREATE OR REPLACE TRIGGER bench_told AFTER INSERT OR UPDATE ON {table}
    FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION bench_told();
LISTEN bench;
"""


class Rows(Protocol):
    def listen(self) -> None:
        """Before the first `events`."""

    def events(self, timeout: float) -> list[Event]:
        """What has come since the last call; waits so many seconds for the first."""

    def newest(self) -> int:
        """The job of the last row."""

    def ended(self, first: int) -> int:
        """How many jobs from the first on have come to their end."""

    def close(self) -> None: ...


class SqliteRows:
    """Woken by writes to the log beside the file."""

    def __init__(self, path: str, table: str) -> None:
        self._table = table
        self._log = f"{os.path.basename(path)}-wal"
        self._watch = Watch(os.path.dirname(path), MODIFY)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
        self._known: set[tuple[int, int]] = set()
        self._last = 0

    def listen(self) -> None:
        self._version = self._changes()
        self._look()

    def events(self, timeout: float) -> list[Event]:
        try:
            if self._log not in self._watch.names(timeout):
                return []
        except TimeoutError:
            return []
        # The log is written before the transaction counts.
        end = time.monotonic() + _PATIENCE
        while (version := self._changes()) == self._version and time.monotonic() < end:
            time.sleep(0.0001)
        self._version = version
        found = self._look()
        at = time.monotonic()
        return [Event(job, rank, at) for job, rank in sorted(found)]

    def newest(self) -> int:
        return _number(self._db.execute(_NEWEST[self._table]).fetchone())

    def ended(self, first: int) -> int:
        return _number(self._db.execute(_ENDED[self._table].format(first=first)).fetchone())

    def close(self) -> None:
        self._db.close()
        self._watch.close()

    def _changes(self) -> int:
        return _number(self._db.execute("PRAGMA data_version").fetchone())

    def _look(self) -> set[tuple[int, int]]:
        """What is new."""
        if self._table == "seen":
            rows = self._db.execute("SELECT id, job, rank FROM seen WHERE id > ? ORDER BY id", (self._last,)).fetchall()
            self._last = rows[-1][0] if rows else self._last
            return {(job, rank) for _, job, rank in rows}
        before, self._known = self._known, set(self._db.execute(_LAST))
        return self._known - before


class PostgresqlRows:
    """Told by a trigger that is there meanwhile (NOTIFY comes with the end of the transaction)."""

    def __init__(self, dsn: str, table: str) -> None:
        self._table = table
        self._trigger = False
        self._db: Any = importlib.import_module("psycopg2").connect(dsn)
        self._db.autocommit = True
        self._cursor = self._db.cursor()

    def listen(self) -> None:
        told, when = _TOLD[self._table]
        self._cursor.execute(_TRIGGER.format(told=told, when=when, table=self._table))
        self._trigger = True

    def events(self, timeout: float) -> list[Event]:
        if not select.select([self._db], [], [], timeout)[0]:
            return []
        self._db.poll()
        at = time.monotonic()
        told, self._db.notifies[:] = [each.payload.split() for each in self._db.notifies], []
        return [Event(int(job), int(rank), at) for job, rank in told]

    def newest(self) -> int:
        return self._one(_NEWEST[self._table])

    def ended(self, first: int) -> int:
        return self._one(_ENDED[self._table].format(first=first))

    def close(self) -> None:
        if self._trigger:
            self._cursor.execute(f"DROP TRIGGER bench_told ON {self._table}")
        self._db.close()

    def _one(self, query: str) -> int:
        self._cursor.execute(query)
        return _number(self._cursor.fetchone())


class LineRows:
    """No rows: the lines of sinks.Lines, with their own times."""

    def __init__(self, path: str, _table: str) -> None:
        self._watch = Watch(os.path.dirname(path), MODIFY)
        self._path = Path(path)
        self._place = 0
        self._newest = 0

    def listen(self) -> None:
        self._read()

    def events(self, timeout: float) -> list[Event]:
        with contextlib.suppress(TimeoutError):
            self._watch.names(timeout)
        return self._read()

    def newest(self) -> int:
        self._read()
        return self._newest

    def ended(self, first: int) -> int:
        self._place = 0
        return sum(event.job >= first for event in self._read())

    def close(self) -> None:
        self._watch.close()

    def _read(self) -> list[Event]:
        """The lines since the last call, but not the half of one."""
        with self._path.open("rb") as file:
            file.seek(self._place)
            text = file.read().rpartition(b"\n")
        self._place += len(text[0]) + len(text[1])
        parts = (line.split() for line in text[0].splitlines())
        found = [Event(int(job), int(rank), float(at)) for job, rank, at in parts]
        self._newest = found[-1].job if found else self._newest
        return found


KINDS: Mapping[str, Callable[[str, str], Rows]] = {
    "sqlite": SqliteRows,
    "postgresql": PostgresqlRows,
    "lines": LineRows,
}


def _number(row: Any) -> int:
    return int(row[0] or 0) if row else 0
