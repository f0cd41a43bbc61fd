"""Back-pressure: with too many jobs going on, what would start another is refused, and what is read is not."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from sqlalchemy import insert

from frontend.database import db
from frontend.effect import pressure
from frontend.settings import Front
from tests.unit.frontend.conftest import COMPUTE, IMAGE, SMALL, Api, FakeRapi, serve

SERVERS = f"{COMPUTE}/servers"
WISH = {"server": {"name": "web", "flavorRef": SMALL, "imageRef": IMAGE}}


def act(api: Api, number: int, **changes: Any) -> None:
    values = {
        "cluster": "c", "job": number, "op_index": 0, "operation": "OP_INSTANCE_STARTUP", "kind": "instance",
        "name": "x", "status": "running", "rank": 3, "began": 1.0, "updated": 1.0, **changes,
    }  # fmt: skip
    with api.engine.begin() as connection:
        connection.execute(insert(db.action).values(values))


@pytest.fixture
def api(front: Front, rapi: FakeRapi) -> Api:
    return serve(dataclasses.replace(front, max_jobs=3), rapi).become("alice")


def test_jobs_that_the_consumer_has_heard_of_count_until_they_end(api: Api) -> None:
    for number in range(1, 4):
        act(api, number, ended=2.0)
        act(api, number + 10)
        act(api, number + 10, op_index=1)
    assert pressure.unfinished(api.engine) == 3


def test_servers_that_are_busy_count_before_the_consumer_hears_of_them(api: Api) -> None:
    for number in range(4):
        api.server(task="spawning", status="BUILD", project_id=f"p{number}")
    api.server(task="deleting", deleted=3.0)
    api.server()
    assert pressure.unfinished(api.engine) == 4


def test_the_one_too_many_is_refused_for_a_while(api: Api) -> None:
    own = api.server(status="SHUTOFF")["id"]
    for number in (1, 2):
        act(api, number)
    assert api.call("POST", f"{SERVERS}/{own}/action", json={"os-start": None}).status_code == 202
    api.change(own, status="SHUTOFF", task=None)
    act(api, 3)
    for method, url, body in (
        ("POST", SERVERS, WISH),
        ("POST", f"{SERVERS}/{own}/action", {"os-start": None}),
        ("DELETE", f"{SERVERS}/{own}", None),
    ):
        answer = api.call(method, url, json=body)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
        assert list(answer.json or {}) == ["serviceUnavailable"]
        assert "max_jobs" not in answer.text
    assert len(api.rapi.calls) == 1
    assert (api.row(own)["task"], api.owed(), len(api.rows())) == (None, [], 1)
    assert api.get(f"{SERVERS}/{own}").status_code == 200


def test_it_goes_on_once_one_has_ended(api: Api) -> None:
    for number in (1, 2, 3):
        act(api, number)
    assert api.call("POST", SERVERS, json=WISH).status_code == 503
    with api.engine.begin() as connection:
        connection.execute(db.action.update().where(db.action.c.job == 2).values(ended=5.0))
    assert api.call("POST", SERVERS, json=WISH).status_code == 202


def test_no_limit(front: Front, rapi: FakeRapi) -> None:
    api = serve(dataclasses.replace(front, max_jobs=0), rapi).become("alice")
    for number in range(5):
        act(api, number)
    assert api.call("POST", SERVERS, json=WISH).status_code == 202
