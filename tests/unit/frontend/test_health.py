"""Whether the update path is alive: judged by part, and told to whoever asks."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete, insert, text

from frontend.database import db
from frontend.settings import Reconcile, Settings
from frontend.update import health
from tests.unit.frontend.conftest import Api

NOW = 1_700_000_000.0
WELL: dict[str, Any] = {
    "beat": {"time": NOW - 5, "last_event": NOW - 100, "waiting": 3},
    "comparison": {"time": NOW - 200, "found": {"power": 2, "host": 1}, "mended": 3, "error": None},
    "probe": {"sent": NOW - 50, "received": NOW - 49.5, "came": NOW - 49.5},
}


def judged(part: str, **more: Any) -> health.Part:
    return health.judge({**WELL, **more}, Settings(), NOW)[part]


def test_all_is_well() -> None:
    parts = health.judge(WELL, Settings(), NOW)
    assert list(parts) == ["consumer", "events", "broker", "comparison", "probe", "clusters"]
    assert health.healthy(parts)
    told = health.report(parts)
    assert told["healthy"] is True
    assert told["parts"]["broker"] == {"ok": True, "about": "3 messages wait for the consumer", "waiting": 3}
    assert (told["parts"]["probe"]["took"], told["parts"]["comparison"]["found"]) == (0.5, 3)


@pytest.mark.parametrize(
    ("part", "more", "about"),
    [
        ("consumer", {"beat": None}, "has never given a sign of life"),
        ("consumer", {"beat": {**WELL["beat"], "time": NOW - 61}}, "61 s ago"),
        ("broker", {"beat": {**WELL["beat"], "waiting": 1001}}, "1001 messages wait"),
        ("comparison", {"comparison": {**WELL["comparison"], "error": "RAPI secret.example: refused"}}, "failed"),
        ("comparison", {"comparison": {**WELL["comparison"], "time": NOW - 901}}, "901 s ago"),
        ("probe", {"probe": {"sent": NOW - 31, "received": None, "came": None}}, "has not come back"),
        ("probe", {"probe": {"sent": NOW - 31, "received": None, "came": NOW - 32}}, "has not come back"),
    ],
)
def test_what_is_bad(part: str, more: Any, about: str) -> None:
    found = judged(part, **more)
    assert not found.ok
    assert about in found.about
    assert "secret" not in found.about


@pytest.mark.parametrize(
    ("part", "more"),
    [
        ("consumer", {"beat": {**WELL["beat"], "time": NOW - 60}}),
        ("broker", {"beat": {**WELL["beat"], "waiting": 1000}}),
        ("broker", {"beat": {**WELL["beat"], "waiting": None}}),
        ("events", {"beat": {**WELL["beat"], "last_event": None}}),
        ("events", {"beat": {**WELL["beat"], "last_event": NOW + 3600}}),
        ("comparison", {"comparison": None}),
        ("comparison", {"comparison": {**WELL["comparison"], "time": NOW - 899}}),
        ("probe", {"probe": None}),
        ("probe", {"probe": {"sent": NOW - 29, "received": None, "came": None}}),
        ("probe", {"probe": {"sent": NOW - 31, "received": None, "came": NOW - 1}}),
    ],
)
def test_what_is_not_bad(part: str, more: Any) -> None:
    assert judged(part, **more).ok


def test_no_timer_no_lateness() -> None:
    late = {**WELL, "comparison": {**WELL["comparison"], "time": NOW - 1e6}}
    assert health.judge(late, replace(Settings(), reconcile=Reconcile(seconds=0)), NOW)["comparison"].ok


def put(api: Api, **more: Any) -> None:
    now = time.time()
    row = {"name": "front", "time": now, "last_event": now - 1, "waiting": 0, "applied": 9, **more}
    with api.engine.begin() as connection:
        connection.execute(delete(db.beat))
        connection.execute(insert(db.beat).values(row))


def ask(api: Api) -> Any:
    api.client.application.extensions.pop("ganeti-ext-health", None)
    return api.client.get("/health")


def test_the_endpoint_needs_no_token(nobody: Api) -> None:
    put(nobody)
    answer = ask(nobody)
    assert answer.status_code == 200
    parts = answer.json["parts"]
    assert answer.json["healthy"] is True
    assert list(parts) == ["database", "schema", "consumer", "events", "broker", "comparison", "probe", "clusters"]
    assert parts["consumer"]["age"] < 5


def test_the_endpoint_says_503_when_a_part_is_bad(nobody: Api) -> None:
    put(nobody, time=time.time() - 3600)
    answer = ask(nobody)
    assert (answer.status_code, answer.json["healthy"]) == (503, False)
    assert [name for name, part in answer.json["parts"].items() if not part["ok"]] == ["consumer"]


def test_a_probe_of_many_that_came_is_enough(nobody: Api) -> None:
    put(nobody)
    now = time.time()
    with nobody.engine.begin() as connection:
        connection.execute(insert(db.probe).values(id="a", sent=now - 100, received=None))
    assert ask(nobody).status_code == 503
    with nobody.engine.begin() as connection:
        connection.execute(insert(db.probe).values(id="b", sent=now - 200, received=now - 90))
    assert ask(nobody).status_code == 200


@pytest.mark.parametrize(("parts", "code"), [("database,schema", 200), ("schema,consumer", 503), ("consumer", 503)])
def test_some_parts_alone(nobody: Api, parts: str, code: int) -> None:
    put(nobody, time=0)
    ask(nobody)
    answer = nobody.client.get(f"/health?parts={parts}")
    assert (answer.status_code, list(answer.json["parts"])) == (code, parts.split(","))  # type: ignore[index]


def test_a_part_that_there_is_not(nobody: Api) -> None:
    answer = nobody.client.get("/health?parts=database,moon")
    assert answer.status_code == 400
    assert "'moon'; there are database, schema" in answer.text


def test_many_who_ask_at_once_cost_one_look(nobody: Api) -> None:
    put(nobody)
    assert ask(nobody).status_code == 200
    put(nobody, time=0)
    assert nobody.client.get("/health").status_code == 200
    assert ask(nobody).status_code == 503


def test_a_database_that_does_not_answer_or_is_another_programs(nobody: Api) -> None:
    with nobody.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    answer = ask(nobody)
    assert answer.status_code == 503
    assert "9999" in answer.json["parts"]["schema"]["about"]
    asked = nobody.client.get("/health?parts=database,consumer")
    assert (asked.status_code, asked.json["parts"]["consumer"]["ok"]) == (503, False)  # type: ignore[index]
    engine = db.open_engine("postgresql+psycopg2://front:Passw0rd@127.0.0.1:1/none")
    pytest.importorskip("psycopg2")
    parts = health.examine(engine, Settings())
    assert parts == {"database": health.Part(False, "does not answer")}
