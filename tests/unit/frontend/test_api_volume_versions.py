"""What Block Storage's microversions from 3.13 to 3.42 change: nothing of it shows before, all of it from then on."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from frontend.database import db
from frontend.settings import Front, Settings, Volumes
from tests.unit.frontend.admins import administrator
from tests.unit.frontend.conftest import ALICE, FOREIGN, MINE, Api, FakeRapi, serve
from tests.unit.frontend.volumes import VOLUMES, act, add, at, attached, ident, message, row, shown, snapshot

SNAPSHOTS = f"{VOLUMES}/snapshots"


def listed(api: Api, what: str, query: str, minor: int, key: str = "id") -> list[Any]:
    answer = api.get(f"{VOLUMES}/{what}", query_string=query, headers=at(minor))
    assert answer.status_code == 200, answer.text
    return [each[key] for each in answer.json[what.partition("/")[0]]]  # type: ignore[index]


def refused(api: Api, what: str, query: str, minor: int) -> str:
    answer = api.get(f"{VOLUMES}/{what}", query_string=query, headers=at(minor))
    assert answer.status_code == 400, answer.text
    return message(answer.json)


@pytest.mark.parametrize(("key", "since", "admin"), [("group_id", 13, False), ("provider_id", 21, True)])
def test_fields_of_a_volume(api: Api, nobody: Api, key: str, since: int, admin: bool) -> None:
    adam, volume = administrator(nobody), add(api)
    for caller in (api, adam):
        for minor in (since - 1, since, 42):
            wanted = minor >= since and (not admin or caller is adam)
            made = caller.call("PUT", f"{VOLUMES}/volumes/{volume}", json={"volume": {}}, headers=at(minor))
            (of_list,) = caller.get(f"{VOLUMES}/volumes/detail", headers=at(minor)).json["volumes"]  # type: ignore[index]
            for found in (shown(caller, volume, minor), of_list, made.json["volume"]):  # type: ignore[index]
                assert (key in found) == wanted
    assert shown(adam, volume, 21)["provider_id"] == f"vol-{volume}"


@pytest.mark.parametrize(("key", "since", "value"), [("group_snapshot_id", 14, None), ("user_id", 41, ALICE)])
def test_fields_of_a_snapshot(api: Api, key: str, since: int, value: str | None) -> None:
    one = snapshot(api, add(api))
    for minor in (since - 1, since):
        changed = api.call("PUT", f"{SNAPSHOTS}/{one}", json={"snapshot": {"name": "x"}}, headers=at(minor)).json
        (of_list,) = api.get(f"{SNAPSHOTS}/detail", headers=at(minor)).json["snapshots"]  # type: ignore[index]
        own = api.get(f"{SNAPSHOTS}/{one}", headers=at(minor)).json["snapshot"]  # type: ignore[index]
        for found in (own, of_list, changed["snapshot"]):  # type: ignore[index]
            assert (key in found) == (minor == since)
            assert found.get(key) == (value if minor == since else None)


def test_metadata_are_not_written_over_what_nobody_saw(api: Api) -> None:
    key = add(api, metadata={"a": "1"})
    url = f"{VOLUMES}/volumes/{key}/metadata"
    assert "ETag" not in api.get(url, headers=at(14)).headers
    old = api.get(url, headers=at(15)).headers["ETag"]
    assert api.get(url, headers=at(15)).headers["ETag"] == old

    def put(tail: str, sent: Any, minor: int, tag: str) -> int:
        return api.call("PUT", url + tail, json=sent, headers={**at(minor), "If-Match": tag}).status_code

    assert put("", {"metadata": {"b": "2"}}, 15, old) == 200
    assert put("", {"metadata": {"c": "3"}}, 15, old) == 412
    assert put("/b", {"meta": {"b": "3"}}, 15, old) == 412
    assert api.get(url).json == {"metadata": {"b": "2"}}
    assert put("/b", {"meta": {"b": "3"}}, 15, "*") == 200
    assert put("/b", {"meta": {"b": "4"}}, 14, old) == 200  # before that nobody looks at it
    new = api.get(url, headers=at(15)).headers["ETag"]
    assert put("/b", {"meta": {"b": "5"}}, 15, f'"x", {new}') == 200


def test_snapshots_by_their_metadata_from_3_22(api: Api) -> None:
    volume = add(api)
    one = snapshot(api, volume, 1, metadata={"a": "1", "b": "2"}, created=3.0)
    two = snapshot(api, volume, 2, metadata={"a": "1"}, created=2.0)
    three = snapshot(api, volume, 3, created=1.0)
    assert listed(api, "snapshots", "metadata={'b': '2'}", 21) == [one, two, three]
    assert listed(api, "snapshots", "metadata={'b': '2'}", 22) == [one]
    assert listed(api, "snapshots", "metadata={'a': '1'}&offset=1", 22) == [two]
    assert listed(api, "snapshots/detail", "metadata={'a': '1'}&limit=1", 22) == [one]
    assert listed(api, "snapshots", "metadata={'a': 'x'}", 22) == []
    refused(api, "snapshots", "metadata=work", 22)


def test_an_administrator_deletes_by_force_from_3_23(api: Api, nobody: Api) -> None:
    adam, key = administrator(nobody), add(api, task="retyping")
    url = f"{VOLUMES}/volumes/{key}?force=true"
    assert adam.call("DELETE", url, headers=at(22)).status_code == 400
    assert api.call("DELETE", url, headers=at(23)).status_code == 403
    assert api.rapi.calls == []
    assert adam.call("DELETE", url, headers=at(23)).status_code == 202
    assert [call[1] for call in api.rapi.calls] == [f"instances/gx-vol-{key}"]
    other = add(api, 2, task="retyping")
    snapshot(api, other)
    assert adam.call("DELETE", f"{VOLUMES}/volumes/{other}?force=true", headers=at(23)).status_code == 400
    assert adam.call("DELETE", f"{VOLUMES}/volumes/{other}?force=1&cascade=1", headers=at(23)).status_code == 202
    held = attached(api, 3)
    assert adam.call("DELETE", f"{VOLUMES}/volumes/{held}?force=true", headers=at(23)).status_code == 400


def test_filters_of_pools(front: Front, rapi: FakeRapi) -> None:
    adam = administrator(serve(front, rapi, Settings(front=front, volumes=Volumes(types=("cow", "rbd", "rbd:fast")))))

    def pools(query: str, minor: int) -> list[str]:
        answer = adam.get(f"{VOLUMES}/scheduler-stats/get_pools", query_string=query, headers=at(minor))
        assert answer.status_code == 200, answer.text
        return [each["name"].partition("#")[2] for each in answer.json["pools"]]  # type: ignore[index]

    every = ["cow", "rbd", "fast"]
    assert pools("name=ganeti@rbd%23fast", 27) == every
    assert pools("name=ganeti@rbd%23fast&detail=true", 28) == pools("name=ganeti@rbd%23fast", 42) == ["fast"]
    assert pools("volume_backend_name=rbd", 30) == ["rbd", "fast"]
    assert pools("volume_type=cow", 34) == every
    assert pools("volume_type=cow", 35) == ["cow"]
    assert "volume_backend_name" in refused(adam, "scheduler-stats/get_pools", "volume_backend_name=rbd", 31)
    assert adam.get(f"{VOLUMES}/scheduler-stats/get_pools?volume_type=gold", headers=at(35)).status_code == 404


def test_filters_that_are_not_known_are_refused_from_3_31(api: Api, nobody: Api) -> None:
    adam, key = administrator(nobody), attached(api)
    snapshot(api, key)
    for what in ("volumes", "volumes/detail", "snapshots", "snapshots/detail", "attachments"):
        assert len(listed(api, what, "nonsense=1", 30)) == 1
        assert refused(api, what, "nonsense=1&more=2&status=x&all_tenants=1", 31) == (
            "Invalid filters more, nonsense are found in query options."
        )
        assert len(listed(adam, what, "nonsense=1", 31)) == 1
        page = "limit=5&offset=0&sort=id:asc&all_tenants=1"
        assert len(listed(api, what, page, 42)) == 1


def test_what_lists_are_filtered_by_is_told_from_3_33(api: Api) -> None:
    url = f"{VOLUMES}/resource_filters"
    assert api.get(url, headers=at(32)).status_code == 404
    found = api.get(url, headers=at(33)).json["resource_filters"]  # type: ignore[index]
    told = {each["resource"]: each["filters"] for each in found}
    assert {"name~", "status~", "metadata"} <= set(told["snapshot"])
    assert api.get(f"{url}?resource=pool", headers=at(33)).json == {
        "resource_filters": [{"resource": "pool", "filters": ["name", "volume_type"]}]
    }
    assert api.get(f"{url}?resource=moon", headers=at(33)).json == {"resource_filters": []}
    add(api, metadata={})
    for what, kind in (("volumes", "volume"), ("snapshots", "snapshot"), ("attachments", "attachment")):
        for key in told[kind]:  # each is understood
            value = {"size": "1", "metadata": "{}", "glance_metadata": "{}"}.get(key, "true")
            listed(api, what, f"{key}={value}", 42)


def test_parts_of_words_filter_from_3_34(api: Api) -> None:
    volume = add(api, 1, name="Web_data", facts={"description": "Kept for ever"})
    other = add(api, 2, name="webXdata", fault="x")
    one = snapshot(api, volume, 1, name="Before", description="Kept for ever")
    snapshot(api, volume, 2, name="after", status="error")
    assert listed(api, "volumes", "name~=eb_", 30) == [other, volume]
    assert "name~" in refused(api, "volumes", "name~=eb_", 33)
    assert listed(api, "volumes", "name~=EB_D", 34) == [volume]
    assert listed(api, "volumes/detail", "status~=err", 34) == [other]
    assert listed(api, "volumes", "description~=FOR", 34) == [volume]
    assert listed(api, "volumes", "name=Web_data", 34) == [volume]
    assert listed(api, "snapshots", "name~=bef", 34) == listed(api, "snapshots", "description~=for", 34) == [one]
    assert listed(api, "snapshots", "status~=avail", 34) == [one]
    assert listed(api, "snapshots", "name~=%", 34) == []


def test_the_sum_tells_of_metadata_from_3_36(api: Api) -> None:
    add(api, 1, metadata={"a": "2", "b": "x"})
    add(api, 2, metadata={"a": "1"})
    add(api, 3, metadata={"a": "9"}, project_id=FOREIGN)
    url = f"{VOLUMES}/volumes/summary"
    total = {"total_size": 4, "total_count": 2}
    assert api.get(url, headers=at(35)).json == {"volume-summary": total}
    assert api.get(url, headers=at(36)).json == {"volume-summary": {**total, "metadata": {"a": ["1", "2"], "b": ["x"]}}}


def test_an_administrator_sees_the_limits_of_another_from_3_39(api: Api, nobody: Api) -> None:
    adam = administrator(nobody)
    add(api, project_id=FOREIGN)
    for caller, minor, key, used in (
        (adam, 38, "project_id", 0),
        (adam, 39, "project_id", 1),
        (adam, 39, "tenant_id", 1),
        (api, 39, "project_id", 0),
    ):
        answer = caller.get(f"{VOLUMES}/limits?{key}={FOREIGN}", headers=at(minor)).json
        assert answer["limits"]["absolute"]["totalVolumesUsed"] == used  # type: ignore[index]


def test_it_is_reverted_to_its_latest_snapshot_from_3_40(api: Api) -> None:
    key = add(api, type="rbd:fast")
    wanted = {"snapshot_id": "x"}
    act(api, key, "revert", wanted, 404, minor=39)
    assert "doesn't have any snapshots" in message(act(api, key, "revert", wanted, 400, minor=40))
    old = snapshot(api, key, 1, provider="rbd", pool="fast", created=1.0)
    new = snapshot(api, key, 2, provider="rbd", pool="fast", created=2.0)
    assert "is not the latest" in message(act(api, key, "revert", {"snapshot_id": old}, 400, minor=40))
    for sent in ({}, {"snapshot_id": None}, {"snapshot_id": 5}):
        act(api, key, "revert", sent, 400, minor=40)
    assert api.rapi.calls == []
    act(api, key, "revert", {"snapshot_id": new}, minor=40)
    ((method, path, body, query),) = api.rapi.calls
    assert (method, path) == ("PUT", f"instances/gx-vol-{key}/modify")
    (added, removed) = body["disks"]
    assert (added[:2], removed) == (["add", 0], ["remove", 1, {}])
    assert added[2]["origin"] == f"snapshot:saved-{new}"
    assert (added[2]["name"], added[2]["size"], added[2]["provider"], added[2]["pool"]) == (
        f"vol-{key}", 2048, "rbd", "fast",
    )  # fmt: skip
    assert query["reason"] == f"ganeti-ext:revert-volume:{key}"
    assert shown(api, key)["status"] == "reverting"


@pytest.mark.parametrize(
    ("volume", "of_snapshot", "status", "words"),
    [
        ({"size": 3}, {}, 400, "size must be equal"),
        ({"type": "rbd"}, {}, 400, "another type"),
        ({"task": "extending"}, {}, 409, "Volume's status must be 'available'"),
        ({}, {"status": "error"}, 409, "Snapshot's status must be 'available'"),
    ],
)
def test_what_is_not_reverted(
    api: Api, volume: dict[str, Any], of_snapshot: dict[str, Any], status: int, words: str
) -> None:
    key = add(api, **volume)
    taken = snapshot(api, key, **of_snapshot)
    assert words in message(act(api, key, "revert", {"snapshot_id": taken}, status, minor=40))
    assert api.rapi.calls == []


def test_transfers_go_with_a_volume_that_is_removed(api: Api, nobody: Api) -> None:
    adam, key = administrator(nobody), add(api)
    api.call("POST", f"{VOLUMES}/volume-transfers", json={"transfer": {"volume_id": key}})
    act(adam, key, "os-force_delete")
    assert api.get(f"{VOLUMES}/volume-transfers").json == {"transfers": []}
    other = add(api, 2)
    made = api.call("POST", f"{VOLUMES}/volume-transfers", json={"transfer": {"volume_id": other}}).json["transfer"]  # type: ignore[index]
    with api.engine.begin() as connection:  # as a message of Ganeti's that its holder was removed by hand
        connection.execute(update(db.volume).where(db.volume.c.id == other).values(deleted=1.0))
    assert api.get(f"{VOLUMES}/volume-transfers").json == {"transfers": []}
    assert api.get(f"{VOLUMES}/volume-transfers/{made['id']}").status_code == 404
    assert row(api, ident(1))["project_id"] == MINE
