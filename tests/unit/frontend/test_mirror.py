"""Messages of the update path, written into rows."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from frontend.database import db
from frontend.update.mirror import Mirror
from ganeti_ext import event
from tests.unit.frontend import updates
from tests.unit.frontend.updates import BEGIN, create, network, network_data, op, read, row

NOW = BEGIN + 1000.0


@pytest.fixture
def mirror(engine: Engine) -> Mirror:
    return Mirror(engine, "gx-", clock=lambda: NOW)


def rows(engine: Engine, table: Any) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return db.rows(connection, select(table))


def add(engine: Engine, **columns: Any) -> None:
    with engine.begin() as connection:
        connection.execute(insert(db.server).values(row(**columns)))


def tell(mirror: Mirror, *messages: dict[str, Any]) -> None:
    for message in messages:
        mirror.take(event.encode(message))


def test_a_create_from_the_api_to_the_end(mirror: Mirror, engine: Engine) -> None:
    add(engine)
    tell(mirror, create("queued"), create("running", at=1), create("success", at=5, **read(True, at=6)))
    found = rows(engine, db.server)[0]
    assert (found["status"], found["task"], found["host"]) == ("ACTIVE", None, "n1")
    assert (found["nics"], found["updated"]) == ([updates.SHOWN_NIC], NOW)


def test_a_change_that_nobody_sees_is_no_update(mirror: Mirror, engine: Engine) -> None:
    add(engine, status="ACTIVE", power="ACTIVE", task=None, job=9)
    tell(mirror, op("STARTUP", "success", job=11, at=5))
    found = rows(engine, db.server)[0]
    assert (found["job"], found["updated"]) == (11, BEGIN)


@pytest.mark.parametrize("status", ["queued", "success"])
def test_a_create_without_a_row_makes_one_from_its_tags(mirror: Mirror, engine: Engine, status: str) -> None:
    tell(mirror, create(status, at=5))
    found = rows(engine, db.server)[0]
    assert found["id"] == updates.IDENT
    assert found["name"] == "Größe 1"
    assert [found[f"{name}_id"] for name in ("project", "user", "flavor", "image")] == [
        *(updates.PROJECT, updates.USER, "f1", "i1"),
    ]
    assert (found["vcpus"], found["ram"], found["disk"], found["created"]) == (2, 512, 3, BEGIN + 5)
    assert found["status"] == ("BUILD" if status == "queued" else "ACTIVE")


def test_a_row_from_tags_has_the_size_of_its_flavor(mirror: Mirror, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(insert(db.flavor).values(id="f1", name="f", vcpus=7, ram=99, disk=11))
    tell(mirror, create("queued"))
    found = rows(engine, db.server)[0]
    assert (found["vcpus"], found["ram"], found["disk"]) == (7, 99, 11)


def test_tags_may_come_from_ganeti_instead_of_the_job(mirror: Mirror, engine: Engine) -> None:
    tags = create("success")["job_fields"]["tags"]
    tell(mirror, create("success", at=5, job_fields={}, **read(True, at=6, tags=tags)))
    assert rows(engine, db.server)[0]["project_id"] == updates.PROJECT


@pytest.mark.parametrize(
    "other",
    [
        {"instance": "web.example.com"},
        {"instance": "gx-not-a-uuid"},
        {"job_fields": {"tags": ["somebody:else"]}},
        {"operation": "OP_INSTANCE_STARTUP"},
        {"job_fields": {**create("success")["job_fields"], "dry_run": True}},
    ],
)
def test_what_is_not_ours_is_ignored(mirror: Mirror, engine: Engine, other: dict[str, Any]) -> None:
    tell(mirror, {**create("success"), **other})
    assert rows(engine, db.server) == []
    assert rows(engine, db.dead_letter) == []


def test_a_rehearsal_changes_nothing(mirror: Mirror, engine: Engine) -> None:
    add(engine)
    tell(mirror, op("REMOVE", "success", job=11, at=5, job_fields={"dry_run": True}))
    assert rows(engine, db.server)[0]["deleted"] is None


def test_a_failed_removal_is_none(mirror: Mirror, engine: Engine) -> None:
    add(engine, status="ACTIVE", power="ACTIVE", task="deleting", job=11)
    tell(mirror, op("REMOVE", "error", job=11, at=5, result="node is down"))
    found = rows(engine, db.server)[0]
    assert (found["status"], found["task"], found["deleted"]) == ("ACTIVE", None, None)


def test_a_renamed_instance_is_followed(mirror: Mirror, engine: Engine) -> None:
    add(engine)
    tell(mirror, create("success", at=1), op("RENAME", "success", job=11, at=5, result="web"))
    tell(mirror, op("REMOVE", "success", job=12, at=9, instance="web"))
    found = rows(engine, db.server)
    assert [(one["instance"], one["deleted"]) for one in found] == [("web", BEGIN + 9)]


def test_a_hooks_note_says_nothing_of_a_server(mirror: Mirror, engine: Engine) -> None:
    add(engine)
    before = rows(engine, db.server)
    tell(mirror, updates.note("n2", "n2", at=5))
    assert (rows(engine, db.server), rows(engine, db.dead_letter)) == (before, [])


BAD: dict[str, str | bytes] = {
    "no JSON": "{",
    "not UTF-8": b"\xff\xfe\x00",
    "another version": json.dumps({**create("success"), "version": 99}),
    "no type": "[]",
    "no order": json.dumps({k: v for k, v in create("success").items() if k != "order"}),
    "an order of words": json.dumps({**create("success"), "order": ["a", "b", "c", "d", "e"]}),
    "a British status": json.dumps({**create("success"), "status": "cancelled"}),
    "a number for a name": json.dumps({**create("success"), "instance": 5}),
    "a state that is a list": json.dumps({**create("success"), "instance_state": [1], "read_at": [1, 2]}),
    "a reading without a time": json.dumps({**create("success"), "instance_state": {"oper_state": True}}),
    "a host that is an object": json.dumps({**create("success"), **read(True, at=1, host={"a": 1})}),  # type: ignore[arg-type]
    "half a character": '{"type": "ganeti-op-status", "version": 1, "x": "\\ud800"}',
    "very deep": "[" * 100_000,
    "a network without a UUID": json.dumps(network("ADD", "success", 1, network_data={"name": "a"}, read_at=[1, 2])),
    "a time that is no list": json.dumps(network("ADD", "success", 1, **{**network_data(2), "read_at": 1})),
}


@pytest.mark.parametrize("what", BAD)
def test_a_message_that_cannot_be_understood_is_laid_aside_once(
    mirror: Mirror, engine: Engine, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    add(engine)
    before = rows(engine, db.server)
    mirror.take(BAD[what])
    mirror.take(BAD[what])
    found = rows(engine, db.dead_letter)
    assert len(found) == 1
    assert found[0]["reason"]
    assert found[0]["time"] == NOW
    assert rows(engine, db.server) == before
    assert "message laid aside" in caplog.text


NETWORK_HISTORY = (
    network("ADD", "success", 1, job=11, **network_data(2)),
    network("SET_PARAMS", "error", 3, job=12),
    network("SET_PARAMS", "success", 4, job=13, **network_data(5, gateway="10.0.0.254", subnet6="2001:db8::/64")),
    network("REMOVE", "success", 6, job=14),
    network("ADD", "success", 8, job=15, **network_data(9, uuid="u-blue-2")),
)


@pytest.mark.parametrize("length", range(1, 6))
def test_networks_in_any_order(engine: Engine, mirror: Mirror, length: int) -> None:
    ends = []
    for order in itertools.permutations(NETWORK_HISTORY[:length]):
        tell(mirror, *order, order[0])
        ends.append(rows(engine, db.network))
        with engine.begin() as connection:
            for table in (db.network, db.removed_network, db.action):
                connection.execute(delete(table))
    assert all(end == ends[0] for end in ends)
    assert [net["id"] for net in ends[0]] == {4: [], 5: ["u-blue-2"]}.get(length, ["u-blue"])
    if length == 3:
        assert ends[0][0]["gateway"] == "10.0.0.254"


def test_ipv6_address_from_the_networks_subnet(mirror: Mirror, engine: Engine) -> None:
    tell(mirror, network("ADD", "success", 1, **network_data(2, subnet6="2001:db8::/64")))
    tell(mirror, create("success", at=5, **read(True, at=6)))
    assert rows(engine, db.server)[0]["nics"][0]["ip6"] == "2001:db8::a800:ff:fe12:3456"


def test_a_locked_database_is_down_and_no_bad_message(engine: Engine, tmp_path: Path) -> None:
    other = db.connect_writer(f"sqlite:///{tmp_path}/front.db")
    mirror = Mirror(other, "gx-")
    with other.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=1")
    with engine.begin() as holder:
        holder.execute(select(db.server))
        with pytest.raises(OperationalError, match="locked"):
            mirror.take(event.encode(create("queued")))
    mirror.take(event.encode(create("queued")))
    assert (len(rows(engine, db.server)), rows(engine, db.dead_letter)) == (1, [])
    other.dispose()
