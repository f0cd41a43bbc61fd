"""Databases as the program made them before their tables had versions, with rows in them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, select
from sqlalchemy.engine import Engine

from frontend.database import db

DATA = Path(__file__).parents[2] / "data" / "frontend"


def sqlite(path: Path) -> str:
    """The URL of one in a new file."""
    connection = sqlite3.connect(path)
    connection.executescript((DATA / "unversioned.sqlite.sql").read_text())
    connection.close()
    return f"sqlite:///{path}"


def postgresql(url: str) -> str:
    """Fill an empty database."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql((DATA / "unversioned.postgresql.sql").read_text())
    engine.dispose()
    return url


def differences(engine: Engine) -> list[Any]:
    """What Alembic finds to be other than frontend/database/tables.py says."""
    with engine.connect() as connection:
        options = {"compare_server_default": _differs}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), db.metadata))


def _differs(_: Any, _column: Any, _ours: Any, found: str | None, _said: Any, wanted: str | None) -> bool:
    """Alembic's own asks PostgreSQL to compare JSON, which it does not."""
    plain = [text and text.partition("::")[0].strip("(')") for text in (found, wanted)]
    return plain[0] != plain[1]


def check_rows(engine: Engine) -> None:
    """All rows are there, and what is new of them has its first value."""

    def only(table: Any) -> dict[str, Any]:
        with engine.connect() as connection:
            found = db.rows(connection, select(table))
        assert len(found) == 1
        return found[0]

    server = only(db.server)
    assert (server["name"], server["status"], server["nics"][0]["ip"]) == ("Größe 1", "ACTIVE", "10.0.0.2")
    assert (server["progress"], server["metadata"], server["clocks"]) == (None, {}, None)
    assert (only(db.network)["name"], only(db.network)["read_order"]) == ("net1", None)
    assert (only(db.dead_letter)["body"], only(db.dead_letter)["tries"]) == ("garbage", 0)
    assert [only(table)["name"] for table in (db.project, db.user, db.flavor, db.image)] == [
        *("blue", "ann", "small", "debian")
    ]
    assert (only(db.image)["size"], only(db.membership)["role"]) == (1 << 33, "member")
