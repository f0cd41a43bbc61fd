"""Whole ways of volumes: what a tenant asks, what a model of Ganeti makes of the jobs, what he is shown then."""

from __future__ import annotations

import random
from typing import Any

import pytest

from frontend.effect import purpose
from frontend.update import state
from tests.unit.frontend import updates
from tests.unit.frontend.conftest import IMAGE, SMALL, Api, FakeRapi
from tests.unit.frontend.modelled import Ganeti
from tests.unit.frontend.volumes import VOLUMES, act, row, shown

SERVERS = "/compute/v2.1/servers"


@pytest.fixture
def ganeti(api: Api, rapi: FakeRapi) -> Ganeti:
    return Ganeti(rapi, api.engine)


def volume(api: Api, **wanted: Any) -> str:
    answer = api.call("POST", f"{VOLUMES}/volumes", json={"volume": {"size": 2, "name": "data", **wanted}})
    assert answer.status_code == 202, answer.text
    return str(answer.json["volume"]["id"])  # type: ignore[index]


def server(api: Api, expect: int = 202, **wanted: Any) -> str:
    body = {"name": "web", "flavorRef": SMALL, "imageRef": IMAGE, **wanted}
    answer = api.call("POST", SERVERS, json={"server": body})
    assert answer.status_code == expect, answer.text
    return str(answer.json["server"]["id"]) if expect == 202 else answer.text  # type: ignore[index]


def attach(api: Api, ident: str, key: str, expect: int = 200) -> Any:
    answer = api.call("POST", f"{SERVERS}/{ident}/os-volume_attachments", json={"volumeAttachment": {"volumeId": key}})
    assert answer.status_code == expect, answer.text
    return answer.json


def detach(api: Api, ident: str, key: str, expect: int = 202) -> None:
    answer = api.call("DELETE", f"{SERVERS}/{ident}/os-volume_attachments/{key}")
    assert answer.status_code == expect, answer.text


def seen(api: Api, ident: str) -> dict[str, Any]:
    answer = api.get(f"{SERVERS}/{ident}", headers={"X-OpenStack-Nova-API-Version": "2.3"})
    assert answer.status_code == 200, answer.text
    return dict(answer.json["server"])  # type: ignore[index]


def disks(ganeti: Ganeti, name: str) -> list[str]:
    return [disk.name for disk in ganeti.instances[name].disks]


def root(key: str, **more: Any) -> dict[str, Any]:
    return {"source_type": "volume", "destination_type": "volume", "uuid": key, "boot_index": 0, **more}


def made(api: Api, ganeti: Ganeti) -> tuple[str, str]:
    """A server that runs and a volume that is free."""
    key, ident = volume(api), server(api)
    assert shown(api, key)["status"] == "creating"
    ganeti.run()
    assert (shown(api, key)["status"], seen(api, ident)["status"]) == ("available", "ACTIVE")
    return ident, key


def test_a_volume_goes_to_a_server_and_back(api: Api, ganeti: Ganeti) -> None:
    ident, key = made(api, ganeti)
    assert disks(ganeti, f"gx-vol-{key}") == [f"vol-{key}"]
    own = disks(ganeti, f"gx-{ident}")
    told = attach(api, ident, key)["volumeAttachment"]
    assert told == {"id": key, "volumeId": key, "serverId": ident, "device": f"/dev/vd{'abc'[len(own)]}"}
    assert shown(api, key)["status"] == "attaching"
    ganeti.run()
    assert (shown(api, key)["status"], shown(api, key)["attachments"][0]["server_id"]) == ("in-use", ident)
    assert seen(api, ident)["os-extended-volumes:volumes_attached"] == [{"id": key, "delete_on_termination": False}]
    assert (disks(ganeti, f"gx-{ident}"), disks(ganeti, f"gx-vol-{key}")) == ([*own, f"vol-{key}"], [])
    assert api.get(f"{SERVERS}/{ident}/os-volume_attachments").json == {"volumeAttachments": [told]}
    assert row(api, key)["size"] == 2
    assert seen(api, ident)["status"] == "ACTIVE"
    attach(api, ident, key, 400)
    assert api.call("DELETE", f"{VOLUMES}/volumes/{key}").status_code == 400
    detach(api, ident, key)
    assert shown(api, key)["status"] == "detaching"
    ganeti.run()
    assert (shown(api, key)["status"], shown(api, key)["attachments"]) == ("available", [])
    assert (disks(ganeti, f"gx-{ident}"), disks(ganeti, f"gx-vol-{key}")) == (own, [f"vol-{key}"])
    detach(api, ident, key, 404)
    api.call("DELETE", f"{VOLUMES}/volumes/{key}")
    assert shown(api, key)["status"] == "deleting"
    ganeti.run()
    assert api.get(f"{VOLUMES}/volumes/{key}").status_code == 404
    assert f"gx-vol-{key}" not in ganeti.instances


def test_it_grows_where_it_is(api: Api, ganeti: Ganeti) -> None:
    ident, key = made(api, ganeti)
    attach(api, ident, key)
    ganeti.run()
    act(api, key, "os-extend", {"new_size": 5}, minor=42)
    ganeti.run()
    assert (shown(api, key)["status"], shown(api, key)["size"]) == ("in-use", 5)
    assert ganeti.instances[f"gx-{ident}"].disks[-1].size == 5120


@pytest.mark.parametrize("broken", [False, True])
def test_its_disk_is_exchanged_for_a_clone_of_its_snapshot(api: Api, ganeti: Ganeti, broken: bool) -> None:
    key = made(api, ganeti)[1]
    taken = api.call("POST", f"{VOLUMES}/snapshots", json={"snapshot": {"volume_id": key}}).json["snapshot"]  # type: ignore[index]
    ganeti.run()
    first = ganeti.instances[f"gx-vol-{key}"].disks[0].uuid
    ganeti.fails = {len(api.rapi.calls) + 1} if broken else set()
    act(api, key, "revert", {"snapshot_id": taken["id"]}, minor=40)
    assert shown(api, key)["status"] == "reverting"
    act(api, key, "revert", {"snapshot_id": taken["id"]}, 409, minor=40)
    ganeti.run()
    assert (shown(api, key)["status"], shown(api, key)["size"]) == ("available", 2)
    assert disks(ganeti, f"gx-vol-{key}") == [f"vol-{key}"]
    assert (ganeti.instances[f"gx-vol-{key}"].disks[0].uuid == first) == broken


@pytest.mark.parametrize("broken", [1, 2])
def test_an_attachment_that_fails_gives_the_disk_back(api: Api, ganeti: Ganeti, broken: int) -> None:
    ident, key = made(api, ganeti)
    ganeti.fails = {len(api.rapi.calls) + broken}
    attach(api, ident, key)
    ganeti.run()
    assert (shown(api, key)["status"], shown(api, key)["attachments"]) == ("available", [])
    assert disks(ganeti, f"gx-vol-{key}") == [f"vol-{key}"]
    assert seen(api, ident)["os-extended-volumes:volumes_attached"] == []


@pytest.mark.parametrize("broken", [1, 2])
def test_a_detachment_that_fails_leaves_it_to_the_server(api: Api, ganeti: Ganeti, broken: int) -> None:
    ident, key = made(api, ganeti)
    attach(api, ident, key)
    ganeti.run()
    ganeti.fails = {len(api.rapi.calls) + broken}
    detach(api, ident, key)
    ganeti.run()
    assert (shown(api, key)["status"], shown(api, key)["attachments"][0]["server_id"]) == ("in-use", ident)
    assert f"vol-{key}" in disks(ganeti, f"gx-{ident}")


def test_a_disk_that_nobody_has_is_told_and_can_be_deleted(api: Api, ganeti: Ganeti) -> None:
    """Both the way there and the way back fail."""
    ident, key = made(api, ganeti)
    ganeti.fails = {len(api.rapi.calls) + 2, len(api.rapi.calls) + 3}
    attach(api, ident, key)
    ganeti.run()
    assert (shown(api, key)["status"], list(ganeti.loose)) == ("error", [f"vol-{key}"])
    assert api.call("DELETE", f"{VOLUMES}/volumes/{key}").status_code == 202
    ganeti.run()
    assert api.get(f"{VOLUMES}/volumes/{key}").status_code == 404
    assert list(ganeti.loose) == []  # it went with its holder


def test_a_server_that_an_administrator_removes_takes_its_volume_with_it(api: Api, ganeti: Ganeti) -> None:
    ident, key = made(api, ganeti)
    attach(api, ident, key)
    ganeti.run()
    api.rapi.submit("DELETE", f"instances/gx-{ident}")
    ganeti.run()
    assert (shown(api, key)["status"], shown(api, key)["attachments"]) == ("error", [])
    assert api.call("DELETE", f"{VOLUMES}/volumes/{key}").status_code == 202


def test_a_server_is_deleted_and_its_volume_stays(api: Api, ganeti: Ganeti) -> None:
    ident, key = made(api, ganeti)
    attach(api, ident, key)
    ganeti.run()
    assert api.call("DELETE", f"{SERVERS}/{ident}").status_code == 204
    assert (seen(api, ident)["OS-EXT-STS:task_state"], shown(api, key)["status"]) == ("deleting", "detaching")
    ganeti.run()
    assert api.get(f"{SERVERS}/{ident}").status_code == 404
    assert (shown(api, key)["status"], disks(ganeti, f"gx-vol-{key}")) == ("available", [f"vol-{key}"])


@pytest.mark.parametrize("fails", [False, True])
def test_a_server_is_deleted_while_its_volume_leaves(api: Api, ganeti: Ganeti, *, fails: bool) -> None:
    ident, key = made(api, ganeti)
    attach(api, ident, key)
    ganeti.run()
    ganeti.fails = {len(api.rapi.calls) + 2} if fails else set()
    detach(api, ident, key)
    api.call("DELETE", f"{SERVERS}/{ident}")
    ganeti.run()
    assert api.get(f"{SERVERS}/{ident}").status_code == (200 if fails else 404)
    assert shown(api, key)["status"] == ("in-use" if fails else "available")
    assert f"vol-{key}" in disks(ganeti, f"gx-{ident}" if fails else f"gx-vol-{key}")


def test_a_mark_that_it_leaves_is_no_job(api: Api, ganeti: Ganeti) -> None:
    ident, key = made(api, ganeti)
    attach(api, ident, key)
    ganeti.run()
    api.call("POST", f"{VOLUMES}/volumes/{key}/action", json={"os-begin_detaching": {}})
    assert shown(api, key)["status"] == "detaching"
    api.call("DELETE", f"{SERVERS}/{ident}")
    ganeti.run()
    assert (shown(api, key)["status"], disks(ganeti, f"gx-vol-{key}")) == ("available", [f"vol-{key}"])


def test_a_server_whose_volume_cannot_be_given_back_stays(api: Api, ganeti: Ganeti) -> None:
    ident, key = made(api, ganeti)
    attach(api, ident, key)
    ganeti.run()
    ganeti.fails = {len(api.rapi.calls) + 3}
    api.call("DELETE", f"{SERVERS}/{ident}")
    ganeti.run()
    assert (seen(api, ident)["status"], shown(api, key)["status"]) == ("SHUTOFF", "in-use")
    assert f"vol-{key}" in disks(ganeti, f"gx-{ident}")


@pytest.mark.parametrize("autodelete", [True, False])
def test_a_server_boots_from_a_volume_that_is_made_for_it(api: Api, ganeti: Ganeti, *, autodelete: bool) -> None:
    device = {"source_type": "image", "volume_size": 4, "delete_on_termination": autodelete}
    ident = server(api, imageRef="", block_device_mapping_v2=[root(IMAGE, **device)])
    ((key, told),) = [(each["id"], each) for each in seen(api, ident)["os-extended-volumes:volumes_attached"]]
    assert (seen(api, ident)["status"], seen(api, ident)["image"], told["delete_on_termination"]) == (
        "BUILD", "", autodelete,
    )  # fmt: skip
    ganeti.run()
    assert (seen(api, ident)["status"], seen(api, ident)["image"], shown(api, key)["status"]) == (
        "ACTIVE",
        "",
        "in-use",
    )
    assert disks(ganeti, f"gx-{ident}") == [f"vol-{key}", f"gx-{ident}-seed"]
    assert (shown(api, key)["size"], shown(api, key)["bootable"]) == (4, "true")
    assert shown(api, key)["attachments"][0]["device"] == "/dev/vda"
    detach(api, ident, key, 400)
    api.call("DELETE", f"{SERVERS}/{ident}")
    ganeti.run()
    assert api.get(f"{SERVERS}/{ident}").status_code == 404
    assert (f"gx-vol-{key}" in ganeti.instances) is not autodelete
    assert api.get(f"{VOLUMES}/volumes/{key}").status_code == (404 if autodelete else 200)


def test_a_server_boots_from_a_volume_and_has_another(api: Api, ganeti: Ganeti) -> None:
    first, second = volume(api, imageRef=IMAGE, size=3), volume(api)
    ganeti.run()
    wanted = [{**root(second), "boot_index": -1}, root(first)]
    ident = server(api, imageRef="", block_device_mapping_v2=wanted)
    ganeti.run()
    assert disks(ganeti, f"gx-{ident}") == [f"vol-{first}", f"gx-{ident}-seed", f"vol-{second}"]
    assert [shown(api, key)["attachments"][0]["device"] for key in (first, second)] == ["/dev/vda", "/dev/vdc"]
    assert seen(api, ident)["status"] == "ACTIVE"


@pytest.mark.parametrize("operation", ["CREATE", "SET_PARAMS"])
def test_until_it_has_its_volumes_a_server_is_being_built(operation: str) -> None:
    kind = purpose.Purpose(purpose.BOOT, "") if operation == "CREATE" else purpose.Purpose(purpose.ATTACH, "x")
    fields: dict[str, Any] = {"job_fields": {"start": False}, "reason": [["gnt:user", kind.reason]]}
    told = updates.op(operation, "success", **fields, **updates.read(running=False, at=5))
    row_ = updates.row(job=12)
    assert state.status({**row_, **(state.advance(row_, told, {}) or {})}) == "BUILD"


@pytest.mark.parametrize("broken", [2, 4, 6])
def test_a_boot_from_a_volume_that_fails_is_an_error(api: Api, ganeti: Ganeti, broken: int) -> None:
    """The server is not made, does not get the volume, or does not start: jobs after the volume's own."""
    device = {"source_type": "image", "volume_size": 4}
    ident = server(api, imageRef="", block_device_mapping_v2=[root(IMAGE, **device)])
    ((key, *_),) = [each.values() for each in seen(api, ident)["os-extended-volumes:volumes_attached"]]
    ganeti.fails = {broken}
    ganeti.run()
    assert seen(api, ident)["status"] == "ERROR"
    assert shown(api, key)["status"] == ("in-use" if broken == 6 else "available")
    api.call("DELETE", f"{SERVERS}/{ident}")
    ganeti.run()
    assert shown(api, key)["status"] == "available"
    assert disks(ganeti, f"gx-vol-{key}") == [f"vol-{key}"]


@pytest.mark.parametrize(
    ("devices", "words"),
    [
        ([], "Boot sequence"),
        ([root("x", boot_index=None)], "Boot sequence"),
        ([root("x"), root("y")], "Boot sequence"),
        ([root("x")], "failed to get volume x"),
        ([root("x", source_type="snapshot")], "failed to get snapshot x"),
        ([root("x", source_type="image", volume_size=3)], "failed to get image x"),
        ([root(IMAGE, source_type="image")], "volume_size is missing"),
        ([root("", source_type="blank", volume_size=1)], "blank volume cannot be booted"),
        ([root("x", source_type="tape")], "none of image"),
        ([root("x", destination_type="tape")], "neither local nor volume"),
    ],
)  # fmt: skip
def test_what_is_no_block_device_is_refused(api: Api, devices: list[Any], words: str) -> None:
    assert words in server(api, 400, imageRef="", block_device_mapping_v2=devices)
    assert api.rapi.calls == []


@pytest.mark.parametrize("seed", range(12))
def test_messages_in_any_order_end_the_same(api: Api, ganeti: Ganeti, seed: int) -> None:
    dice = random.Random(seed)
    ident, key = made(api, ganeti)
    device = {"source_type": "image", "volume_size": 4}
    other = server(api, imageRef="", block_device_mapping_v2=[root(IMAGE, **device)])
    attach(api, ident, key)
    ganeti.run(dice)
    assert (shown(api, key)["status"], shown(api, key)["attachments"][0]["server_id"]) == ("in-use", ident)
    assert seen(api, other)["status"] == "ACTIVE"
    ((boot, *_),) = [each.values() for each in seen(api, other)["os-extended-volumes:volumes_attached"]]
    assert shown(api, boot)["status"] == "in-use"
    detach(api, ident, key)
    api.call("DELETE", f"{SERVERS}/{other}")
    ganeti.run(dice)
    assert [shown(api, each)["status"] for each in (key, boot)] == ["available", "available"]
    assert [shown(api, each)["attachments"] for each in (key, boot)] == [[], []]
    assert api.get(f"{SERVERS}/{other}").status_code == 404
