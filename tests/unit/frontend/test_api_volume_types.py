"""What Block Storage has to choose from, and how much of it: types, quotas, limits, services; Compute's view of it."""

from __future__ import annotations

from typing import Any

import pytest

from frontend.settings import Front, Quota, Settings, Volumes
from tests.unit.frontend.admins import administrator
from tests.unit.frontend.conftest import COMPUTE, FOREIGN, MINE, Api, FakeRapi, serve
from tests.unit.frontend.volumes import SERVER, VOLUMES, add, attached, ident, shown, snapshot

QUOTAS = f"{VOLUMES}/os-quota-sets"


@pytest.fixture
def nobody(front: Front, rapi: FakeRapi) -> Api:
    volumes = Volumes(types=("cow", "rbd", "rbd:fast"), default="rbd")
    quota = Quota(volumes=4, gigabytes=40, snapshots=3)
    return serve(front, rapi, Settings(front=front, volumes=volumes, quota=quota))


def answer(api: Api, path: str, status: int = 200) -> Any:
    found = api.get(f"{VOLUMES}/{path}")
    assert found.status_code == status, found.text
    return found.json


def test_types_are_the_settings(api: Api) -> None:
    found = answer(api, "types")["volume_types"]
    assert [each["name"] for each in found] == ["cow", "rbd", "rbd:fast"]
    fast = found[2]
    assert fast["extra_specs"] == {"volume_backend_name": "rbd", "pool_name": "fast"}
    assert fast["is_public"] is True
    assert answer(api, f"types/{fast['id']}") == answer(api, "types/rbd:fast") == {"volume_type": fast}
    assert answer(api, "types/default")["volume_type"]["name"] == "rbd"
    assert answer(api, f"types/{fast['id']}/extra_specs") == {"extra_specs": fast["extra_specs"]}
    assert answer(api, f"types/{fast['id']}/extra_specs/pool_name") == {"pool_name": "fast"}
    answer(api, f"types/{fast['id']}/extra_specs/colour", 404)
    answer(api, "types/gold", 404)
    assert answer(api, "types?is_public=None")["volume_types"] == found
    assert answer(api, "types?is_public=false")["volume_types"] == []
    assert [each["name"] for each in answer(api, "types?limit=1&offset=1")["volume_types"]] == ["rbd"]
    created = api.call("POST", f"{VOLUMES}/volumes", json={"volume": {"size": 1, "volume_type": fast["id"]}})
    assert created.json["volume"]["volume_type"] == "rbd:fast"  # type: ignore[index]


def test_without_settings_there_is_the_fronts_own(front: Front, rapi: FakeRapi) -> None:
    api = serve(front, rapi).become("alice")
    assert [each["name"] for each in answer(api, "types")["volume_types"]] == ["cow"]
    assert answer(api, "types/default")["volume_type"]["name"] == "cow"


def test_limits_count_what_there_is(api: Api) -> None:
    snapshot(api, add(api, size=5), size=5)
    add(api, 2, deleted=1.0)
    add(api, 3, project_id=FOREIGN)
    assert answer(api, "limits")["limits"] == {
        "rate": [],
        "absolute": {
            "maxTotalVolumes": 4,
            "maxTotalVolumeGigabytes": 40,
            "maxTotalSnapshots": 3,
            "maxTotalBackups": 0,
            "maxTotalBackupGigabytes": 0,
            "totalVolumesUsed": 1,
            "totalGigabytesUsed": 10,
            "totalSnapshotsUsed": 1,
            "totalBackupsUsed": 0,
            "totalBackupGigabytesUsed": 0,
        },
    }


def test_a_quota_is_shown_changed_and_reset(api: Api, nobody: Api) -> None:
    adam = administrator(nobody)
    add(api)
    found = answer(api, f"os-quota-sets/{MINE}")["quota_set"]
    assert (found["id"], found["volumes"], found["gigabytes"], found["snapshots"]) == (MINE, 4, 40, 3)
    assert (found["backups"], found["groups"], found["per_volume_gigabytes"], found["volumes_rbd:fast"]) == (
        0,
        0,
        -1,
        -1,
    )
    usage = answer(api, f"os-quota-sets/{MINE}?usage=True")["quota_set"]
    assert usage["gigabytes"] == {"limit": 40, "in_use": 2, "reserved": 0}
    body = {"quota_set": {"volumes": 1, "gigabytes": -1, "backups": None}}
    assert api.call("PUT", f"{QUOTAS}/{MINE}", json=body).status_code == 403
    changed = adam.call("PUT", f"{QUOTAS}/{MINE}", json=body)
    assert changed.status_code == 200, changed.text
    assert (changed.json["quota_set"]["volumes"], changed.json["quota_set"]["gigabytes"]) == (1, -1)  # type: ignore[index]
    assert api.call("POST", f"{VOLUMES}/volumes", json={"volume": {"size": 1}}).status_code == 413
    assert answer(api, f"os-quota-sets/{MINE}/defaults")["quota_set"]["volumes"] == 4
    assert adam.call("DELETE", f"{QUOTAS}/{MINE}").status_code == 200
    assert answer(api, f"os-quota-sets/{MINE}")["quota_set"] == found
    for wrong in ({"volumes": -2}, {"volumes": "x"}, {"backups": 5}):
        assert adam.call("PUT", f"{QUOTAS}/{MINE}", json={"quota_set": wrong}).status_code == 400
    answer(api, f"os-quota-sets/{FOREIGN}", 403)
    assert answer(adam, f"os-quota-sets/{FOREIGN}")["quota_set"]["volumes"] == 4
    assert adam.call("PUT", f"{QUOTAS}/never", json=body).status_code == 404
    assert answer(adam, "os-quota-class-sets/default")["quota_class_set"]["volumes"] == 4


def test_what_it_tells_of_itself(api: Api) -> None:
    zone = {"zoneName": "nova", "zoneState": {"available": True}}
    assert answer(api, "os-availability-zone") == {"availabilityZoneInfo": [zone]}
    assert {"Hosts", "VolumeTransfer"} <= {each["name"] for each in answer(api, "extensions")["extensions"]}
    assert answer(api, "messages") == {"messages": []}
    assert answer(api, "group_types") == {"group_types": []}


def test_what_it_tells_administrators_of_itself(api: Api, nobody: Api) -> None:
    adam = administrator(nobody)
    snapshot(api, add(api, 1, type="rbd:fast"), provider="rbd", size=3)
    add(api, 2, type="rbd", project_id=FOREIGN, size=4)
    services = answer(adam, "os-services")["services"]
    assert [(each["host"], each["binary"]) for each in services] == [
        ("ganeti@cow", "cinder-volume"),
        ("ganeti@rbd", "cinder-volume"),
    ]
    assert answer(adam, "os-services?binary=cinder-backup")["services"] == []
    assert len(answer(adam, "os-services?host=ganeti@cow")["services"]) == 1
    assert [each["host_name"] for each in answer(adam, "os-hosts")["hosts"]] == ["ganeti@cow", "ganeti@rbd"]
    rows = {each["resource"]["project"]: each["resource"] for each in answer(adam, "os-hosts/ganeti@rbd")["host"]}
    assert set(rows) == {"(total)", MINE, FOREIGN}
    total = rows["(total)"]
    assert (total["volume_count"], total["total_volume_gb"]) == ("2", "6")
    assert (total["snapshot_count"], total["total_snapshot_gb"]) == ("1", "3")
    answer(adam, "os-hosts/mars", 404)
    names = ["ganeti@cow#cow", "ganeti@rbd#rbd", "ganeti@rbd#fast"]
    assert answer(adam, "scheduler-stats/get_pools")["pools"] == [{"name": name} for name in names]
    detail = answer(adam, "scheduler-stats/get_pools?detail=True")["pools"]
    assert detail[2]["capabilities"]["pool_name"] == "fast"
    assert answer(adam, "qos-specs") == {"qos_specs": []}
    assert answer(adam, "types/cow/encryption") == {}
    answer(adam, "types/cow/os-volume-type-access", 404)
    for path in ("os-services", "os-hosts", "scheduler-stats/get_pools", "qos-specs"):
        answer(api, path, 403)


def test_compute_shows_them_its_own_way(api: Api) -> None:
    url = f"{COMPUTE}/os-volumes"
    made = api.call("POST", url, json={"volume": {"size": "1", "display_name": "old", "metadata": {"Type": "work"}}})
    assert made.status_code == 200, made.text
    volume = made.json["volume"]  # type: ignore[index]
    assert volume == {
        "id": volume["id"],
        "displayName": "old",
        "displayDescription": None,
        "status": "creating",
        "size": 1,
        "availabilityZone": "nova",
        "createdAt": volume["createdAt"],
        "volumeType": "rbd",
        "snapshotId": None,
        "metadata": {"Type": "work"},
        "attachments": [{}],
    }
    assert shown(api, volume["id"])["name"] == "old"
    key = attached(api)
    (place,) = api.get(f"{url}/{key}").json["volume"]["attachments"]  # type: ignore[index]
    assert place == {"id": key, "volumeId": key, "serverId": SERVER, "device": "/dev/vdc"}
    for tail in ("", "/detail"):
        assert [each["id"] for each in api.get(url + tail).json["volumes"]] == [volume["id"], key]  # type: ignore[index]
        assert [each["id"] for each in api.get(f"{url}{tail}?limit=1&offset=1").json["volumes"]] == [key]  # type: ignore[index]
    assert api.call("DELETE", f"{url}/{add(api, 2)}").status_code == 202
    assert shown(api, ident(2))["status"] == "deleting"
    for sent in ({}, {"size": ""}, {"size": 0}):
        assert api.call("POST", url, json={"volume": sent}).status_code == 400
    assert api.get(f"{url}/{add(api, 3, project_id=FOREIGN)}").status_code == 404
