"""What eventd says of real job files is understood."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select

from eventd import jobs, messages
from frontend import db
from frontend.mirror import Mirror
from ganeti_ext import event

JOBS = sorted((Path(__file__).parents[2] / "data" / "jobs").glob("*.json"))
STATUS = {"create-success": "ACTIVE", "create-no-room": "ERROR", "create-script-failed": "ERROR",
          "create-queued": "BUILD", "create-waiting": "BUILD", "create-running": "BUILD",
          "create-canceled-in-queue": "ERROR"}  # fmt: skip


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = db.connect_writer(f"sqlite:///{tmp_path}/front.db")
    with engine.begin() as connection:
        owner = {"id": "p-1", "name": "p1", "max_servers": 1, "max_cores": 1, "max_ram": 1}
        connection.execute(insert(db.project).values(owner))
    yield engine
    engine.dispose()


def bodies(path: Path) -> list[str]:
    return [event.encode(one.message) for one in messages.news(jobs.parse(path.read_text()), {}, "cluster.lab")]


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_each_is_understood(engine: Engine, path: Path) -> None:
    mirror = Mirror(engine, "gx-")
    for body in bodies(path):
        mirror.take(body)
    with engine.connect() as connection:
        assert db.rows(connection, select(db.dead_letter)) == []
        servers = db.rows(connection, select(db.server))
    if path.stem in STATUS:
        assert [(row["status"], bool(row["fault"])) for row in servers] == [
            (STATUS[path.stem], STATUS[path.stem] == "ERROR")
        ]
        assert servers[0]["project_id"] == "p-1"


def test_a_server_through_its_life(engine: Engine) -> None:
    mirror = Mirror(engine, "gx-")
    by_name = {path.stem: path for path in JOBS}
    for name in ("create-success", "startup-success", "remove-failed", "remove-success"):
        for body in bodies(by_name[name]):
            mirror.take(body)
        with engine.connect() as connection:
            row = db.row(connection, select(db.server))
        assert row is not None
        assert (row["status"], row["deleted"] is not None) == ("ACTIVE", name == "remove-success"), name
