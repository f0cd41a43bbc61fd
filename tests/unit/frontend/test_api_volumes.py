"""Volumes of Block Storage: made, shown, changed, deleted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import insert, update

from frontend.database import db
from frontend.settings import Front, Quota, Settings, Volumes
from ganeti_ext import tags
from ganeti_ext.errors import RapiError, RapiUnavailable
from tests.unit.frontend.admins import administrator
from tests.unit.frontend.conftest import ALICE, FOREIGN, IMAGE, MINE, SECRET_IMAGE, Api, FakeRapi, serve
from tests.unit.frontend.volumes import SERVER, THEIRS, VOLUMES, add, attached, message, row, shown, snapshot

NEVER = "0abcdef0-9999-4999-8999-999999999999"


def create(api: Api, expect: int = 202, url: str = VOLUMES, **volume: Any) -> Any:
    answer = api.call("POST", f"{url}/volumes", json={"volume": volume})
    assert answer.status_code == expect, answer.text
    return answer.json["volume"] if expect == 202 else message(answer.json)  # type: ignore[index]


def made(api: Api) -> tuple[dict[str, Any], dict[str, str]]:
    """The one disk, and the facts of the instance that was asked for last."""
    method, path, body, _ = api.rapi.calls[-1]
    assert (method, path) == ("POST", "instances")
    (disk,) = body["disks"]
    return disk, tags.decode(body["tags"])


def test_one_is_made_and_shown(api: Api) -> None:
    volume = create(api, size=2, name="data", description="my words", metadata={"Type": "work"})
    key = volume["id"]
    assert (volume["status"], volume["size"], volume["attachments"]) == ("creating", 2, [])
    assert not [name for name in volume if ":" in name]  # whose it is, only show and detail tell
    disk, facts = made(api)
    assert (disk["name"], disk["size"], disk["provider"]) == (f"vol-{key}", 2048, "cow")
    assert (facts["volume"], facts["project"], facts["user"], facts["name"]) == (key, MINE, ALICE, "data")
    found = shown(api, key)
    assert found == {
        "id": key,
        "name": "data",
        "description": "my words",
        "status": "creating",
        "size": 2,
        "volume_type": "cow",
        "availability_zone": "nova",
        "attachments": [],
        "bootable": "false",
        "metadata": {"Type": "work"},
        "snapshot_id": None,
        "source_volid": None,
        "user_id": ALICE,
        "encrypted": False,
        "multiattach": False,
        "replication_status": None,
        "consistencygroup_id": None,
        "migration_status": None,
        "created_at": found["created_at"],
        "updated_at": found["updated_at"],
        "links": [
            {"rel": "self", "href": f"http://localhost/volume/v3/{MINE}/volumes/{key}"},
            {"rel": "bookmark", "href": f"http://localhost/volume/{MINE}/volumes/{key}"},
        ],
        "os-vol-tenant-attr:tenant_id": MINE,
    }
    assert len(found["created_at"]) == len("2026-11-21T02:47:42.000000")


def test_what_clients_send_as_nothing_is_nothing(api: Api) -> None:
    nothing: Any = dict.fromkeys(("name", "description", "volume_type", "imageRef", "snapshot_id", "source_volid"))
    more: Any = dict.fromkeys(("availability_zone", "metadata", "consistencygroup_id", "backup_id"))
    volume = create(api, size="3", multiattach=False, **nothing, **more)
    assert (volume["size"], volume["name"], volume["description"]) == (3, None, None)


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        ({}, "None"),
        ({"size": "#$%"}, "size"),
        ({"size": ""}, "size"),
        ({"size": 0}, "size"),
        ({"size": "-1"}, "size"),
        ({"size": 1 << 40}, "size"),
        ({"size": 1, "name": "n" * 256}, "name"),
        ({"size": 1, "metadata": {"a": 5}}, "metadata"),
        ({"size": 1, "multiattach": True}, "multiattach"),
        ({"size": 1, "backup_id": NEVER}, "backup_id"),
        ({"size": 1, "availability_zone": "mars"}, "mars"),
        ({"imageRef": IMAGE}, "None"),
        ({"size": 2, "imageRef": IMAGE}, "smaller than 3GB"),
        ({"size": 9, "imageRef": IMAGE, "snapshot_id": NEVER}, "only one"),
    ],
)
def test_what_is_wrong_is_refused(api: Api, volume: dict[str, Any], words: str) -> None:
    assert words in create(api, 400, **volume)
    assert api.rapi.calls == []
    assert api.get(f"{VOLUMES}/volumes").json == {"volumes": []}


@pytest.mark.parametrize(
    "volume",
    [
        {"volume_type": "gold"},
        {"snapshot_id": NEVER},
        {"source_volid": NEVER},
        {"imageRef": NEVER},
        {"imageRef": SECRET_IMAGE},
    ],
)
def test_what_there_is_not_is_404(api: Api, volume: dict[str, Any]) -> None:
    (name,) = volume.values()
    assert name in create(api, 404, size=1, **volume)


def test_of_an_image(api: Api) -> None:
    key = create(api, size=4, imageRef=f"http://glance/v2/images/{IMAGE}")["id"]
    disk, facts = made(api)
    assert (disk["origin"], disk["size"]) == (IMAGE, 4096)
    assert (facts["bootable"], facts["source_image"]) == ("1", IMAGE)
    found = shown(api, key)
    assert found["bootable"] == "true"
    told = found["volume_image_metadata"]
    assert (told["image_id"], told["image_name"], told["os_distro"]) == (IMAGE, "debian", "debian")


def test_of_an_image_that_is_not_active(api: Api) -> None:
    with api.engine.begin() as connection:
        connection.execute(update(db.image).where(db.image.c.id == IMAGE).values(status="deactivated"))
    assert "not active" in create(api, 400, size=4, imageRef=IMAGE)


def test_of_a_snapshot(api: Api) -> None:
    source = snapshot(api, add(api, facts={"bootable": "1"}))
    volume = create(api, snapshot_id=source)
    assert (volume["size"], volume["snapshot_id"], volume["bootable"]) == (2, source, "true")
    assert made(api)[0]["origin"] == f"snapshot:saved-{source}"
    assert "smaller than 2GB" in create(api, 400, size=1, snapshot_id=source)
    broken = snapshot(api, source, 2, status="error")
    assert "error" in create(api, 400, snapshot_id=broken)


def test_of_a_volume(api: Api) -> None:
    source = add(api, image_metadata=None) if "image_metadata" in db.volume.c else add(api)
    volume = create(api, source_volid=source)
    assert (volume["size"], volume["source_volid"]) == (2, source)
    assert "smaller than 2GB" in create(api, 400, size=1, source_volid=source)
    assert "deleting" in create(api, 400, source_volid=add(api, 2, task="deleting"))


def typed(front: Front, rapi: FakeRapi, **more: Any) -> Api:
    volumes = Volumes(types=("cow", "rbd", "rbd:fast"), default="rbd")
    return serve(front, rapi, Settings(front=front, volumes=volumes, **more)).become("alice")


def test_the_type_is_the_one_asked_for_else_what_the_source_has_else_the_default(front: Front, rapi: FakeRapi) -> None:
    api = typed(front, rapi)
    assert create(api, size=1)["volume_type"] == "rbd"
    assert create(api, size=1, volume_type="rbd:fast")["volume_type"] == "rbd:fast"
    disk, _ = made(api)
    assert (disk["provider"], disk["pool"]) == ("rbd", "fast")
    assert create(api, size=4, imageRef=IMAGE)["volume_type"] == "cow"  # where the image is
    assert "storage of cow" in create(api, 400, size=4, imageRef=IMAGE, volume_type="rbd")
    source = snapshot(api, add(api, type="rbd:fast"), provider="rbd", pool="fast")
    assert create(api, snapshot_id=source)["volume_type"] == "rbd:fast"
    assert "storage of rbd:fast" in create(api, 400, snapshot_id=source, volume_type="rbd")


def test_there_are_quotas(front: Front, rapi: FakeRapi) -> None:
    nobody = serve(front, rapi, Settings(front=front, quota=Quota(volumes=2, gigabytes=5)))
    api = nobody.become("alice")
    snapshot(api, add(api))
    assert "gigabytes" in create(api, 413, size=2)
    create(api, size=1)
    assert "volumes" in create(api, 413, size=1)
    create(nobody.become("bob", "foreign"), url=THEIRS, size=1)


@pytest.mark.parametrize("error", [RapiUnavailable("away"), RapiError("full", 503)])
def test_what_ganeti_does_not_take_is_not_there(api: Api, error: Exception) -> None:
    api.rapi.fails = error
    answer = api.call("POST", f"{VOLUMES}/volumes", json={"volume": {"size": 1}})
    assert answer.status_code in (500, 503)
    assert api.get(f"{VOLUMES}/volumes").json == {"volumes": []}


def test_it_is_changed(api: Api) -> None:
    key = add(api, metadata={"a": "b"}, facts={"description": "old"})
    url = f"{VOLUMES}/volumes/{key}"
    answer = api.call("PUT", url, json={"volume": {"name": "new", "description": "@#$%^*", "metadata": {"c": "d"}}})
    assert answer.status_code == 200, answer.text
    volume = answer.json["volume"]  # type: ignore[index]
    assert (volume["name"], volume["description"], volume["metadata"]) == ("new", "@#$%^*", {"c": "d"})
    assert {path for _, path, _, _ in api.rapi.calls} == {f"instances/gx-vol-{key}/tags"}
    assert api.call("PUT", url, json={"volume": {"name": None, "description": None}}).status_code == 200
    assert (shown(api, key)["name"], shown(api, key)["description"]) == (None, None)
    calls = len(api.rapi.calls)
    assert api.call("PUT", url, json={"volume": {}}).status_code == 200
    assert len(api.rapi.calls) == calls


def test_it_is_deleted(api: Api) -> None:
    key = add(api)
    assert api.call("DELETE", f"{VOLUMES}/volumes/{key}").status_code == 202
    assert [call[:2] for call in api.rapi.calls] == [("DELETE", f"instances/gx-vol-{key}")]
    assert shown(api, key)["status"] == "deleting"
    assert api.call("DELETE", f"{VOLUMES}/volumes/{key}").status_code == 202
    assert len(api.rapi.calls) == 1


def test_one_that_was_never_made_is_gone_at_once(api: Api) -> None:
    key = add(api, fault="no room", held=None)
    api.rapi.get_fails = RapiError("no such instance", 404)
    assert api.call("DELETE", f"{VOLUMES}/volumes/{key}").status_code == 202
    assert api.get(f"{VOLUMES}/volumes/{key}").status_code == 404


@pytest.mark.parametrize("task", ["creating", "extending", "awaiting-transfer", "retyping"])
def test_what_is_busy_is_not_deleted(api: Api, task: str) -> None:
    answer = api.call("DELETE", f"{VOLUMES}/volumes/{add(api, task=task)}")
    assert answer.status_code == 400
    assert task in message(answer.json)
    assert api.rapi.calls == []


def test_what_is_attached_is_not_deleted(api: Api) -> None:
    assert api.call("DELETE", f"{VOLUMES}/volumes/{attached(api)}").status_code == 400


def test_one_with_snapshots_goes_with_them_or_not_at_all(api: Api) -> None:
    key = add(api)
    snapshot(api, key)
    answer = api.call("DELETE", f"{VOLUMES}/volumes/{key}")
    assert answer.status_code == 400
    assert "1 dependent snapshots" in message(answer.json)
    assert api.rapi.calls == []
    assert api.call("DELETE", f"{VOLUMES}/volumes/{key}?cascade=True").status_code == 202
    assert shown(api, key)["status"] == "deleting"


def test_an_attachment_is_told(api: Api) -> None:
    key = attached(api)
    volume = shown(api, key)
    (place,) = volume["attachments"]
    assert volume["status"] == "in-use"
    assert place == {
        "id": key,
        "attachment_id": place["attachment_id"],
        "volume_id": key,
        "server_id": SERVER,
        "device": "/dev/vdc",
        "host_name": None,
        "attached_at": "2023-11-14T22:15:00.000000",
    }


def test_an_administrator_sees_whose_and_where(nobody: Api) -> None:
    adam = administrator(nobody)
    key = add(nobody, project_id=FOREIGN, type="rbd:fast")
    volume = shown(adam, key)
    assert volume["os-vol-tenant-attr:tenant_id"] == FOREIGN
    assert volume["os-vol-host-attr:host"] == "ganeti@rbd#fast"
    assert adam.call("DELETE", f"{VOLUMES}/volumes/{key}").status_code == 202
    assert row(nobody, key)["status"] == "deleting"


def test_the_address_names_the_tokens_project(api: Api, nobody: Api) -> None:
    add(api)
    for caller in (api, administrator(nobody)):
        answer = caller.get(f"{THEIRS}/volumes")
        assert answer.status_code == 400
        assert message(answer.json) == "Malformed request url"
    assert nobody.get(f"{VOLUMES}/volumes").status_code == 401


def test_another_projects_is_not_there(api: Api, nobody: Api) -> None:
    key = add(api, project_id=FOREIGN)
    for method, tail, sent in (
        ("GET", "", None),
        ("PUT", "", {"volume": {"name": "x"}}),
        ("DELETE", "", None),
        ("POST", "/action", {"os-extend": {"new_size": 9}}),
        ("GET", "/metadata", None),
    ):
        answers = [
            api.call(method, f"{VOLUMES}/volumes/{each}{tail}", **({"json": sent} if sent else {}))
            for each in (key, NEVER)
        ]
        assert answers[0].status_code == answers[1].status_code == 404
        assert answers[0].text == answers[1].text.replace(NEVER, key)
    assert api.rapi.calls == []
    assert nobody.become("bob", "foreign").get(f"{THEIRS}/volumes/{key}").status_code == 200


def test_microversions(api: Api) -> None:
    url, name = f"{VOLUMES}/volumes", "OpenStack-API-Version"
    for asked, told in ((None, "volume 3.0"), ("volume 3.12", "volume 3.12"), ("volume latest", "volume 3.42")):
        answer = api.get(url, headers={name: asked} if asked else {})
        assert (answer.status_code, answer.headers[name]) == (200, told)
        assert name in answer.headers["Vary"]
    assert api.get(url, headers={name: "volume 3.43"}).status_code == 406
    assert api.get(url, headers={name: "compute 2.1"}).headers[name] == "volume 3.0"


def test_what_is_told_of_an_image_follows_it(api: Api) -> None:
    with api.engine.begin() as connection:
        connection.execute(
            insert(db.image).values(
                id=NEVER, name="own", owner_id=MINE, visibility="private", size=1, sha256="", min_disk=0, min_ram=0,
                created=1.0, properties={"hw": "x"},
            )
        )  # fmt: skip
    create(api, size=1, imageRef=NEVER)
    told = json.loads(made(api)[1]["image_meta"])
    assert (told["image_id"], told["hw"], told["size"]) == (NEVER, "x", "1")
