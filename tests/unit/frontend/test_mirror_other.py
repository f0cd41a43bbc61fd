"""Messages that tell of no opcode on a server, and servers whose messages come before their row."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.engine import Engine

from frontend.database import db
from frontend.effect.clusters import HOME
from frontend.update.mirror import Mirror
from ganeti_ext import event, tags
from tests.unit.frontend import updates
from tests.unit.frontend.updates import BEGIN, create, op, read, row

NOW = BEGIN + 1000.0
OTHER = "99999999-52b4-4f0d-9d39-0a0b7c4f9c11"


@pytest.fixture
def compared() -> list[str]:
    return []


@pytest.fixture
def mirror(engine: Engine, compared: list[str]) -> Mirror:
    return Mirror(engine, "gx-", clock=lambda: NOW, compare=lambda why, _: compared.append(why))


def rows(engine: Engine, table: Any) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return db.rows(connection, select(table))


def add(engine: Engine, table: Any, **columns: Any) -> None:
    with engine.begin() as connection:
        connection.execute(insert(table).values(columns))


def tell(mirror: Mirror, *told: dict[str, Any]) -> None:
    assert sum(mirror.take_all([event.encode(message) for message in told])) == len(told)


def heartbeat(probe: str) -> dict[str, Any]:
    fields = {"dry_run": True, "tags": [f"{event.HEARTBEAT_TAG}{probe}"]}
    return {**op("OP_TAGS_SET", "success", job_fields=fields), "type": event.HEARTBEAT, "probe": probe}


def progress(percent: Any, node: str = "n1") -> dict[str, Any]:
    common = {"version": event.VERSION, "event_time": [BEGIN, 0], "cluster": "c", "instance": updates.NAME}
    return {"type": event.PROGRESS, **common, "node": node, "position": 1, "total": 2, "progress": percent}


def test_a_heartbeat_is_received_once_and_only_if_it_was_sent(mirror: Mirror, engine: Engine) -> None:
    add(engine, db.probe, id="a", sent=NOW - 1)
    add(engine, db.probe, id="b", sent=NOW - 1, received=NOW - 0.5)
    tell(mirror, heartbeat("a"), heartbeat("b"), heartbeat("of somebody else"))
    assert {probe["id"]: probe["received"] for probe in rows(engine, db.probe)} == {"a": NOW, "b": NOW - 0.5}
    assert rows(engine, db.action) == []


def test_lost_messages_ask_for_a_comparison(
    mirror: Mirror, compared: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    lost = {"type": event.LOST, "version": event.VERSION, "event_time": [BEGIN, 0], "cluster": "c", "node": "n1"}
    tell(mirror, {**lost, "count": 7, "final": 2})
    assert compared == ["lost"]
    assert "7 messages were lost on node n1" in caplog.text


def test_a_change_of_a_node_asks_for_a_comparison_once_it_is_made(
    mirror: Mirror, engine: Engine, compared: list[str]
) -> None:
    for status in ("queued", "running"):
        tell(mirror, {**op("OP_NODE_SET_PARAMS", status), "type": event.NODE_STATUS, "node": "n1"})
    assert compared == []
    tell(mirror, {**op("OP_NODE_SET_PARAMS", "success"), "type": event.NODE_STATUS, "node": "n1"})
    assert compared == ["node"]
    assert [(one["kind"], one["name"], one["status"]) for one in rows(engine, db.action)] == [("node", "n1", "success")]
    moved = op("OP_GROUP_ASSIGN_NODES", "success", job=99)
    tell(mirror, {**moved, "type": event.GROUP_STATUS, "group": "rack 2"})
    assert compared == ["node", "node"]


def test_a_rehearsal_is_no_action(mirror: Mirror, engine: Engine) -> None:
    tell(mirror, op("REMOVE", "success", job_fields={"dry_run": True}))
    assert rows(engine, db.action) == []


def test_progress_rises_while_the_server_is_made(mirror: Mirror, engine: Engine) -> None:
    add(engine, db.server, **row())
    seen = []
    for note in (progress(12.7), progress(5, "n2"), progress(40), progress(1000), progress(-1)):
        tell(mirror, note)
        seen.append(rows(engine, db.server)[0]["progress"])
    assert seen == [12, 12, 40, 100, 100]
    tell(mirror, create("success", at=5), progress(50))
    assert rows(engine, db.server)[0]["progress"] is None


@pytest.mark.parametrize("percent", ["50", None, float("nan"), float("inf")])
def test_progress_that_is_no_number_is_laid_aside(mirror: Mirror, engine: Engine, percent: Any) -> None:
    add(engine, db.server, **row())
    tell(mirror, progress(percent))
    assert len(rows(engine, db.dead_letter)) == 1
    assert rows(engine, db.server)[0]["progress"] is None


def test_progress_of_a_server_that_is_not_known(mirror: Mirror, engine: Engine) -> None:
    tell(mirror, progress(50))
    assert (rows(engine, db.server), rows(engine, db.dead_letter)) == ([], [])


LIFE = [
    create("queued", at=1, seq=[1, 1]),
    create("success", at=5, seq=[1, 2]),
    op("SHUTDOWN", "success", job=11, at=8, seq=[1, 3]),
    op("REMOVE", "success", job=12, at=9, seq=[1, 4]),
]


@pytest.mark.parametrize("length", [2, 3, 4])
def test_a_server_without_a_row_ends_the_same_in_any_order(engine: Engine, mirror: Mirror, length: int) -> None:
    ends = []
    for order in itertools.permutations(LIFE[:length]):
        for message in order:
            tell(mirror, message)
        ends.append(rows(engine, db.server))
        with engine.begin() as connection:
            for table in (db.server, db.action):
                connection.execute(table.delete())
    assert all(end == ends[0] for end in ends)
    last = ends[0][0]
    assert (last["power"], last["deleted"], last["created"]) == {
        2: ("ACTIVE", None, BEGIN + 1),
        3: ("SHUTOFF", None, BEGIN + 1),
        4: ("SHUTOFF", BEGIN + 9, BEGIN + 1),
    }[length]


def test_the_first_message_of_a_server_may_be_of_any_opcode(mirror: Mirror, engine: Engine) -> None:
    """The database was thrown away: the reading tells whose it is."""
    said = read(True, at=6, tags=tags.encode(updates.FACTS))
    tell(mirror, op("STARTUP", "success", job=11, at=5, **said))
    found = rows(engine, db.server)
    assert [(one["id"], one["status"], one["host"]) for one in found] == [(updates.IDENT, "ACTIVE", "n1")]


def test_tags_that_are_removed_make_no_server(mirror: Mirror, engine: Engine) -> None:
    tell(mirror, op("OP_TAGS_DEL", "success", job_fields={"tags": tags.encode(updates.FACTS)}))
    assert rows(engine, db.server) == []


def test_an_instance_of_an_administrator_is_its_projects(mirror: Mirror, engine: Engine) -> None:
    project = {"id": "11111111-1111-4111-8111-111111111111", "name": "blue"}
    add(engine, db.project, **project, max_servers=1, max_cores=1, max_ram=1)
    said = read(True, at=6, tags=["ganeti-ext:project:blue"], uuid=OTHER)
    message = {**create("success", at=5, job_fields={}, **said), "instance": "web.example.org"}
    tell(mirror, message, {**message, "order": [BEGIN + 9, 0, 11, 0, 4]})
    found = rows(engine, db.server)
    assert [(one["id"], one["instance"], one["project_id"]) for one in found] == [
        (OTHER, "web.example.org", project["id"])
    ]
    assert {one["server_id"] for one in rows(engine, db.action)} == {OTHER}


def test_a_name_that_was_given_to_another_instance(mirror: Mirror, engine: Engine) -> None:
    """The deleted server keeps its row, and the new one gets one."""
    add(engine, db.server, **row(instance="web", deleted=BEGIN + 3.0))
    said = read(True, at=6, tags=tags.encode({**updates.FACTS, "server": OTHER}))
    tell(mirror, {**create("success", at=5, **said), "instance": "web"})
    found = {one["id"]: one["instance"] for one in rows(engine, db.server)}
    assert found == {updates.IDENT: updates.IDENT, OTHER: "web"}


def test_after_a_rename_messages_under_the_old_name_are_its_too(mirror: Mirror, engine: Engine) -> None:
    add(engine, db.server, **row(power="ACTIVE", status="ACTIVE", task=None))
    tell(mirror, op("RENAME", "success", job=11, at=5, result="web", seq=[1, 5]))
    tell(mirror, op("SHUTDOWN", "success", job=10, op_index=1, at=3, seq=[1, 3], order=[BEGIN + 3, 0, 10, 1, 4]))
    found = rows(engine, db.server)
    assert [(one["instance"], one["status"]) for one in found] == [("web", "SHUTOFF")]
    assert {one["server_id"] for one in rows(engine, db.action)} == {updates.IDENT}


def test_a_new_master_asks_for_a_comparison(mirror: Mirror, compared: list[str]) -> None:
    tell(mirror, op("STARTUP", "success", seq=[3, 101]))
    assert compared == []
    tell(mirror, {"type": event.MASTER, "version": 1, "cluster": "c", "node": "n", "event_time": [1, 0]})
    assert compared == ["master"]


def test_a_create_that_is_submitted_again_is_not_broken(mirror: Mirror, engine: Engine) -> None:
    add(engine, db.server, **row())
    add(engine, db.owed, id="o", server_id=updates.IDENT, what="create", body="x", job=10, tries=0, due=NOW)
    tell(mirror, create("error", at=5, result="no room", error_code="temp_insufficient_resources"))
    found = rows(engine, db.server)[0]
    assert (found["status"], found["fault"], found["task"]) == ("BUILD", None, "spawning")
    assert [(one["tries"], one["job"]) for one in rows(engine, db.owed)] == [(1, 10)]
    assert [(one["status"], one["message"]) for one in rows(engine, db.action)] == [("error", "no room")]


def test_a_damaged_time_of_making_is_left_out(mirror: Mirror, engine: Engine) -> None:
    said = [*tags.encode(updates.FACTS), "ganeti-ext:created:x"]
    tell(mirror, create("success", at=5, job_fields={"tags": said}))
    assert [one["created"] for one in rows(engine, db.server)] == [BEGIN + 5]
    assert rows(engine, db.dead_letter) == []


@pytest.mark.parametrize(
    ("status", "tag", "reason", "expected"),
    [
        ("success", "ganeti-ext:sg.4f1a2b3c.1.0-1:x", [], ["groups"]),
        ("success", "ganeti-ext:sg.4f1a2b3c.1.0-1:x", [["gnt:user", "ganeti-ext:group:4f1a"]], []),
        ("running", "ganeti-ext:sg.4f1a2b3c.1.0-1:x", [], []),
        ("error", "ganeti-ext:sg.4f1a2b3c.1.0-1:x", [], []),
        ("success", "htools:iextags:x", [], []),
    ],
)
def test_tags_of_groups_that_an_administrator_changes(
    mirror: Mirror, compared: list[str], status: str, tag: str, reason: list[Any], expected: list[str]
) -> None:
    said = {**op("OP_TAGS_SET", status, job_fields={"tags": [tag]}), "type": event.CLUSTER_STATUS, "reason": reason}
    tell(mirror, {key: value for key, value in said.items() if key != "instance"})
    assert compared == expected


@pytest.mark.parametrize(
    ("status", "there", "due"), [("success", True, True), ("error", True, False), ("success", False, False)]
)
def test_a_group_is_looked_at_once_its_last_job_is_over(
    engine: Engine, compared: list[str], status: str, there: bool, due: bool
) -> None:
    """So that what an administrator changes after that is not taken for a job that failed."""
    paid: list[str] = []
    mirror = Mirror(engine, "gx-", clock=lambda: NOW, compare=lambda why, _: compared.append(why), pay=paid.append)
    ident = "4f1a2b3c-0000-4000-8000-000000000001"
    if there:
        group = {"id": ident, "project_id": "p", "name": "web", "description": "", "version": 2}
        add(engine, db.security_group, **group, created=NOW, updated=NOW)
    for name, job in (("its", 10), ("another's", 11)):
        add(engine, db.owed, id=name, server_id=ident, what="group", body="2 1", job=job, tries=0, due=NOW + 999)
    said = op("OP_TAGS_DEL", status, job_fields={"tags": ["ganeti-ext:sg.4f1a2b3c.1.0-1:x"]})
    said |= {"type": event.CLUSTER_STATUS, "reason": [["gnt:user", "ganeti-ext:group:4f1a"]]}
    tell(mirror, {key: value for key, value in said.items() if key != "instance"})
    assert (compared, paid) == ([], [HOME] if status == "success" else [])
    found = {one["id"]: (one["due"] < NOW + 2, one["job"]) for one in rows(engine, db.owed)}
    assert found == {"its": (due, 10), "another's": (False, 11)}
