"""Attachments of Block Storage 3.27, and what else Cinder has and there is not here."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.frontend.admins import administrator
from tests.unit.frontend.conftest import FOREIGN, Api
from tests.unit.frontend.volumes import SERVER, VOLUMES, add, at, attached, ident, message, shown

URL = f"{VOLUMES}/attachments"
OTHER = "0ddddddd-0000-4000-8000-00000000000e"
NEVER = "0abcdef0-9999-4999-8999-999999999999"


def found(api: Api, query: str = "", minor: int = 42) -> list[str]:
    answer = api.get(f"{URL}?{query}", headers=at(minor))
    assert answer.status_code == 200, answer.text
    return [each["volume_id"] for each in answer.json["attachments"]]  # type: ignore[index]


def test_one_is_listed_and_shown_from_3_27(api: Api) -> None:
    key = attached(api)
    add(api, 2)
    known = shown(api, key)["attachments"][0]["attachment_id"]
    short = {"id": known, "status": "attached", "instance": SERVER, "volume_id": key}
    whole = {
        **short,
        "attached_at": "2023-11-14T22:15:00.000000",
        "detached_at": "",
        "attach_mode": "rw",
        "connection_info": {},
    }
    assert api.get(URL, headers=at(27)).json == {"attachments": [short]}
    assert api.get(f"{URL}/detail", headers=at(27)).json == {"attachments": [whole]}
    assert api.get(f"{URL}/{known}", headers=at(27)).json == {"attachment": whole}
    for path in (URL, f"{URL}/detail", f"{URL}/{known}"):
        assert api.get(path, headers=at(26)).status_code == 404


def test_filters_order_and_pages(api: Api, nobody: Api) -> None:
    one = attached(api, 1, attached=2.0)
    two = add(api, 2, server_id=OTHER, device="/dev/vdb", attached=1.0, held=False, task="detaching")
    theirs = add(api, 3, server_id=OTHER, device="/dev/vdc", attached=3.0, held=False, project_id=FOREIGN)
    assert found(api) == [one, two]
    assert found(api, f"volume_id={two}") == found(api, f"instance_id={OTHER}") == [two]
    assert found(api, "status=detaching") == found(api, "attach_status=detaching") == [two]
    assert found(api, "status=attached") == [one]
    assert found(api, "sort=attach_time:asc") == found(api, "sort_key=volume_id&sort_dir=desc") == [two, one]
    assert found(api, "limit=1") == [one]
    marker = api.get(URL, headers=at(27)).json["attachments"][0]["id"]  # type: ignore[index]
    assert found(api, f"marker={marker}") == found(api, "offset=1") == [two]
    assert api.get(f"{URL}?marker={NEVER}", headers=at(27)).status_code == 404
    assert api.get(f"{URL}?sort=moon", headers=at(27)).status_code == 400
    assert found(api, "all_tenants=1") == [one, two]
    assert found(administrator(nobody), "all_tenants=1") == [theirs, one, two]


def test_compute_attaches_and_detaches(api: Api) -> None:
    key = attached(api)
    known = shown(api, key)["attachments"][0]["attachment_id"]
    connector: dict[str, Any] = {"attachment": {"connector": {"host": "x"}}}
    for method, path, sent, status in (
        ("POST", URL, {"attachment": {"volume_uuid": key, "instance_uuid": SERVER}}, 501),
        ("POST", URL, {"attachment": {"volume_uuid": NEVER}}, 404),
        ("POST", URL, {"attachment": {}}, 400),
        ("PUT", f"{URL}/{known}", connector, 501),
        ("PUT", f"{URL}/{NEVER}", connector, 404),
        ("PUT", f"{URL}/{known}", {"attachment": {}}, 400),
        ("DELETE", f"{URL}/{known}", {}, 409),
        ("DELETE", f"{URL}/{NEVER}", {}, 404),
    ):
        answer = api.call(method, path, json=sent, headers=at(27))
        assert answer.status_code == status, answer.text
        assert message(answer.json)
        assert api.call(method, path, json=sent, headers=at(26)).status_code == 404
    assert api.rapi.calls == []


@pytest.mark.parametrize(
    ("path", "since", "admin"),
    [("groups", 13, False), ("group_snapshots", 14, False), ("backups", 0, False), ("clusters", 7, True)],
)
def test_what_there_is_none_of(api: Api, nobody: Api, path: str, since: int, admin: bool) -> None:
    caller = administrator(nobody) if admin else api
    for tail in ("", "/detail"):
        assert caller.get(f"{VOLUMES}/{path}{tail}", headers=at(since)).json == {path: []}
        if since:
            assert caller.get(f"{VOLUMES}/{path}{tail}", headers=at(since - 1)).status_code == 404
    answer = caller.get(f"{VOLUMES}/{path}/{NEVER}", headers=at("latest"))
    assert answer.status_code == 404
    assert NEVER in message(answer.json)


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "words"),
    [
        ("POST", "groups", {"group": {"group_type": "gold"}}, 404, "Group type gold"),
        ("POST", "groups/action", {"create-from-src": {"source_group_id": "g"}}, 404, "Group g"),
        ("POST", "groups/action", {"create-from-src": {"group_snapshot_id": "s"}}, 404, "GroupSnapshot s"),
        ("POST", "groups/g/action", {"delete": {}}, 404, "Group g"),
        ("PUT", "groups/g", {"group": {}}, 404, "Group g"),
        ("POST", "group_snapshots", {"group_snapshot": {"group_id": "g"}}, 404, "Group g"),
        ("POST", "group_snapshots/s/action", {"reset_status": {}}, 404, "GroupSnapshot s"),
        ("POST", "group_types", {"group_type": {"name": "x"}}, 501, "no groups"),
        ("GET", "group_types/t", None, 404, "Group type t"),
        ("PUT", "clusters/enable", {"name": "c"}, 404, "Cluster c"),
        ("PUT", "os-services/failover", {"host": "h"}, 501, "gnt-node"),
        ("PUT", "os-services/freeze", {"host": "h"}, 501, "gnt-node"),
        ("PUT", "os-services/set-log", {"level": "DEBUG"}, 501, "settings"),
        ("GET", "manageable_volumes/detail", None, 501, "holder"),
        ("POST", "manageable_snapshots", {"snapshot": {}}, 501, "holder"),
        ("POST", "backups", {"backup": {"volume_id": ident(1)}}, 501, "no backups"),
        ("POST", "backups", {"backup": {"volume_id": NEVER}}, 404, NEVER),
        ("POST", "groups", {"group": {}}, 400, "group_type"),
    ],
)
def test_what_would_make_one_is_refused(
    api: Api, nobody: Api, method: str, path: str, sent: Any, status: int, words: str
) -> None:
    adam = administrator(nobody)
    add(api)
    answer = adam.call(method, f"{VOLUMES}/{path}", headers=at("latest"), **({} if sent is None else {"json": sent}))
    assert answer.status_code == status, answer.text
    assert words in message(answer.json)
    assert api.rapi.calls == []


def test_there_is_nothing_to_be_cleaned_up(nobody: Api) -> None:
    adam, url = administrator(nobody), f"{VOLUMES}/workers/cleanup"
    assert adam.call("POST", url, json={}, headers=at(23)).status_code == 404
    answer = adam.call("POST", url, json={"is_up": False}, headers=at(24))
    assert (answer.status_code, answer.json) == (202, {"cleaning": [], "unavailable": []})


def test_services_are_in_no_cluster_from_3_7(nobody: Api) -> None:
    adam = administrator(nobody)
    for minor in (6, 7):
        (service,) = adam.get(f"{VOLUMES}/os-services", headers=at(minor)).json["services"]  # type: ignore[index]
        assert ("cluster" in service) == (minor == 7)
