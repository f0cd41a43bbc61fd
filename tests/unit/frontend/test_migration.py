"""The versions of the tables, on SQLite; on PostgreSQL: tests/contract/test_migration.py."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Integer, select, text
from sqlalchemy.exc import OperationalError

from frontend.database import db, migration
from ganeti_ext.errors import ConfigError
from tests.unit.frontend import unversioned

NEWEST = migration.NEWEST


@pytest.fixture
def copied() -> None:
    """Here they are none: the tables are made by those who are tested."""


def test_versions_are_those_of_the_scripts() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migration.__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    assert sorted(script.revision for script in scripts.walk_revisions()) == sorted(migration.VERSIONS)
    assert scripts.get_heads() == [NEWEST]


def test_a_new_database_is_of_the_newest_version(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/front.db"
    as_is = db.open_engine(url)
    assert (migration.version(as_is), db.schema_fault(as_is)) == (None, f"version none, this program needs {NEWEST}")
    engine = db.connect(url)
    assert (migration.version(engine), db.schema_fault(engine)) == (NEWEST, None)
    assert unversioned.differences(engine) == []


def test_a_database_without_a_version_is_brought_up_to_date(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    url = unversioned.sqlite(tmp_path / "front.db")
    assert migration.version(db.open_engine(url)) == ""
    engine = db.connect(url)
    assert migration.version(engine) == NEWEST
    assert unversioned.differences(engine) == []
    unversioned.check_rows(engine)
    assert f"its tables are of version {NEWEST} now, and were older than 0001" in caplog.text
    caplog.clear()
    db.connect(url)
    assert "its tables" not in caplog.text


def test_ports_are_found_by_the_id_that_their_tenant_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 0009 they had Ganeti's UUID of their network."""
    ident, uuid, plain = (f"0bbbbbbb-{number}-4000-8000-000000000003" for number in ("3333", "4444", "5555"))
    url = unversioned.sqlite(tmp_path / "front.db")
    monkeypatch.setattr(migration, "NEWEST", "0008")
    with db.connect(url).begin() as connection:
        for name, key, tags in ((f"blue.{ident}", uuid, '["ganeti-ext:project:p"]'), (f"red.{ident}", plain, "[]")):
            connection.execute(
                text("INSERT INTO network (id, name, tags, updated) VALUES (:key, :name, :tags, 1)"),
                {"key": key, "name": name, "tags": tags},
            )
            columns = "id, project_id, network, facts, created, updated"
            made = text(f"INSERT INTO port ({columns}) VALUES (:key, 'p', :key, '{{}}', 1, 1)")
            connection.execute(made, {"key": key})
    monkeypatch.undo()
    with db.connect(url).connect() as connection:
        assert sorted(row["network"] for row in db.rows(connection, select(db.port))) == sorted([ident, plain])


@pytest.mark.parametrize("table", ["server", "membership", "dead_letter"])
def test_tables_that_were_made_by_half_are_completed(tmp_path: Path, table: str) -> None:
    url = unversioned.sqlite(tmp_path / "front.db")
    connection = sqlite3.connect(tmp_path / "front.db")
    connection.execute(f"DROP TABLE {table}")
    connection.close()
    engine = db.connect(url)
    assert unversioned.differences(engine) == []


def test_a_rehearsal_tells_what_would_be_done_and_does_nothing(tmp_path: Path) -> None:
    url = unversioned.sqlite(tmp_path / "front.db")
    engine = db.open_engine(url)
    said = migration.rehearse(engine)
    assert "ALTER TABLE server ADD COLUMN progress INTEGER" in said
    assert [line for line in said if line.startswith("CREATE TABLE action")]
    assert migration.version(engine) == ""
    with engine.connect() as connection:
        names = {row[0] for row in connection.execute(text("SELECT name FROM sqlite_master"))}
    assert not names & {"action", "alembic_version"}
    db.connect(url)
    assert migration.rehearse(engine) == []


def test_a_database_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/front.db"
    with db.connect(url).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    with pytest.raises(ConfigError, match=f"version 0999, and this program knows 0001 to {NEWEST}"):
        db.connect(url)
    assert db.schema_fault(db.open_engine(url)) == f"version 0999, this program needs {NEWEST}"


def test_an_upgrade_that_fails_leaves_everything_as_it_was(tmp_path: Path) -> None:
    url = unversioned.sqlite(tmp_path / "front.db")
    connection = sqlite3.connect(tmp_path / "front.db")
    connection.execute("CREATE VIEW action AS SELECT 1")  # in its way
    before = list(connection.iterdump())
    with pytest.raises(OperationalError):
        db.connect(url)
    assert list(connection.iterdump()) == before
    connection.execute("DROP VIEW action")
    connection.close()
    assert unversioned.differences(db.connect(url)) == []


def test_a_column_that_nobody_migrates_is_found(tmp_path: Path) -> None:
    """The comparison of the tests above sees what it is there for."""
    engine = db.connect(f"sqlite:///{tmp_path}/front.db")
    column = Column("forgotten", Integer)
    db.server.append_column(column)
    try:
        assert unversioned.differences(engine)
    finally:
        db.server._columns.remove(column)
