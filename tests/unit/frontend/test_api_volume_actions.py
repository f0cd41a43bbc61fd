"""What is done to volumes of Block Storage, and what is said of them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, update

from frontend.database import db
from frontend.settings import Front, Quota, Settings
from ganeti_ext import tags
from tests.unit.frontend.admins import administrator
from tests.unit.frontend.conftest import COMPUTE, FOREIGN, Api, FakeRapi, serve
from tests.unit.frontend.volumes import SERVER, VOLUMES, act, add, attached, ident, message, row, shown

DISK = f"vol-{ident(1)}"
HOLDER = f"instances/gx-vol-{ident(1)}"


def paths(api: Api) -> list[str]:
    return [call[1] for call in api.rapi.calls]


def added_tags(api: Api) -> dict[str, str]:
    """The facts that instances were tagged with."""
    return tags.decode(tag for method, path, _, query in api.rapi.calls if method == "PUT" for tag in query["tag"])


def test_it_is_extended_in_its_holder(api: Api) -> None:
    act(api, add(api), "os-extend", {"new_size": 5})
    ((method, path, body, _),) = api.rapi.calls
    assert (method, path, body["amount"], body["absolute"]) == ("POST", f"{HOLDER}/disk/0/grow", 5120, True)
    assert shown(api, ident(1))["status"] == "extending"


def test_it_is_extended_in_the_server_that_has_it_from_3_42(api: Api) -> None:
    key = attached(api)
    said = message(act(api, key, "os-extend", {"new_size": "3"}, 400, minor=41))
    assert "status must be available to extend, but current status is: in-use" in said
    assert api.rapi.calls == []
    act(api, key, "os-extend", {"new_size": "3"}, minor=42)
    told = api.get(f"{COMPUTE}/servers/{SERVER}/os-instance-actions").json["instanceActions"]  # type: ignore[index]
    assert [each["action"] for each in told] == ["extend_volume"]
    assert paths(api) == [f"instances/gx-{SERVER}/disk/2/grow"]


@pytest.mark.parametrize("size", [0, 1, 2, "abc", None, -1, 1 << 40])
def test_it_does_not_shrink(api: Api, size: Any) -> None:
    message(act(api, add(api), "os-extend", {"new_size": size}, 400))
    assert api.rapi.calls == []


def test_the_quota_holds_for_what_is_added(front: Front, rapi: FakeRapi) -> None:
    api = serve(front, rapi, Settings(front=front, quota=Quota(gigabytes=4))).become("alice")
    key = add(api)
    message(act(api, key, "os-extend", {"new_size": 5}, 413))
    act(api, key, "os-extend", {"new_size": 4})


def test_bootable_is_said_in_its_tags(api: Api) -> None:
    key = add(api)
    act(api, key, "os-set_bootable", {"bootable": True}, 200)
    assert added_tags(api)["bootable"] == "1"
    assert shown(api, key)["bootable"] == "true"
    act(api, key, "os-set_bootable", {"bootable": "false"}, 200)
    assert shown(api, key)["bootable"] == "false"
    act(api, key, "os-set_bootable", {}, 400)


def test_readonly_is_shown_in_the_metadata(api: Api) -> None:
    key = add(api, metadata={"a": "b"})
    for flag in (True, False):
        act(api, key, "os-update_readonly_flag", {"readonly": flag})
        assert shown(api, key)["metadata"] == {"a": "b", "readonly": str(flag)}
    act(api, attached(api, 2), "os-update_readonly_flag", {"readonly": True}, 400)


def test_what_is_told_of_an_image_is_changed(api: Api) -> None:
    key = add(api, facts={"image_meta": '{"image_name": "debian"}'})
    told = {"image_name": "debian", "os": "x"}
    assert act(api, key, "os-set_image_metadata", {"metadata": {"os": "x"}}, 200) == {"metadata": told}
    assert shown(api, key)["volume_image_metadata"] == told
    assert act(api, key, "os-show_image_metadata", None, 200) == {"metadata": told}
    act(api, key, "os-unset_image_metadata", {"key": "os"}, 200)
    act(api, key, "os-unset_image_metadata", {"key": "os"}, 404)
    assert shown(api, key)["volume_image_metadata"] == {"image_name": "debian"}
    act(api, key, "os-set_image_metadata", {}, 400)


def test_metadata(api: Api) -> None:
    key = add(api)
    url = f"{VOLUMES}/volumes/{key}/metadata"
    items = {"key1": "value1", "key4": "<value&special_chars>"}
    assert api.call("POST", url, json={"metadata": items}).json == {"metadata": items}
    assert api.get(url).json == {"metadata": items}
    new = {"key4": "value4", "key1": "other"}
    assert api.call("PUT", url, json={"metadata": new}).json == {"metadata": new}
    assert api.call("PUT", f"{url}/key4", json={"meta": {"key4": "x"}}).json == {"meta": {"key4": "x"}}
    assert api.get(f"{url}/key4").json == {"meta": {"key4": "x"}}
    assert api.call("DELETE", f"{url}/key1").status_code == 200
    assert api.call("DELETE", f"{url}/key1").status_code == api.get(f"{url}/key1").status_code == 404
    assert shown(api, key)["metadata"] == {"key4": "x"}
    assert api.call("PUT", url, json={"metadata": {}}).json == {"metadata": {}}
    for method, tail, sent in (
        ("POST", "", {}),
        ("POST", "", {"metadata": {"": "x"}}),
        ("POST", "", {"metadata": {"a": None}}),
        ("PUT", "/a", {"meta": {"b": "x"}}),
    ):
        assert api.call(method, url + tail, json=sent).status_code == 400
    assert shown(api, key)["metadata"] == {}


def test_it_is_attached_to_an_own_server_alone(api: Api) -> None:
    key = add(api)
    api.server(id=SERVER, disks=[{"name": None, "uuid": "u0", "size": 5120}])
    act(api, key, "os-attach", {"instance_uuid": SERVER, "mountpoint": "/dev/vdb"})
    assert paths(api)[:2] == [f"{HOLDER}/modify", f"instances/gx-{SERVER}/modify"]
    assert shown(api, key)["status"] == "attaching"
    other = api.server(project_id=FOREIGN)["id"]
    calls = len(api.rapi.calls)
    words = message(act(api, add(api, 2), "os-attach", {"instance_uuid": other}, 404))
    assert words == message(act(api, ident(2), "os-attach", {"instance_uuid": ident(9)}, 404)).replace(ident(9), other)
    assert len(api.rapi.calls) == calls


@pytest.mark.parametrize(
    ("argument", "status"),
    [
        ({}, 400),
        ({"instance_uuid": SERVER, "host_name": "node1"}, 400),
        ({"instance_uuid": SERVER, "mode": "ro"}, 400),
        ({"instance_uuid": SERVER, "mode": "x"}, 400),
        ({"instance_uuid": SERVER, "mountpoint": "/dev/vda"}, 409),
    ],
)
def test_what_cannot_be_attached(api: Api, argument: dict[str, str], status: int) -> None:
    api.server(id=SERVER, disks=[{"name": None, "uuid": "u0", "size": 5120}])
    message(act(api, add(api), "os-attach", argument, status))
    assert api.rapi.calls == []


def test_what_is_only_to_be_read_is_attached_to_none(api: Api) -> None:
    api.server(id=SERVER, disks=[])
    key = add(api, facts={"readonly": "1"})
    assert "only to be read" in message(act(api, key, "os-attach", {"instance_uuid": SERVER}, 400))
    sent = {"volumeAttachment": {"volumeId": key}}
    assert api.call("POST", f"{COMPUTE}/servers/{SERVER}/os-volume_attachments", json=sent).status_code == 400
    assert api.rapi.calls == []


def test_a_locked_server_keeps_its_volumes(api: Api) -> None:
    key = attached(api)
    api.change(SERVER, facts={"locked": "1"})
    act(api, key, "os-detach", {}, 409)
    assert api.rapi.calls == []


def test_it_is_detached(api: Api) -> None:
    key = attached(api)
    (place,) = shown(api, key)["attachments"]
    act(api, key, "os-detach", {"attachment_id": ident(9)}, 400)
    act(api, key, "os-detach", {"attachment_id": place["attachment_id"]})
    assert paths(api)[:2] == [f"instances/gx-{SERVER}/modify", f"{HOLDER}/modify"]
    assert shown(api, key)["status"] == "detaching"
    act(api, key, "os-detach", {}, 400)


def test_an_administrator_detaches_what_he_said_is_broken(api: Api, nobody: Api) -> None:
    adam, key = administrator(nobody), attached(api, fault="An administrator said so.")
    act(api, key, "os-detach", {}, 400)
    act(api, key, "os-force_detach", {}, 403)
    act(adam, key, "os-force_detach", {"connector": None})
    assert paths(api)[:2] == [f"instances/gx-{SERVER}/modify", f"{HOLDER}/modify"]
    assert shown(api, key)["status"] == "detaching"
    act(adam, add(api, 2, fault="no room"), "os-force_detach", {}, 400)


def test_the_root_of_a_server_stays(api: Api) -> None:
    act(api, attached(api, device="/dev/vda"), "os-detach", {}, 400)
    assert api.rapi.calls == []


def test_a_reservation(api: Api) -> None:
    key = add(api)
    act(api, key, "os-reserve")
    assert shown(api, key)["status"] == "attaching"
    assert "attaching" in message(act(api, key, "os-reserve", None, 400))
    act(api, key, "os-unreserve")
    act(api, key, "os-unreserve")
    assert shown(api, key)["status"] == "available"
    assert api.rapi.calls == []


def test_who_reserved_it_may_attach_it(api: Api) -> None:
    key = add(api)
    api.server(id=SERVER, disks=[])
    act(api, key, "os-reserve")
    act(api, key, "os-attach", {"instance_uuid": SERVER})
    act(api, key, "os-unreserve")  # a real one is not ended by it
    assert shown(api, key)["status"] == "attaching"


def test_a_detachment_is_begun_and_given_up(api: Api) -> None:
    key = attached(api)
    act(api, key, "os-begin_detaching")
    assert shown(api, key)["status"] == "detaching"
    act(api, key, "os-begin_detaching", None, 400)
    act(api, key, "os-roll_detaching")
    assert shown(api, key)["status"] == "in-use"
    act(api, key, "os-begin_detaching")
    act(api, key, "os-detach", {})
    act(api, key, "os-roll_detaching")
    assert shown(api, key)["status"] == "detaching"


def test_an_administrator_resets_the_status(api: Api, nobody: Api) -> None:
    adam, key = administrator(nobody), add(api, task="attaching", job=7)
    act(api, key, "os-reset_status", {"status": "error"}, 403)
    act(adam, key, "os-reset_status", {"status": "error"})
    assert shown(api, key)["status"] == "error"
    act(adam, key, "os-reset_status", {"status": "available"})
    assert shown(api, key)["status"] == "available"
    assert (row(api, key)["fault"], row(api, key)["task"]) == (None, None)
    act(adam, attached(api, 2), "os-reset_status", {"status": "available"})
    assert shown(api, ident(2))["status"] == "in-use"  # as Ganeti says
    for status in ("maintenance", "deleting", ""):
        act(adam, key, "os-reset_status", {"status": status}, 400)


def test_the_status_of_what_is_offered_is_its_transfers(api: Api, nobody: Api) -> None:
    adam, key = administrator(nobody), add(api)
    made = api.call("POST", f"{VOLUMES}/volume-transfers", json={"transfer": {"volume_id": key}}).json["transfer"]  # type: ignore[index]
    message(act(adam, key, "os-reset_status", {"status": "available"}, 400))
    assert shown(api, key)["status"] == "awaiting-transfer"
    with api.engine.begin() as connection:
        connection.execute(delete(db.volume_transfer).where(db.volume_transfer.c.id == made["id"]))
    act(adam, key, "os-reset_status", {"status": "available"})  # a mark that nothing stands behind
    assert shown(api, key)["status"] == "available"


def test_an_administrator_deletes_whatever_its_status(api: Api, nobody: Api) -> None:
    adam, key = administrator(nobody), add(api, task="retyping", project_id=FOREIGN)
    act(api, key, "os-force_delete", None, 404)
    act(adam, key, "os-force_delete")
    assert paths(api) == [HOLDER]
    act(adam, attached(api, 2), "os-force_delete", None, 400)


@pytest.mark.parametrize(
    ("action", "status"),
    [
        ("os-initialize_connection", 501),
        ("os-terminate_connection", 501),
        ("os-migrate_volume", 403),
        ("os-unmanage", 403),
        ("nonsense", 400),
    ],
)
def test_what_there_is_not(api: Api, action: str, status: int) -> None:
    message(act(api, add(api), action, None, status))


def test_one_action_at_a_time(api: Api) -> None:
    url = f"{VOLUMES}/volumes/{add(api)}/action"
    both: Any = {"os-reserve": {}, "os-unreserve": {}}
    no: Any = {}
    for sent in (no, both):
        assert api.call("POST", url, json=sent).status_code == 400
    for name in ("os-extend", "os-attach", "os-retype", "os-set_bootable", "os-volume_upload_image"):
        assert api.call("POST", url, json={name: None}).status_code == 400


def test_what_is_being_made_is_not_changed(api: Api) -> None:
    key = add(api, task="creating", held=None)
    for name, argument in (("os-extend", {"new_size": 5}), ("os-set_bootable", {"bootable": True})):
        answer = api.call("POST", f"{VOLUMES}/volumes/{key}/action", json={name: argument})
        assert answer.status_code in (400, 409)
    assert api.rapi.calls == []


def test_a_mark_is_not_put_on_what_changed_meanwhile(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from frontend.volume import volumeeffect  # noqa: PLC0415 (patched)

    key = add(api)

    def meanwhile(*_: Any) -> None:
        with api.engine.begin() as connection:
            connection.execute(
                update(db.volume).where(db.volume.c.id == key).values(task="deleting", status="deleting")
            )

    monkeypatch.setattr(volumeeffect, "check", meanwhile)
    act(api, key, "os-reserve", None, 400)
    assert shown(api, key)["status"] == "deleting"
