"""The version of the database's tables, and how an older one is brought up to date.

Whoever opens the database first after an upgrade does it, by himself and under a lock, while the others wait. Each
version adds to the one before, so that a process of the older program may go on meanwhile. Alembic is loaded for
the upgrade alone; that a database is up to date is one query.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Column, MetaData, String, Table, event, insert, inspect, select
from sqlalchemy.engine import Connection, Engine

from frontend.database import tables
from frontend.database.tables_usage import metadata
from ganeti_ext.errors import ConfigError

log = logging.getLogger(__name__)

# By number: what came with it. Before there were versions, the tables of 0001 stood alone.
VERSIONS = {
    "0001": "tenants, images, servers and networks",
    "0002": "actions, effects owed, signs of life, the last comparison; more of servers and dead letters",
    "0003": "keys, groups, credentials, requests; more of servers, flavors and images",
    "0004": "volumes, their snapshots and transfers, members of images; servers' disks",
    "0005": "what is written down of snapshots of volumes",
    "0006": "how large volumes are to be that are extended",
    "0007": "projects' quotas of networks; what is said of networks without subnets",
    "0008": "ports",
    "0009": "several clusters",
    "0010": "ports by their network's id; floating addresses; bridges of tenants' networks",
    "0011": "more limits, what is set apart, what was used",
    "0012": "security groups, told to Ganeti",
    "0013": "images in the storage of several clusters",
    "0014": "the nodes that servers were moved between",
    "0015": "ports that their guest gets when it starts next",
    "0016": "what servers use",
    "0017": "who fills an image",
}
NEWEST = max(VERSIONS)

# As Alembic makes it.
_version = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))

_LOCK = 0x67616E657469  # PostgreSQL's advisory locks are numbers
_PATIENCE = 120  # seconds: for the one who is at it, and for his statements


def version(engine: Engine) -> str | None:
    """The version of the tables: "" when they are older than all versions, None when there are none."""
    with engine.connect() as connection:
        return _found(connection)


def ensure(engine: Engine) -> None:
    """Make the tables or bring them up to date.

    ConfigError when the database is newer than this program.
    """
    found = version(engine)
    if found != NEWEST:
        _refuse_newer(found)
        with _alone(engine) as connection:
            _upgrade(connection)
        if found is not None:
            log.info("database: its tables are of version %s now, and were %s", NEWEST, found or "older than 0001")


def rehearse(engine: Engine) -> list[str]:
    """The statements of an upgrade, which was tried and rolled back."""
    said: list[str] = []
    with contextlib.suppress(_Rehearsed), _alone(engine) as connection:
        event.listen(connection, "before_cursor_execute", lambda *given: said.append(" ".join(given[2].split())))
        _upgrade(connection)
        raise _Rehearsed
    return [line for line in said if line.startswith(("CREATE", "ALTER", "DROP", "INSERT", "UPDATE", "DELETE"))]


class _Rehearsed(Exception):
    """Rolls a transaction back."""


@contextlib.contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction that only one process has at a time."""
    with contextlib.ExitStack() as stack:
        if engine.dialect.name == "postgresql":
            from frontend.database import postgres  # noqa: PLC0415 (psycopg2 is not needed without PostgreSQL)

            stack.enter_context(postgres.patience(_PATIENCE + 5))
        connection = stack.enter_context(engine.begin())
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN EXCLUSIVE")
        else:
            for name in ("lock_timeout", "statement_timeout"):
                connection.exec_driver_sql(f"SET LOCAL {name} = '{_PATIENCE}s'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        yield connection


def _upgrade(connection: Connection) -> None:
    found = _found(connection)
    if found == NEWEST:  # another process was quicker
        return
    _refuse_newer(found)
    if found is None:
        metadata.create_all(connection)
        _version.create(connection)
        connection.execute(insert(_version).values(version_num=NEWEST))
        return
    from alembic import command  # noqa: PLC0415 (slow to load, and seldom needed)
    from alembic.config import Config  # noqa: PLC0415

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, NEWEST)


def _found(connection: Connection) -> str | None:
    names = inspect(connection).get_table_names()
    if _version.name in names:
        return connection.execute(select(_version.c.version_num)).scalar() or ""
    return "" if tables.server.name in names or tables.project.name in names else None


def _refuse_newer(found: str | None) -> None:
    if found and found not in VERSIONS:
        raise ConfigError(
            f"database: its tables are of version {found}, and this program knows {min(VERSIONS)} to {NEWEST}: "
            f"it needs a newer ganeti-ext-frontend"
        )
