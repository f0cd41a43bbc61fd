"""What eventd says of real job files is understood."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.engine import Engine

from eventd import enrich, jobs, messages
from frontend.compute import wished
from frontend.database import db
from frontend.update.mirror import Mirror
from ganeti_ext import event, tags

JOBS = sorted((Path(__file__).parents[2] / "data" / "jobs").glob("*.json"))
STATUS = {"create-success": "ACTIVE", "create-no-room": "ERROR", "create-script-failed": "ERROR",
          "create-queued": "BUILD", "create-waiting": "BUILD", "create-running": "BUILD",
          "create-canceled-in-queue": "ERROR"}  # fmt: skip


@pytest.fixture
def engine(engine: Engine) -> Engine:
    with engine.begin() as connection:
        owner = {"id": "p-1", "name": "p1", "max_servers": 1, "max_cores": 1, "max_ram": 1}
        connection.execute(insert(db.project).values(owner))
    return engine


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


# As Ganeti 3.1 refuses to take away a tag that is not there (cmdlib/tags.py LUTagsDel).
_NOT_FOUND = ["OpPrereqError", ["Tag(s) 'ganeti-ext:description:old' not found", "unknown_entity"]]


def tag_job(instance: str, opcode: str, status: str, result: object) -> str:
    """A job on the tags of an instance: a real one, with another target and end."""
    made = json.loads((JOBS[0].parent / "tags-set-success.json").read_text())
    op = made["ops"][0]
    made["ops"] = [op]
    op["input"].update(OP_ID=opcode, kind="instance", name=instance, tags=["ganeti-ext:description:new"])
    op.update(status=status, result=result)
    return json.dumps(made)


@pytest.mark.parametrize(
    ("opcode", "status", "result", "description"),
    [
        ("OP_TAGS_SET", "success", None, "new"),
        ("OP_TAGS_DEL", "success", None, "new"),
        ("OP_TAGS_DEL", "error", _NOT_FOUND, "old"),
        ("OP_TAGS_SET", "canceled", "Job canceled by request", "old"),
    ],
)
def test_the_end_of_a_tag_job_tells_what_the_tags_are(
    engine: Engine, opcode: str, status: str, result: object, description: str
) -> None:
    mirror = Mirror(engine, "gx-")
    for body in bodies(next(path for path in JOBS if path.stem == "create-success")):
        mirror.take(body)
    with engine.begin() as connection:
        server = db.rows(connection, select(db.server))[0]
        job = jobs.parse(tag_job(server["instance"], opcode, status, result))
        shown = {"facts": {"description": "new"}, "wished": wished.added(None, ["facts"], [job.id])}
        connection.execute(update(db.server).values(shown))
    (news,) = messages.news(job, {}, "cluster.lab")
    assert enrich.wants(news) == "instance"  # whatever its end, Ganeti is asked
    said = tags.encode({"project": "p-1", "description": description})
    row = {"instance_state": {"pnode": "node1", "tags": said}, "mtime": news.time + 1}
    enrich.add(news, {server["instance"]: row}, news.time + 2)
    news.message["seq"] = [1, 10**9]
    mirror.take(event.encode(news.message))
    with engine.connect() as connection:
        found = db.rows(connection, select(db.server))[0]
    assert (found["facts"], found["wished"]) == ({"description": description}, None)
