"""Snapshots of volumes: made, told of, shown and removed."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import insert, update

from frontend.database import db
from frontend.database.vault import Vault
from frontend.effect.payer import Payer
from ganeti_ext.errors import RapiUnavailable
from tests.unit.frontend.admins import administrator
from tests.unit.frontend.conftest import FOREIGN, MINE, Api
from tests.unit.frontend.storage import BLOCK, VOLUME, attached, hear, snapshots, tags, volume

SNAPSHOTS = f"{BLOCK}/snapshots"
OTHER = "0aaa0000-0000-4000-8000-00000000000b"


def make(api: Api, **body: Any) -> dict[str, Any]:
    answer = api.call("POST", SNAPSHOTS, json={"snapshot": {"volume_id": VOLUME, **body}})
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json["snapshot"]  # type: ignore[index]
    return found


def made(api: Api, **body: Any) -> str:
    """One that is available."""
    ident = str(make(api, **body)["id"])
    hear(api, ident, "success", "snapshot-volume")
    api.rapi.calls.clear()
    return ident


def shown(api: Api, ident: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"{SNAPSHOTS}/{ident}").json["snapshot"]  # type: ignore[index]
    return found


def test_a_hook_makes_it_on_the_holder(api: Api) -> None:
    row = volume(api)
    told = make(api, name="before", description="the update", metadata={"a": "b"})
    wanted = {"volume_id": VOLUME, "size": 2, "name": "before", "description": "the update", "metadata": {"a": "b"}}
    assert {key: told[key] for key in wanted} == wanted
    assert told["status"] == "creating"
    assert tags(api) == [f"ganeti-ext:saving:cow:{told['id']}:vol-{VOLUME}"]
    assert [call[1] for call in api.rapi.calls] == [f"instances/{row['instance']}/{end}" for end in
                                                    ("tags", "modify", "tags")]  # fmt: skip
    assert {call[3]["reason"] for call in api.rapi.calls} == {f"ganeti-ext:snapshot-volume:{told['id']}"}
    for status, after in (("running", "creating"), ("success", "available"), ("error", "available")):
        hear(api, told["id"], status, "snapshot-volume")
        assert shown(api, told["id"])["status"] == after
    assert shown(api, told["id"])["os-extended-snapshot-attributes:progress"] == "100%"


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"status": "error", "result": "node7: no room"}, "no room"),
        ({"status": "success", "logmsg": "Communication failure to node n1: timeout"}, "Communication failure"),
    ],
)
def test_what_failed_can_be_deleted(api: Api, told: dict[str, Any], why: str) -> None:
    volume(api)
    ident = make(api)["id"]
    hear(api, ident, kind="snapshot-volume", **told)
    assert shown(api, ident)["status"] == "error"
    assert "node7" not in api.get(f"{SNAPSHOTS}/{ident}").text
    (row,) = snapshots(api)
    assert why in row["fault"]
    assert api.call("DELETE", f"{SNAPSHOTS}/{ident}").status_code == 202


def test_of_a_volume_that_a_server_has(api: Api) -> None:
    row = attached(api, VOLUME)
    volume(api, type="rbd:fast", server_id=row["id"], held=False, device="/dev/vdc", attached=time.time())
    refused = api.call("POST", SNAPSHOTS, json={"snapshot": {"volume_id": VOLUME}})
    assert (refused.status_code, api.rapi.calls) == (400, [])
    assert "status must be available to snapshot, but current status is: in-use" in refused.text
    ident = make(api, force=True)["id"]
    assert tags(api) == [f"ganeti-ext:saving:rbd/fast:{ident}:vol-{VOLUME}"]
    assert api.rapi.calls[1][1] == f"instances/{row['instance']}/modify"


@pytest.mark.parametrize("changes", [{"status": "deleting", "task": "deleting"}, {"project_id": FOREIGN}])
def test_not_of_a_volume_in_another_state_or_of_another_project(api: Api, changes: dict[str, Any]) -> None:
    volume(api, **changes)
    answer = api.call("POST", SNAPSHOTS, json={"snapshot": {"volume_id": VOLUME, "force": True}})
    assert answer.status_code == (404 if "project_id" in changes else 400)
    assert (snapshots(api), api.rapi.calls) == ([], [])


@pytest.mark.parametrize(
    "body", [{}, {"snapshot": {}}, {"snapshot": {"volume_id": VOLUME, "name": "x" * 256}},
             {"snapshot": {"volume_id": VOLUME, "metadata": {"a": 1}}},
             {"snapshot": {"volume_id": VOLUME, "force": "perhaps"}}]
)  # fmt: skip
def test_a_body_that_is_wrong(api: Api, body: Any) -> None:
    volume(api)
    assert api.call("POST", SNAPSHOTS, json=body).status_code == 400
    assert api.rapi.calls == []


def test_no_volume_is_one_that_there_is_not(api: Api) -> None:
    assert api.call("POST", SNAPSHOTS, json={"snapshot": {"volume_id": None}}).status_code == 404


def test_none_when_ganeti_is_away(api: Api) -> None:
    volume(api)
    api.rapi.fails = RapiUnavailable("RAPI: down")
    assert api.call("POST", SNAPSHOTS, json={"snapshot": {"volume_id": VOLUME}}).status_code == 503
    assert snapshots(api) == []


@pytest.mark.parametrize("quota", [{"max_snapshots": 1}, {"max_gigabytes": 5}])
def test_no_more_than_the_quota(api: Api, quota: dict[str, int]) -> None:
    volume(api)
    with api.engine.begin() as connection:
        connection.execute(update(db.project).where(db.project.c.id == MINE).values(quota))
    made(api)
    answer = api.call("POST", SNAPSHOTS, json={"snapshot": {"volume_id": VOLUME}})
    assert (answer.status_code, len(snapshots(api))) == (413, 1)


def test_deleted(api: Api) -> None:
    row = volume(api, type="rbd:fast")
    ident = made(api)
    assert api.call("DELETE", f"{SNAPSHOTS}/{ident}").status_code == 202
    assert tags(api) == [f"ganeti-ext:forget:rbd/fast:{ident}"]
    assert api.rapi.calls[0][1] == f"instances/{row['instance']}/tags"
    assert shown(api, ident)["status"] == "deleting"
    assert api.call("DELETE", f"{SNAPSHOTS}/{ident}").status_code == 400
    hear(api, ident, "error", "forget", result="n1 is gone")
    assert shown(api, ident)["status"] == "error_deleting"
    assert api.call("DELETE", f"{SNAPSHOTS}/{ident}").status_code == 202
    hear(api, ident, "success", "forget")
    assert api.get(f"{SNAPSHOTS}/{ident}").status_code == 404


def test_one_whose_volume_is_gone_goes_by_another_instance(api: Api) -> None:
    volume(api)
    ident = made(api)
    with api.engine.begin() as connection:
        connection.execute(update(db.volume).values(deleted=time.time()))
    assert api.call("DELETE", f"{SNAPSHOTS}/{ident}").status_code == 202
    assert (api.rapi.calls, shown(api, ident)["status"]) == ([], "deleting")
    server = api.server(status="SHUTOFF")
    with api.engine.begin() as connection:
        connection.execute(update(db.volume_snapshot).values(updated=1.0))
    Payer(api.engine, api.rapi, Vault("v" * 40)).work()
    assert api.rapi.calls[0][1] == f"instances/{server['instance']}/tags"
    assert tags(api) == [f"ganeti-ext:forget:cow:{ident}"]


@pytest.mark.parametrize("status", ["in-use", "error"])
def test_a_holder_without_its_disk_carries_nothing(api: Api, status: str) -> None:
    volume(api)
    ident = made(api)
    row = attached(api, VOLUME, status="ACTIVE")
    with api.engine.begin() as connection:
        connection.execute(update(db.volume).values(held=False, server_id=row["id"], status=status))
    api.call("DELETE", f"{SNAPSHOTS}/{ident}")
    assert api.rapi.calls[0][1] == f"instances/{row['instance']}/tags"


def test_changed(api: Api) -> None:
    volume(api)
    ident = made(api, name="one", metadata={"a": "1"})
    answer = api.call("PUT", f"{SNAPSHOTS}/{ident}", json={"snapshot": {"name": "two", "description": "d"}})
    assert (answer.json["snapshot"]["name"], shown(api, ident)["description"]) == ("two", "d")  # type: ignore[index]
    assert api.call("PUT", f"{SNAPSHOTS}/{ident}", json={"snapshot": {}}).status_code == 400
    path = f"{SNAPSHOTS}/{ident}/metadata"
    assert api.call("POST", path, json={"metadata": {"b": "2"}}).json == {"metadata": {"a": "1", "b": "2"}}
    assert api.call("PUT", f"{path}/b", json={"meta": {"b": "3"}}).json == {"meta": {"b": "3"}}
    assert api.call("PUT", f"{path}/b", json={"meta": {"c": "3"}}).status_code == 400
    assert api.get(f"{path}/b").json == {"meta": {"b": "3"}}
    assert api.call("DELETE", f"{path}/a").status_code == 200
    assert api.get(f"{path}/a").status_code == 404
    assert api.get(path).json == {"metadata": {"b": "3"}}
    assert api.call("PUT", path, json={"metadata": {"c": "4"}}).json == {"metadata": {"c": "4"}}


def row_of(number: int, **columns: Any) -> dict[str, Any]:
    known = {"id": f"0bbb0000-0000-4000-8000-{number:012x}", "volume_id": VOLUME, "project_id": MINE, "user_id": "u",
             "name": f"s{number}", "size": number, "status": "available", "provider": "cow", "created": 1000.0 + number,
             "updated": 1.0}  # fmt: skip
    return {**known, **columns}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["s3", "s2", "s1"]),
        ("?sort=name:asc", ["s1", "s2", "s3"]),
        ("?sort_key=volume_size&sort_dir=asc&limit=2", ["s1", "s2"]),
        ("?name=s2", ["s2"]),
        ("?status=error", ["s3"]),
        (f"?volume_id={OTHER}", ["s1"]),
        ("?offset=1&limit=1", ["s2"]),
        (f"?marker={row_of(3)['id']}", ["s2", "s1"]),
        ("?all_tenants=1", ["s3", "s2", "s1"]),
    ],
)
def test_listed(api: Api, query: str, names: list[str]) -> None:
    rows = [row_of(1, volume_id=OTHER), row_of(2), row_of(3, status="error"), row_of(4, project_id=FOREIGN)]
    with api.engine.begin() as connection:
        for row in rows:
            connection.execute(insert(db.volume_snapshot).values(row))
    for path in (SNAPSHOTS, f"{SNAPSHOTS}/detail"):
        answer = api.get(f"{path}{query}").json
        assert answer is not None
        assert [each["name"] for each in answer["snapshots"]] == names
        assert ("snapshots_links" in answer) == ("limit" in query)
    assert api.get(f"{SNAPSHOTS}?sort=nonsense").status_code == 400
    for ident in (row_of(4)["id"], row_of(5)["id"]):
        assert api.get(f"{SNAPSHOTS}?marker={ident}").status_code == 404


def test_another_projects(api: Api, nobody: Api) -> None:
    with api.engine.begin() as connection:
        connection.execute(insert(db.volume_snapshot).values(row_of(1, project_id=FOREIGN)))
    path = f"{SNAPSHOTS}/{row_of(1)['id']}"
    body = {"snapshot": {"name": "x"}}
    assert [api.call(verb, path, json=body).status_code for verb in ("GET", "PUT", "DELETE")] == [404] * 3
    assert administrator(nobody).get(path).status_code == 200
    listed = administrator_again(nobody).get(f"{SNAPSHOTS}/detail?all_tenants=1").json
    assert [each["id"] for each in listed["snapshots"]] == [row_of(1)["id"]]  # type: ignore[index]


def administrator_again(nobody: Api) -> Api:
    return nobody.become("adam")


def test_an_administrator_says_what_its_status_is(api: Api, nobody: Api) -> None:
    volume(api)
    ident = make(api)["id"]
    path, body = f"{SNAPSHOTS}/{ident}/action", {"os-reset_status": {"status": "error"}}
    assert api.call("POST", path, json=body).status_code == 403
    admin = administrator(nobody)
    assert admin.call("POST", path, json=body).status_code == 202
    assert shown(api, ident)["status"] == "error"
    assert admin.call("POST", path, json={"os-reset_status": {"status": "odd"}}).status_code == 400
    assert admin.call("POST", path, json={"odd": {}}).status_code == 400
    hear(api, ident, "success", "snapshot-volume")  # too late
    assert shown(api, ident)["status"] == "error"
    api.rapi.calls.clear()
    assert admin.call("POST", path, json={"os-reset_status": {"status": "creating"}}).status_code == 202
    assert admin.call("POST", path, json={"os-force_delete": {}}).status_code == 202
    assert tags(api) == [f"ganeti-ext:forget:cow:{ident}"]
