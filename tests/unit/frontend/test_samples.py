"""Samples of nodes, taken by the consumer."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import event, insert
from sqlalchemy.engine import Engine

from frontend.database import db
from frontend.settings import Front
from frontend.update.mirror import Mirror
from ganeti_ext.event import SAMPLES, VERSION, encode
from tests.unit.frontend.conftest import COMPUTE, FakeRapi, serve
from tests.unit.frontend.test_mirror_other import rows
from tests.unit.frontend.updates import BEGIN, IDENT, NAME, op, row

NOW = BEGIN + 1000.0
OTHER = "99999999-52b4-4f0d-9d39-0a0b7c4f9c11"
NIC = ["tap0", 7, 1, 0, 0, 8, 2, 0, 0]
USED: dict[str, Any] = {
    "began": "a1",
    "cpu_ns": (1 << 63) - 1,
    "memory_kib": 4096,
    "read": 5,
    "written": 6,
    "nics": [NIC],
}


@pytest.fixture
def seen() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def mirror(engine: Engine, seen: list[tuple[str, str]]) -> Mirror:
    def told(message: Any, outcome: str) -> None:
        seen.append((message.get("type", ""), outcome))

    return Mirror(engine, "gx-", clock=lambda: NOW, seen=told)


def samples(*instances: str, at: float = 5.0, cluster: str = "c", **values: Any) -> dict[str, Any]:
    moment = [BEGIN + int(at), int(at % 1 * 1e6)]
    used = [{"instance": name, **USED, **values} for name in instances]
    common = {"type": SAMPLES, "version": VERSION, "cluster": cluster, "node": "n1", "event_time": moment}
    return {**common, "instances": used}


def add(engine: Engine, **columns: Any) -> None:
    with engine.begin() as connection:
        connection.execute(insert(db.server).values(row(**columns)))


def tell(mirror: Mirror, *told: dict[str, Any]) -> None:
    assert sum(mirror.take_all([encode(message) for message in told])) == len(told)


def kept(engine: Engine) -> list[tuple[str, float]]:
    return sorted((one["server_id"], one["at"] - BEGIN) for one in rows(engine, db.sample))


def test_what_is_known_here_is_kept_and_the_rest_is_nobodys(mirror: Mirror, engine: Engine, seen: Any) -> None:
    add(engine)
    add(engine, id=OTHER, instance="web.example.org")
    add(engine, id=OTHER[:-1] + "2", instance="gone", deleted=1.0)
    tell(mirror, samples(NAME, "web.example.org", "gone", "never.example.org", at=5.25))
    assert kept(engine) == [(IDENT, 5.25), (OTHER, 5.25)]
    assert [one for one in rows(engine, db.sample) if one["server_id"] == IDENT] == [
        {"server_id": IDENT, "at": BEGIN + 5.25, **USED}
    ]
    tell(mirror, samples("never.example.org"))
    assert (rows(engine, db.dead_letter), seen) == ([], [(SAMPLES, "applied"), (SAMPLES, "skipped")])


def test_those_of_a_node_are_one_statement_and_a_transaction(mirror: Mirror, engine: Engine) -> None:
    names = [f"gx-{number:08x}-52b4-4f0d-9d39-0a0b7c4f9c11" for number in range(50)]
    for name in names:
        add(engine, id=name.removeprefix("gx-"), instance=name)
    tell(mirror, samples("another"))  # which clusters there are is known then
    said: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *given: said.append(given[2].split()[0]))
    tell(mirror, samples(*names))
    assert said == ["SELECT", "INSERT"]
    assert len(kept(engine)) == 50


def test_one_that_comes_again_changes_nothing(mirror: Mirror, engine: Engine) -> None:
    add(engine)
    tell(mirror, samples(NAME), samples(NAME, at=65), samples(NAME, cpu_ns=1), op("STARTUP", "success", job=11))
    assert kept(engine) == [(IDENT, 5.0), (IDENT, 65.0)]
    assert {one["cpu_ns"] for one in rows(engine, db.sample)} == {USED["cpu_ns"]}
    assert len(rows(engine, db.action)) == 1


def test_a_clock_that_is_ahead_makes_no_newest_for_ever(mirror: Mirror, engine: Engine) -> None:
    add(engine)
    tell(mirror, samples(NAME, at=90_000))
    assert kept(engine) == [(IDENT, NOW - BEGIN)]


def test_clusters_may_have_instances_of_one_name(mirror: Mirror, engine: Engine) -> None:
    with engine.begin() as connection:
        for ident, name in (("", "one.example"), ("two", "two.example")):
            connection.execute(insert(db.cluster).values(id=ident, name=name, added=1.0))
    add(engine)
    add(engine, id=OTHER, cluster="two")
    tell(mirror, samples(NAME, at=5, cluster="one.example"), samples(NAME, at=6, cluster="two.example"))
    assert kept(engine) == [(IDENT, 5.0), (OTHER, 6.0)]
    tell(mirror, samples(NAME, at=7, cluster="three.example"), samples(NAME, at=8, cluster="one.example"))
    assert kept(engine) == [(IDENT, 5.0), (IDENT, 8.0), (OTHER, 6.0)]
    assert rows(engine, db.dead_letter) == []


@pytest.mark.parametrize(
    "odd",
    [
        {"cpu_ns": 1 << 63},
        {"cpu_ns": -1},
        {"memory_kib": "4096"},
        {"read": None},
        {"written": 1.5},
        {"began": 7},
        {"began": "x" * 33},
        {"nics": [["tap0", 7]]},
        {"nics": [[*NIC[:8], "0"]]},
        {"nics": [[0, *NIC[1:]]]},
        {"nics": None},
        {"nics": ["abc"]},
    ],
)
def test_what_is_none_is_laid_aside_and_others_are_not_kept_by_it(
    mirror: Mirror, engine: Engine, odd: dict[str, Any]
) -> None:
    add(engine)
    tell(mirror, samples(NAME, **odd), samples(NAME, at=65))
    assert kept(engine) == [(IDENT, 65.0)]
    assert len(rows(engine, db.dead_letter)) == 1


@pytest.mark.parametrize(
    "odd", [{"event_time": None}, {"event_time": [1.5, 0]}, {"instances": None}, {"instances": [1]}]
)
def test_a_message_of_another_shape(mirror: Mirror, engine: Engine, odd: dict[str, Any]) -> None:
    add(engine)
    tell(mirror, {**samples(NAME), **odd})
    assert (kept(engine), len(rows(engine, db.dead_letter))) == ([], 1)


def test_what_a_node_measured_is_what_the_tenant_reads(front: Front) -> None:
    api = serve(front, FakeRapi()).become("alice")
    server, now = api.server(), int(time.time())
    message = {**samples(server["instance"]), "event_time": [now - 3, 0]}
    assert list(Mirror(db.open_writer(front.database), "gx-").take_all([encode(message)])) == [1]
    found: Any = api.get(f"{COMPUTE}/servers/{server['id']}/diagnostics").json
    assert (found["tap0_rx"], found["tap0_tx"], found["cpu0_time"]) == (7, 8, USED["cpu_ns"])
