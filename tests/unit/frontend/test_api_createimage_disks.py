"""createImage of a server with more than one disk: snapshots of all of them, which the image names."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import select, update

from frontend.database import db
from frontend.image import imagedisks
from ganeti_ext.errors import RapiUnavailable
from tests.unit.frontend.conftest import COMPUTE, FOREIGN, GIB, MINE, SMALL, Api
from tests.unit.frontend.storage import VOLUME, attached, hear, snapshots, tags, volume

IMAGES = "/image/v2/images"
OTHER = "0aaa0000-0000-4000-8000-00000000000b"


def make(api: Api, row: dict[str, Any]) -> str:
    answer = api.call("POST", f"{COMPUTE}/servers/{row['id']}/action", json={"createImage": {"name": "snap"}})
    assert answer.status_code == 202, answer.text
    return str(answer.headers["Location"].rpartition("/")[2])


def image(api: Api, ident: str) -> dict[str, Any]:
    with api.engine.connect() as connection:
        found = db.row(connection, select(db.image).where(db.image.c.id == ident))
    assert found is not None
    return found


def test_the_root_is_the_image_and_volumes_have_snapshots(api: Api) -> None:
    row = attached(api, VOLUME)
    volume(api, type="rbd:fast", server_id=row["id"])
    ident = make(api, row)
    (snapshot,) = snapshots(api)
    wanted = {"volume_id": VOLUME, "project_id": MINE, "size": 2, "name": "snapshot for snap", "status": "creating",
              "provider": "rbd", "pool": "fast", "job": api.rapi.job}  # fmt: skip
    assert {key: snapshot[key] for key in wanted} == wanted
    assert tags(api) == [
        f"ganeti-ext:saving:cow:{ident}:u-root",
        f"ganeti-ext:saving:rbd/fast:{snapshot['id']}:vol-{VOLUME}",
    ]
    assert len(api.rapi.calls) == 3
    told = image(api, ident)
    assert (told["origin"], told["provider"], told["min_disk"]) == (f"snapshot:saved-{ident}", "cow", 5)
    assert json.loads(told["properties"]["block_device_mapping"]) == [
        {"source_type": "snapshot", "destination_type": "volume", "snapshot_id": snapshot["id"], "volume_size": 2,
         "boot_index": None, "device_name": "/dev/vdc", "delete_on_termination": True}
    ]  # fmt: skip
    hear(api, ident, "success", "snapshot", instance_state={"tags": []}, instance_disks=[{"size": 7168}],
         read_at=[1, 0])  # fmt: skip
    assert (image(api, ident)["status"], image(api, ident)["size"]) == ("active", 7 * GIB)
    assert [each["status"] for each in snapshots(api)] == ["available"]


def test_of_a_server_that_boots_from_a_volume_it_is_only_a_list(api: Api) -> None:
    row = attached(api, status="SHUTOFF", image_id="", disks=[
        {"name": f"vol-{VOLUME}", "uuid": "u-0", "size": 2048}, {"name": f"vol-{OTHER}", "uuid": "u-1", "size": 2048},
        {"name": None, "uuid": "0ccc0000-0000-4000-8000-00000000000c", "size": 1500},
    ])  # fmt: skip
    volume(api, server_id=row["id"])
    volume(api, OTHER, server_id=row["id"])
    ident = make(api, row)
    found = snapshots(api)
    assert [(each["volume_id"], each["size"]) for each in found] == [
        (VOLUME, 2), (OTHER, 2), ("0ccc0000-0000-4000-8000-00000000000c", 2)
    ]  # fmt: skip
    assert [tag.split(":", 3)[3] for tag in tags(api)] == [
        f"{found[0]['id']}:vol-{VOLUME}", f"{found[1]['id']}:vol-{OTHER}",
        f"{found[2]['id']}:0ccc0000-0000-4000-8000-00000000000c",
    ]  # fmt: skip
    told = image(api, ident)
    assert (told["origin"], told["size"], told["min_disk"]) == (f"snapshot:saved-{found[0]['id']}", 0, 0)
    assert [(each["boot_index"], each["device_name"]) for each in imagedisks.mapping(told)] == [
        (0, "/dev/vda"), (None, "/dev/vdb"), (None, "/dev/vdc")
    ]  # fmt: skip
    hear(api, ident, "success", "snapshot", instance_state={"tags": []}, instance_disks=[{"size": 7}], read_at=[1, 0])
    assert (image(api, ident)["status"], image(api, ident)["size"]) == ("active", 0)
    # To delete the image is not to delete the snapshots, as with Nova.
    api.rapi.calls.clear()
    assert api.call("DELETE", f"{IMAGES}/{ident}").status_code == 204
    assert tags(api) == [f"ganeti-ext:forget:cow:{ident}"]
    assert len(snapshots(api)) == 3


def test_all_fail_with_the_job(api: Api) -> None:
    row = attached(api, VOLUME)
    volume(api, server_id=row["id"])
    ident = make(api, row)
    hear(api, ident, "error", "snapshot", result="no room")
    assert image(api, ident)["status"] == "killed"
    assert [(each["status"], each["fault"]) for each in snapshots(api)] == [("error", "no room")]


def test_nothing_stays_when_ganeti_is_away_or_the_quota_is_too_small(api: Api) -> None:
    row = attached(api, VOLUME)
    volume(api, server_id=row["id"])
    path, body = f"{COMPUTE}/servers/{row['id']}/action", {"createImage": {"name": "snap"}}
    api.rapi.fails = RapiUnavailable("RAPI: down")
    assert api.call("POST", path, json=body).status_code == 503
    api.rapi.fails = None
    with api.engine.begin() as connection:
        connection.execute(update(db.project).values(max_snapshots=0))
    assert api.call("POST", path, json=body).status_code == 413
    assert (snapshots(api), len(api.get(IMAGES).json["images"])) == ([], 1)  # type: ignore[index]


def test_what_a_tenant_writes_into_an_image_names_no_other_projects_snapshots(api: Api) -> None:
    row = attached(api, VOLUME)
    volume(api, server_id=row["id"])
    ident = make(api, row)
    with api.engine.begin() as connection:
        connection.execute(update(db.volume_snapshot).values(project_id=FOREIGN))
        assert imagedisks.snapshots(connection, image(api, ident)) == []
    hear(api, ident, "success", "snapshot")
    assert [each["status"] for each in snapshots(api)] == ["creating"]
    for text in ("{", "7", '["x", {"snapshot_id": 7}]', ""):
        assert imagedisks.mapping({"properties": {"block_device_mapping": text}}) == []
    assert imagedisks.mapping({"properties": None}) == []


def test_a_server_of_it_has_all_of_its_disks(api: Api) -> None:
    row = attached(api, VOLUME)
    volume(api, type="rbd:fast", server_id=row["id"])
    ident = make(api, row)
    hear(api, ident, "success", "snapshot")
    (snapshot,) = snapshots(api)
    api.rapi.calls.clear()
    body = {"server": {"name": "copy", "imageRef": ident, "flavorRef": SMALL}}
    answer = api.call("POST", f"{COMPUTE}/servers", json=body)
    assert answer.status_code == 202, answer.text
    made = {call[2]["instance_name"]: call[2]["disks"] for call in api.rapi.calls if call[1] == "instances"}
    server = answer.json["server"]["id"]  # type: ignore[index]
    assert made.pop(f"gx-{server}")[0]["origin"] == f"snapshot:saved-{ident}"
    ((data,),) = made.values()
    wanted = {"provider": "rbd", "pool": "fast", "size": 2048, "origin": f"snapshot:saved-{snapshot['id']}"}
    assert {key: data[key] for key in wanted} == wanted
    given = [change for call in api.rapi.calls if call[1] == f"instances/gx-{server}/modify"
             for change in call[2]["disks"]]  # fmt: skip
    assert [(what, params["name"]) for what, _, params in given] == [("attach", data["name"])]
    assert api.rapi.calls[-1][1] == f"instances/gx-{server}/startup"
