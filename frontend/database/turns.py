"""One at a time counts what a project has and adds to it: what quotas go by does not change between the two."""

from __future__ import annotations

import contextlib
import threading
import time
import zlib
from collections.abc import Iterator

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import OperationalError

from frontend.database import prepared, tables

_LOCK = 0x71756F74  # PostgreSQL's advisory locks are numbers

_SHORT = 8  # ms, in which SQLite looks after 1, 2 and 5 whether another writer is done
_writes = threading.Lock()

_WRITE = update(tables.project).where(tables.project.c.id == bindparam("whose")).values(id=bindparam("same"))
_WAIT = select(func.pg_advisory_xact_lock(_LOCK, bindparam("number")))


@contextlib.contextmanager
def writer(engine: Engine) -> Iterator[Connection]:
    """A connection for one short transaction that writes first, or takes a turn; none within another.

    On SQLite, which has one writer, the threads of this process come one behind the other. By itself SQLite lets who
    waits look again after pauses of up to 0.1 s, when others who came later are before him.
    """
    if engine.dialect.name != "sqlite":
        with engine.connect() as connection:
            yield connection
        return
    with _writes, engine.connect() as connection:
        _begin(connection)
        yield connection


def _begin(connection: Connection) -> None:
    """Wait for the writers of other processes; OperationalError after as long as SQLite itself waits."""
    (patience,) = prepared.say(connection, "PRAGMA busy_timeout").fetchone()  # ms
    prepared.say(connection, f"PRAGMA busy_timeout={_SHORT}")
    end = time.monotonic() + patience / 1000
    try:
        while not _is_begun(connection, is_last=time.monotonic() > end):
            pass
    finally:
        prepared.say(connection, f"PRAGMA busy_timeout={patience}")


def _is_begun(connection: Connection, *, is_last: bool) -> bool:
    try:
        prepared.say(connection, "BEGIN IMMEDIATE")
    except OperationalError:
        if is_last:
            raise
        return False
    return True


def take(connection: Connection, project: str | None) -> None:
    """Wait for the others who do so; the turn lasts until the transaction ends, in which the new row is inserted.

    To be called before anything of it is read: so what is read is what the one before has left.
    """
    if connection.dialect.name == "sqlite":
        # A write, of whatever: there is one writer at a time.
        connection.execute(_WRITE, {"whose": project, "same": project})
    else:
        number = zlib.crc32(str(project).encode()) - (1 << 31)  # of two projects with one number one waits for nothing
        connection.execute(_WAIT, {"number": number})
