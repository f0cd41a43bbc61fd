"""Dead letters and the version of the tables, as an administrator sees them."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from frontend.database import db, migration
from frontend.update.mirror import Mirror
from ganeti_ext import event
from tests.contract.manage_site import Manage, site
from tests.unit.frontend import unversioned, updates

BODIES = ("garbage", '{"type": "ganeti-op-status", "version": 99}', event.encode(updates.create("success")))
IDS = [hashlib.sha256(body.encode()).hexdigest() for body in BODIES]


@pytest.fixture
def manage() -> Iterator[Manage]:
    with site() as made:
        yield made


@pytest.fixture
def filled(manage: Manage) -> Manage:
    """Two that cannot be understood, and one that is all right and was laid aside by a bug."""
    manage.ok("letter-list")  # makes the database
    engine = db.connect_writer(f"sqlite:///{manage.folder}/front.db")
    mirror = Mirror(engine, "gx-", clock=lambda: 1_700_000_000.0)
    assert sum(mirror.take_all(BODIES[:2])) == 2
    mirror._lay_aside(BODIES[2], ZeroDivisionError("in truth"), 3)
    engine.dispose()
    return manage


def test_none(manage: Manage) -> None:
    assert manage.ok("letter-list").split() == ["ID", "TIME", "TRIES", "TYPE", "REASON"]
    assert json.loads(manage.ok("letter-list", "--json")) == []
    assert "there is none of that id" in manage.refused("letter-show", "abc")
    assert manage.ok("letter-replay", "--all") == ""
    assert manage.ok("letter-delete", "--all") == "0 deleted\n"


def test_list_and_show(filled: Manage) -> None:
    lines = filled.ok("letter-list").splitlines()[1:]
    shown = {line.split()[0]: line.split()[1:4] for line in lines}
    time = "2023-11-14T22:13:20Z"
    assert shown == {
        IDS[0][:12]: [time, "1", "-"],
        IDS[1][:12]: [time, "1", "ganeti-op-status"],
        IDS[2][:12]: [time, "3", "ganeti-op-status"],
    }
    assert "message of version 99, this program reads 1" in filled.ok("letter-list")
    found = {letter["id"]: letter for letter in json.loads(filled.ok("letter-list", "--json"))}
    assert found[IDS[2]]["reason"] == "ZeroDivisionError: in truth"
    assert filled.ok("letter-show", IDS[0][:8]).endswith("\n\ngarbage\n")
    one = json.loads(filled.ok("letter-show", IDS[2], "--json"))
    assert (one["id"], one["tries"], one["body"]) == (IDS[2], 3, BODIES[2])


def test_replay_tells_of_each_and_keeps_what_fails(filled: Manage) -> None:
    assert "which? Give one ID or more, or --all" in filled.refused("letter-replay")
    assert filled.ok("letter-replay", IDS[2][:12]) == f"{IDS[2][:12]}: applied\n"
    assert [row["status"] for row in filled.rows(db.server)] == ["ACTIVE"]
    done = filled.run("letter-replay", "--all")
    assert (done.returncode, done.stderr) == (1, "")
    assert sorted(line.split()[0] for line in done.stdout.splitlines()) == sorted(f"{one[:12]}:" for one in IDS[:2])
    assert "JSONDecodeError" in done.stdout
    assert {row["digest"]: row["tries"] for row in filled.rows(db.dead_letter)} == {IDS[0]: 2, IDS[1]: 2}


def test_delete(filled: Manage) -> None:
    assert "ids begin so" in filled.refused("letter-delete", "")
    assert filled.ok("letter-delete", IDS[0], IDS[1]) == "2 deleted\n"
    assert [row["digest"] for row in filled.rows(db.dead_letter)] == [IDS[2]]
    assert filled.ok("letter-delete", "--all") == "1 deleted\n"


def test_an_old_database_is_looked_at_tried_and_upgraded(manage: Manage) -> None:
    unversioned.sqlite(manage.folder / "front.db")
    (manage.folder / "front.db").chmod(0o666)
    done = manage.run("db-version")
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, "database: older than 0001")
    assert "ALTER TABLE server ADD COLUMN progress INTEGER;" in manage.ok("db-upgrade", "--dry-run")
    with closing(sqlite3.connect(manage.folder / "front.db")) as connection:
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'action'").fetchall()
    assert manage.ok("db-upgrade") == f"its tables are of version {migration.NEWEST} now\n"
    assert manage.ok("db-upgrade") == f"its tables are of version {migration.NEWEST} already\n"
    assert json.loads(manage.ok("db-version", "--json")) == {"database": migration.NEWEST, "program": migration.NEWEST}


def test_a_database_of_a_newer_program(manage: Manage) -> None:
    manage.ok("db-upgrade")
    with closing(sqlite3.connect(manage.folder / "front.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
    assert "version 0999, and this program knows 0001 to" in manage.refused("project-list", code=3)
    assert "0999" in manage.refused("db-upgrade", code=3)
    assert manage.run("db-version").stdout.startswith("database: 0999\n")
