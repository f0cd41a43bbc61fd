"""The front's database, on SQLite or PostgreSQL: how it is opened, and read. What stands in it: tables.py."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from sqlalchemy import Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.pool import QueuePool
from sqlalchemy.sql.expression import Select

from frontend.database import fastjson, migration, prepared
from frontend.database.tables import (
    action,
    application_credential,
    attempt,
    beat,
    comparison,
    console_token,
    dead_letter,
    flavor,
    flavor_access,
    image,
    keypair,
    membership,
    metadata,
    node,
    owed,
    probe,
    project,
    request,
    revocation,
    security_group,
    security_group_rule,
    server,
    server_group,
    user,
)
from frontend.database.tables_cluster import cluster, cluster_image, cluster_pin
from frontend.database.tables_network import network, port, removed_network, tenant_network
from frontend.database.tables_storage import image_member, image_task, volume, volume_snapshot, volume_transfer
from frontend.database.tables_usage import budget, quota_default, reservation, sample, usage_span

__all__ = [
    "action",
    "application_credential",
    "attempt",
    "beat",
    "budget",
    "cluster",
    "cluster_image",
    "cluster_pin",
    "comparison",
    "connect",
    "connect_writer",
    "console_token",
    "dead_letter",
    "flavor",
    "flavor_access",
    "image",
    "image_member",
    "image_task",
    "keypair",
    "membership",
    "metadata",
    "network",
    "node",
    "open_engine",
    "open_writer",
    "owed",
    "port",
    "probe",
    "project",
    "quota_default",
    "removed_network",
    "request",
    "reservation",
    "revocation",
    "row",
    "rows",
    "sample",
    "schema_fault",
    "security_group",
    "security_group_rule",
    "server",
    "server_group",
    "tenant_network",
    "usage_span",
    "user",
    "volume",
    "volume_snapshot",
    "volume_transfer",
]

# Milliseconds that SQLite waits for another process's transaction: the consumer's take 0.2 s at most.
_BUSY = 10_000
_PAUSE = 0.01  # seconds between two attempts where it does not wait


def open_engine(url: str, *, pre_ping: bool = True) -> Engine:
    """An engine for sqlite:///PATH or postgresql://..., as the database is.

    Without `pre_ping` the first transaction after a loss of the connection fails: for who tries again anyway.
    """
    parsed = make_url(url)
    options: dict[str, Any] = {"pool_pre_ping": pre_ping, "poolclass": QueuePool}
    if parsed.get_backend_name() == "sqlite":
        options["connect_args"] = {"check_same_thread": False}  # of the pool's, one thread has each
    if (parsed.get_backend_name(), parsed.get_driver_name()) == ("postgresql", "psycopg2"):
        from frontend.database import postgres  # noqa: PLC0415 (psycopg2 is not needed without PostgreSQL)

        # Many rows of one statement in one question: by itself psycopg2 asks for each of them.
        options |= {"connect_args": postgres.arguments(parsed.query), "executemany_mode": "values_plus_batch"}
    options |= {"json_serializer": fastjson.dumps, "json_deserializer": fastjson.loads}  # as bulk.py writes, too
    # What stands in a statement's parameters stands in the rows, too, but has no place in a log. `future`, and the pool
    # above: SQLAlchemy 1.4, which Debian 12 has, behaves as 2 does.
    engine = create_engine(url, future=True, hide_parameters=True, **options)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _tune_sqlite)
    return engine


def connect(url: str) -> Engine:
    """The same, with the tables made or brought up to date.

    ConfigError when the database is of a newer program, SQLAlchemyError when it does not answer.
    """
    engine = open_engine(url)
    migration.ensure(engine)
    return engine


def connect_writer(url: str) -> Engine:
    """The same for who reads a row, decides and writes it."""
    connect(url).dispose()
    return open_writer(url)


def open_writer(url: str, *, pre_ping: bool = True) -> Engine:
    """The same with the database as it is.

    SELECT ... FOR UPDATE locks the row; SQLite has no such thing, so there BEGIN locks the file.
    """
    engine = open_engine(url, pre_ping=pre_ping)
    if engine.dialect.name == "sqlite":
        # FULL: what was taken is forgotten at its source, and must outlive a loss of power, too.
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=FULL"))
        event.listen(engine, "begin", lambda connection: prepared.say(connection, "BEGIN IMMEDIATE"))
    return engine


def schema_fault(engine: Engine) -> str | None:
    """What is wrong with the version of the tables; None when it is this program's."""
    found = migration.version(engine)
    return None if found == migration.NEWEST else f"version {found or 'none'}, this program needs {migration.NEWEST}"


def rows(connection: Connection, query: Select[Any], **values: Any) -> list[dict[str, Any]]:
    """All rows of a query, by column name; `values` are those of its parameters."""
    return [dict(row) for row in connection.execute(query, values).mappings()]


def row(connection: Connection, query: Select[Any], **values: Any) -> dict[str, Any] | None:
    """The one row of a query, or None."""
    found = connection.execute(query, values).mappings().one_or_none()
    return dict(found) if found is not None else None


def insert_or(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that may say what is done about rows that are there: `on_conflict_...`."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def _tune_sqlite(connection: object, _: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute(f"PRAGMA busy_timeout={_BUSY}")
    _use_wal(cursor)
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _use_wal(cursor: sqlite3.Cursor) -> None:
    """Readers never wait for the consumer's writes then.

    The first who say so of a new file may be in each other's way, and SQLite lets none of them wait for that.
    """
    end = time.monotonic() + _BUSY / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(_PAUSE)
        else:
            return
