"""POST /servers with counts: all or none, as far as the quota and Ganeti let them be made."""

from __future__ import annotations

from typing import Any

import pytest

from frontend.quota import reserved
from ganeti_ext import seed, tags
from ganeti_ext.errors import RapiError
from tests.unit.frontend.conftest import MINE, NET, SMALL, Api
from tests.unit.frontend.test_api_create import SERVERS, refused, wish


def made(api: Api, **asked: Any) -> Any:
    answer = api.call("POST", SERVERS, json=wish(**asked))
    assert answer.status_code == 202, answer.text
    return answer.json


def test_each_has_a_name_a_job_and_a_seed_of_its_own(api: Api) -> None:
    shown = made(api, min_count=2, max_count=3, metadata={"a": "b"})["server"]
    rows = api.rows()
    assert shown["id"] == rows[0]["id"]
    assert [row["name"] for row in rows] == ["web-1", "web-2", "web-3"]
    assert [row["job"] for row in rows] == [101, 102, 103]
    bodies = [body for _, _, body, _ in api.rapi.calls]
    assert [tags.decode(body["tags"])["server"] for body in bodies] == [row["id"] for row in rows]
    seeds = [seed.decode(body["osparams_secret"]["seed"]) for body in bodies]
    assert [(each["id"], each["host"]) for each in seeds] == [(row["id"], row["name"]) for row in rows]
    assert {each["password"] for each in seeds} == {shown["adminPass"]}
    assert len({each["key"] for each in seeds}) == 3
    assert {row["metadata"]["a"] for row in rows} == {"b"}


def test_one_keeps_its_plain_name(api: Api) -> None:
    made(api, min_count=1, max_count=1)
    assert [row["name"] for row in api.rows()] == ["web"]


def test_as_many_as_the_quota_lets_and_at_least_what_was_asked_for(api: Api) -> None:
    api.server()
    made(api, min_count="1", max_count="9")  # of 3 servers that the project may have
    assert [row["name"] for row in api.rows()[1:]] == ["web-1", "web-2"]


def test_none_when_the_quota_lets_too_few(api: Api) -> None:
    assert refused(api, wish(min_count=4), 403) == "Quota exceeded for instances: Requested 4, but already used 0 of 3"


def test_reservation(api: Api) -> None:
    shown = made(api, min_count=2, return_reservation_id=True)
    assert set(shown) == {"reservation_id"}
    assert shown["reservation_id"].startswith("r-")
    assert {row["facts"]["reservation"] for row in api.rows()} == {shown["reservation_id"]}
    assert len(api.rows()) == 2


def limit(api: Api, count: int) -> None:
    """Ganeti takes so many creates."""

    def submitted(job: int) -> None:
        if job == 100 + count:
            api.rapi.fails = RapiError("RAPI POST /2/instances: queue full", 429)

    api.rapi.on_submit = submitted


def test_ganeti_takes_fewer_than_can_be(api: Api) -> None:
    limit(api, 2)
    made(api, min_count=2, max_count=3)
    assert [row["name"] for row in api.rows()] == ["web-1", "web-2"]
    assert [row["status"] for row in api.rows()] == ["BUILD"] * 2
    assert len(api.owed()) == 2


def test_ganeti_takes_fewer_than_must_be_and_those_go_again(api: Api) -> None:
    limit(api, 2)
    answer = api.call("POST", SERVERS, json=wish(min_count=3))
    assert answer.status_code == 503
    rows = api.rows()
    assert [row["task"] for row in rows] == ["deleting"] * 2
    owed = {(each["server_id"], each["what"]) for each in api.owed()}
    assert {(row["id"], "remove") for row in rows} <= owed
    api.rapi.fails = None
    assert api.get(f"{SERVERS}/{rows[0]['id']}").json["server"]["OS-EXT-STS:task_state"] == "deleting"  # type: ignore[index]


@pytest.mark.parametrize(("least", "what"), [(1, "create"), (3, "remove")])
def test_nothing_stays_of_those_that_ganeti_was_not_asked_for(api: Api, least: int, what: str) -> None:
    limit(api, 1)
    api.call("POST", SERVERS, json=wish(min_count=least, max_count=3))
    (row,) = api.rows()
    assert [(each["server_id"], each["what"]) for each in api.owed()] == [(row["id"], what)]
    with api.engine.connect() as connection:
        assert [each["id"] for each in reserved.of(connection, MINE)] == [row["id"]]


@pytest.mark.parametrize("asked", [{"networks": [{"uuid": NET}]}, {"flavorRef": SMALL}])
def test_what_else_is_asked_holds_for_all(api: Api, asked: dict[str, Any]) -> None:
    made(api, min_count=2, **asked)
    first, second = (body for _, _, body, _ in api.rapi.calls)
    same = ("nics", "beparams", "os_type")
    assert [first[key] for key in same] == [second[key] for key in same]
