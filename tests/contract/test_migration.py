"""The versions of the tables: PostgreSQL, and several programs that come at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from frontend.database import db, migration, postgres
from tests.contract.services import PostgreSql
from tests.unit.frontend import unversioned

ROOT = Path(__file__).parents[2]
AT_ONCE = 4
# Each says when it is ready and opens the database when it is told to.
OPEN = """
import sys; sys.path.insert(0, sys.argv[1])
from frontend.database import db, migration
print("ready", flush=True); sys.stdin.readline()
print(migration.version(db.connect_writer(sys.argv[2])), flush=True)
"""


@pytest.fixture(params=["sqlite empty", "sqlite old", "postgresql empty", "postgresql old"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database without tables, or from before there were versions."""
    kind, age = request.param.split()
    if kind == "sqlite":
        path = tmp_path / "front.db"
        return unversioned.sqlite(path) if age == "old" else f"sqlite:///{path}"
    server: PostgreSql = request.getfixturevalue("postgresql")
    empty = server.database()
    return unversioned.postgresql(empty) if age == "old" else empty


def test_of_many_that_come_at_once_one_does_it(url: str) -> None:
    command = [sys.executable, "-I", "-c", OPEN, str(ROOT), url]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(AT_ONCE)
    ]
    for one in started:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in started:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    said = [one.communicate(timeout=120) for one in started]
    assert [out for out, _ in said] == [f"{migration.NEWEST}\n"] * AT_ONCE, said
    assert unversioned.differences(db.open_engine(url)) == []


def test_an_old_postgresql_is_brought_up_to_date(postgresql: PostgreSql) -> None:
    url = unversioned.postgresql(postgresql.database())
    as_is = db.open_engine(url)
    assert migration.version(as_is) == ""
    assert "ALTER TABLE server ADD COLUMN progress INTEGER" in migration.rehearse(as_is)
    assert migration.version(as_is) == ""
    engine = db.connect(url)
    assert (migration.version(engine), unversioned.differences(engine)) == (migration.NEWEST, [])
    unversioned.check_rows(engine)


def test_who_waits_for_the_upgrade_waits_longer_than_for_an_answer(
    postgresql: PostgreSql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new index takes its time, and must not be given up after the seconds that a message is."""
    url = unversioned.postgresql(postgresql.database())
    monkeypatch.setattr(postgres, "_ANSWER", 0.5)
    holder = create_engine(url)
    with holder.begin() as connection:
        connection.execute(text("LOCK TABLE server IN ACCESS EXCLUSIVE MODE"))
        hasty = OPEN.replace(
            "print(migration", "from frontend.database import postgres; postgres._ANSWER = 0.5; print(migration"
        )
        command = [sys.executable, "-I", "-c", hasty, str(ROOT), url]
        waiting = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert waiting.stdin is not None
        waiting.stdin.write("\n")
        waiting.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(2)
    assert waiting.communicate(timeout=60)[0] == f"ready\n{migration.NEWEST}\n"
    holder.dispose()
    with pytest.raises(OperationalError, match=r"no answer within 0\.5 s"), db.open_engine(url).connect() as connection:
        connection.execute(text("SELECT pg_sleep(5)"))
