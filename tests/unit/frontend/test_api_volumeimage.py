"""os-volume_upload_image and os-retype: what becomes jobs, and what is refused."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pytest
from sqlalchemy import select

from frontend.database import db
from frontend.settings import Front, Settings, Volumes
from ganeti_ext.errors import RapiUnavailable
from tests.unit.frontend.conftest import GIB, MINE, Api, FakeRapi, serve
from tests.unit.frontend.storage import BLOCK, VOLUME, attached, hear, tags, volume

ACTION = f"{BLOCK}/volumes/{VOLUME}/action"
IMAGES = "/image/v2/images"


@pytest.fixture
def api(front: Front, rapi: FakeRapi) -> Api:
    kinds = Volumes(types=("cow", "rbd", "rbd:fast"))
    return serve(front, rapi, dataclasses.replace(Settings(front=front), volumes=kinds)).become("alice")


def upload(api: Api, **body: Any) -> Any:
    return api.call("POST", ACTION, json={"os-volume_upload_image": {"image_name": "gold", **body}})


def image(api: Api, ident: str) -> dict[str, Any]:
    with api.engine.connect() as connection:
        found = db.row(connection, select(db.image).where(db.image.c.id == ident))
    assert found is not None
    return found


def test_an_image_that_is_a_snapshot_of_the_volume(api: Api) -> None:
    row = volume(
        api, type="rbd:fast", facts={"bootable": "1", "image_meta": '{"os_distro": "debian", "image_id": "i"}'}
    )
    answer = upload(api, disk_format="raw", container_format="bare")
    assert answer.status_code == 202, answer.text
    told = answer.json["os-volume_upload_image"]
    assert (told["id"], told["status"], told["image_name"], told["size"]) == (VOLUME, "uploading", "gold", 2)
    ident = told["image_id"]
    assert tags(api) == [f"ganeti-ext:saving:rbd/fast:{ident}:vol-{VOLUME}"]
    assert api.rapi.calls[0][1] == f"instances/{row['instance']}/tags"
    found = image(api, ident)
    wanted = {"status": "saving", "size": 2 * GIB, "min_disk": 2, "provider": "rbd", "pool": "fast", "owner_id": MINE,
              "origin": f"snapshot:saved-{ident}", "properties": {"os_distro": "debian"},
              "protected": False}  # fmt: skip
    assert {key: found[key] for key in wanted} == wanted
    hear(api, ident, "success", "upload-volume", instance_state={"tags": []}, instance_disks=[{"size": 7}],
         read_at=[1, 0])  # fmt: skip
    assert (image(api, ident)["status"], image(api, ident)["size"]) == ("active", 2 * GIB)


def test_of_a_volume_that_a_server_has_with_force_alone(api: Api) -> None:
    row = attached(api, VOLUME)
    volume(api, server_id=row["id"], held=False, device="/dev/vdc", attached=time.time())
    assert upload(api).status_code == 400
    ident = upload(api, force=True).json["os-volume_upload_image"]["image_id"]
    assert api.rapi.calls[1][1] == f"instances/{row['instance']}/modify"
    hear(api, ident, "error", "upload-volume", result="no room")
    assert image(api, ident)["status"] == "killed"


@pytest.mark.parametrize(
    "body", [{"image_name": ""}, {"disk_format": "qcow2"}, {"container_format": "ovf"}, {"visibility": "public"}]
)
def test_an_upload_that_is_refused(api: Api, body: dict[str, Any]) -> None:
    volume(api)
    assert upload(api, **body).status_code == 400
    assert (api.rapi.calls, len(api.get(IMAGES).json["images"])) == ([], 1)  # type: ignore[index]


def test_no_image_when_ganeti_is_away(api: Api) -> None:
    volume(api)
    api.rapi.fails = RapiUnavailable("RAPI: down")
    assert upload(api).status_code == 503
    assert len(api.get(IMAGES).json["images"]) == 1  # type: ignore[index]


def retype(api: Api, kind: str = "rbd:fast", policy: str | None = "on-demand") -> Any:
    sent = {"new_type": kind, **({"migration_policy": policy} if policy else {})}
    return api.call("POST", ACTION, json={"os-retype": sent})


def test_another_type_is_a_copy_and_a_new_disk_in_one_job(api: Api) -> None:
    row = volume(api)
    answer = retype(api)
    assert answer.status_code == 202, answer.text
    copying, forget = tags(api)[0], tags(api)[-1]
    ident = forget.rpartition(":")[2]
    assert copying == f"ganeti-ext:copying:rbd/fast:{ident}:vol-{VOLUME}"
    assert forget == f"ganeti-ext:forget:rbd/fast:{ident}"
    disk = {
        "size": 2048,
        "name": f"vol-{VOLUME}",
        "provider": "rbd",
        "access": "userspace",
        "pool": "fast",
        "origin": f"snapshot:saved-{ident}",
    }
    assert api.rapi.calls[1][2]["disks"] == [["add", 0, disk], ["remove", 1, {}]]
    what = [(method, path.rpartition("/")[2], (query.get("tag") or [""])[0].split(":")[1:2],
             (body or {}).get("depends", [[0, []]])[0][1], query["reason"])
            for method, path, body, query in api.rapi.calls]  # fmt: skip
    retyping, after, good = f"ganeti-ext:retype:{VOLUME}", f"ganeti-ext:forget:{ident}", ["success"]
    always = ["success", "error", "canceled"]
    assert what == [
        ("PUT", "tags", ["copying"], [], retyping),
        ("PUT", "modify", [], good, retyping),
        ("PUT", "tags", ["type"], good, retyping),
        ("DELETE", "tags", ["type"], good, retyping),
        ("DELETE", "tags", ["copying"], always, retyping),
        ("PUT", "tags", ["forget"], always, after),
        ("PUT", "modify", [], good, after),
        ("DELETE", "tags", ["forget"], always, after),
    ]
    assert {call[1].split("/")[1] for call in api.rapi.calls} == {row["instance"]}
    shown = api.get(f"{BLOCK}/volumes/{VOLUME}").json["volume"]  # type: ignore[index]
    assert (shown["status"], shown["volume_type"]) == ("retyping", "cow")
    with api.engine.connect() as connection:
        found = db.row(connection, select(db.volume).where(db.volume.c.id == VOLUME)) or {}
    assert found["job"] == api.rapi.job - 3


@pytest.mark.parametrize(
    ("kind", "policy", "columns", "words"),
    [
        ("rbd", None, {}, "Retype requires migration, from cow to rbd, but is not allowed"),
        ("rbd", "perhaps", {}, "migration_policy: expected"),
        ("cow", "on-demand", {}, "of the type cow already"),
        ("floppy", "on-demand", {}, "Invalid volume type"),
        ("rbd", "on-demand", {"held": False, "server_id": "s"}, "status must be available to retype"),
        ("rbd", "on-demand", {"task": "extending"}, "status must be available to retype"),
    ],
)
def test_a_retype_that_is_refused(api: Api, kind: str, policy: str | None, columns: dict[str, Any], words: str) -> None:
    volume(api, **columns)
    answer = retype(api, kind, policy)
    assert answer.status_code == 400
    assert words in answer.text
    assert api.rapi.calls == []
