"""Volumes given from one project to another."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from frontend.database import db
from frontend.settings import Front, Quota, Settings
from frontend.volume import volumeeffect
from ganeti_ext import tags
from ganeti_ext.errors import RapiUnavailable
from tests.unit.frontend.admins import administrator
from tests.unit.frontend.conftest import BOB, FOREIGN, MINE, Api, FakeRapi, serve
from tests.unit.frontend.volumes import THEIRS, VOLUMES, add, attached, ident, message, row, shown, snapshot

NAMES = ("os-volume-transfer", "volume-transfers")


def offer(api: Api, key: str, expect: int = 202, name: str = NAMES[0]) -> Any:
    answer = api.call("POST", f"{VOLUMES}/{name}", json={"transfer": {"volume_id": key, "name": "gift"}})
    assert answer.status_code == expect, answer.text
    return answer.json["transfer"] if expect == 202 else message(answer.json)  # type: ignore[index]


def take(api: Api, transfer: str, auth_key: str, url: str = THEIRS, name: str = NAMES[0]) -> Any:
    return api.call("POST", f"{url}/{name}/{transfer}/accept", json={"accept": {"auth_key": auth_key}})


@pytest.fixture
def bob(nobody: Api) -> Api:
    return nobody.become("bob", "foreign")


@pytest.mark.parametrize("name", NAMES)
def test_a_volume_changes_hands(api: Api, bob: Api, name: str) -> None:
    key = add(api)
    found = offer(api, key, name=name)
    assert set(found) == {"id", "volume_id", "name", "created_at", "links", "auth_key"}
    assert shown(api, key)["status"] == "awaiting-transfer"
    kept = {each: value for each, value in found.items() if each != "auth_key"}
    assert api.get(f"{VOLUMES}/{name}/{found['id']}").json == {"transfer": kept}
    assert api.get(f"{VOLUMES}/{name}/detail").json == {"transfers": [kept]}
    (short,) = api.get(f"{VOLUMES}/{name}").json["transfers"]  # type: ignore[index]
    assert set(short) == {"id", "volume_id", "name", "links"}
    answer = take(bob, found["id"], found["auth_key"], name=name)
    assert answer.status_code == 202, answer.text
    assert set(answer.json["transfer"]) == {"id", "volume_id", "name", "links"}
    assert api.get(f"{VOLUMES}/volumes/{key}").status_code == 404
    volume = bob.get(f"{THEIRS}/volumes/{key}").json["volume"]  # type: ignore[index]
    assert (volume["status"], volume["user_id"]) == ("available", BOB)
    assert volume["os-vol-tenant-attr:tenant_id"] == FOREIGN
    told = tags.decode(tag for method, _, _, query in api.rapi.calls if method == "PUT" for tag in query["tag"])
    assert (told["project"], told["user"]) == (FOREIGN, BOB)
    assert bob.get(f"{THEIRS}/{name}").json == {"transfers": []}
    assert take(bob, found["id"], found["auth_key"]).status_code == 404


def test_the_key_is_kept_nowhere(api: Api) -> None:
    found = offer(api, add(api))
    with api.engine.connect() as connection:
        (kept,) = db.rows(connection, select(db.volume_transfer))
    assert found["auth_key"] not in str(kept)
    assert len(found["auth_key"]) == 32


def test_with_a_wrong_key_there_is_no_such_transfer(api: Api, bob: Api) -> None:
    key = add(api)
    found = offer(api, key)
    for wrong in ("x", found["auth_key"][:-1], found["auth_key"].upper() + "0"):
        answer = take(bob, found["id"], wrong)
        assert answer.status_code == 404
        assert answer.text == take(bob, ident(9), wrong).text.replace(ident(9), found["id"])
    for method, tail in (("GET", ""), ("DELETE", "")):
        assert bob.call(method, f"{THEIRS}/{NAMES[0]}/{found['id']}{tail}").status_code == 404
    assert bob.get(f"{THEIRS}/{NAMES[0]}/detail").json == {"transfers": []}
    assert shown(api, key)["status"] == "awaiting-transfer"
    assert api.rapi.calls == []


def test_it_is_taken_back(api: Api) -> None:
    key = add(api)
    found = offer(api, key)
    assert api.call("DELETE", f"{VOLUMES}/{NAMES[0]}/{found['id']}").status_code == 202
    assert shown(api, key)["status"] == "available"
    assert api.get(f"{VOLUMES}/{NAMES[0]}").json == {"transfers": []}
    offer(api, key)


def test_what_cannot_be_offered(api: Api, bob: Api) -> None:
    assert "in-use" in offer(api, attached(api), 400)
    assert ident(9) in offer(api, ident(9), 404)
    assert ident(2) in offer(api, add(api, 2, project_id=FOREIGN), 404)
    key = add(api, 3)
    snapshot(api, key)
    assert "snapshots" in offer(api, key, 400)
    assert shown(api, key)["status"] == "available"
    twice = add(api, 4)
    offer(api, twice)
    assert "awaiting-transfer" in offer(api, twice, 400)
    assert bob.call("POST", f"{THEIRS}/{NAMES[0]}", json={"transfer": {"volume_id": twice}}).status_code == 404


def test_who_takes_it_needs_room(front: Front, rapi: FakeRapi) -> None:
    nobody = serve(front, rapi, Settings(front=front, quota=Quota(volumes=1)))
    api, bob = nobody.become("alice"), nobody.become("bob", "foreign")
    found = offer(api, add(api))
    add(api, 2, project_id=FOREIGN)
    assert take(bob, found["id"], found["auth_key"]).status_code == 413
    assert shown(api, ident(1))["status"] == "awaiting-transfer"
    assert api.get(f"{VOLUMES}/{NAMES[0]}/{found['id']}").status_code == 200


def test_it_counts_as_his_who_takes_it_before_ganeti_is_asked(
    api: Api, bob: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = offer(api, add(api))
    change, owners = volumeeffect.change, []

    def asked(volume: dict[str, Any], *facts: Any) -> list[int]:
        owners.append(row(api, ident(1))["project_id"])
        return change(volume, *facts)

    monkeypatch.setattr(volumeeffect, "change", asked)
    assert take(bob, found["id"], found["auth_key"]).status_code == 202
    assert owners == [FOREIGN]


def test_what_ganeti_does_not_take_stays_offered(api: Api, bob: Api) -> None:
    found = offer(api, add(api))
    api.rapi.fails = RapiUnavailable("away")
    assert take(bob, found["id"], found["auth_key"]).status_code == 503
    assert row(api, ident(1))["project_id"] == MINE
    assert shown(api, ident(1))["status"] == "awaiting-transfer"
    api.rapi.fails = None
    assert take(bob, found["id"], found["auth_key"]).status_code == 202


def test_an_administrator_sees_all(api: Api, nobody: Api) -> None:
    found, adam = offer(api, add(api)), administrator(nobody)
    with api.engine.begin() as connection:
        connection.execute(db.volume_transfer.update().values(project_id=FOREIGN))
    assert api.get(f"{VOLUMES}/{NAMES[0]}?all_tenants=1").json == {"transfers": []}
    assert adam.get(f"{VOLUMES}/{NAMES[0]}").json == {"transfers": []}
    (listed,) = adam.get(f"{VOLUMES}/{NAMES[0]}?all_tenants=1").json["transfers"]  # type: ignore[index]
    assert listed["id"] == found["id"]
    assert adam.call("DELETE", f"{VOLUMES}/{NAMES[0]}/{found['id']}").status_code == 202
