"""Where the floor's consumer leaves what it took: a row for each message, or a line of when it came."""

from __future__ import annotations

import importlib
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

_SQLITE = "CREATE TABLE IF NOT EXISTS seen (id INTEGER PRIMARY KEY, job INTEGER NOT NULL, rank INTEGER NOT NULL)"
_POSTGRESQL = "CREATE TABLE IF NOT EXISTS seen (id SERIAL PRIMARY KEY, job INTEGER NOT NULL, rank INTEGER NOT NULL)"


class Sink(Protocol):
    def keep(self, found: Sequence[tuple[int, int]]) -> None:
        """Pairs of job and rank, in one transaction."""


class Lines:
    """No row: when each came, as lines of job, rank and time.monotonic()."""

    def __init__(self, path: str) -> None:
        self._file = Path(path).open("a", encoding="ascii")  # noqa: SIM115 (as long as the process)

    def keep(self, found: Sequence[tuple[int, int]]) -> None:
        now = time.monotonic()
        self._file.writelines(f"{job} {rank} {now}\n" for job, rank in found)
        self._file.flush()


class SqliteRows:
    """With WAL, as the front's own; what was committed survives the loss of power with FULL alone."""

    def __init__(self, path: str, synchronous: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
        for pragma in ("journal_mode=WAL", f"synchronous={synchronous}"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.execute(_SQLITE)

    def keep(self, found: Sequence[tuple[int, int]]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT INTO seen (job, rank) VALUES (?, ?)", found)
        self._db.execute("COMMIT")


class PostgresqlRows:
    """With fsync at each commit, as PostgreSQL is by default."""

    def __init__(self, dsn: str) -> None:
        self._db: Any = importlib.import_module("psycopg2").connect(dsn)
        self._cursor = self._db.cursor()
        self._cursor.execute(_POSTGRESQL)
        self._db.commit()

    def keep(self, found: Sequence[tuple[int, int]]) -> None:
        for pair in found:
            self._cursor.execute("INSERT INTO seen (job, rank) VALUES (%s, %s)", pair)
        self._db.commit()


KINDS: Mapping[str, Callable[[str], Sink]] = {
    "lines": Lines,
    "sqlite": lambda path: SqliteRows(path, "FULL"),
    "sqlite-normal": lambda path: SqliteRows(path, "NORMAL"),
    "postgresql": PostgresqlRows,
}
