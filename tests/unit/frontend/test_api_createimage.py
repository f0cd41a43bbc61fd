"""createImage, what is told of it, and the deletion of such an image."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from frontend.database import db
from frontend.database.vault import Vault
from frontend.effect.payer import Payer
from frontend.effect.unwanted import DELETED
from frontend.update.mirror import Mirror
from ganeti_ext import event
from ganeti_ext.errors import RapiUnavailable
from tests.unit.frontend import updates
from tests.unit.frontend.conftest import COMPUTE, FOREIGN, GIB, IMAGE, MINE, SECRET_IMAGE, SMALL, Api

IMAGES = "/image/v2/images"


def act(api: Api, row: dict[str, Any], **body: Any) -> Any:
    return api.call("POST", f"{COMPUTE}/servers/{row['id']}/action", json=body)


def make(api: Api, row: dict[str, Any], name: str = "snap") -> str:
    answer = act(api, row, createImage={"name": name, "metadata": {"role": "web"}})
    assert (answer.status_code, answer.data) == (202, b""), answer.text
    return str(answer.headers["Location"].rpartition("/")[2])


def hear(api: Api, ident: str, status: str, kind: str = "snapshot", opcode: str = "SET_PARAMS", **more: Any) -> None:
    reason = [["gnt:user", f"ganeti-ext:{kind}:{ident}"]]
    Mirror(api.engine, "gx-").take(event.encode(updates.op(opcode, status, reason=reason, **more)))


def image(api: Api, ident: str) -> dict[str, Any] | None:
    with api.engine.connect() as connection:
        return db.row(connection, select(db.image).where(db.image.c.id == ident))


def steps(tag: str) -> list[tuple[str, str, Any, Any]]:
    return [
        ("PUT", "tags", tag, None),
        ("PUT", "modify", {"disks": [["modify", 0, {}]], "ignore_ipolicy": True}, ["success"]),
        ("DELETE", "tags", tag, ["success", "error", "canceled"]),
    ]


def called(api: Api, reason: str) -> list[tuple[str, str, Any, Any]]:
    found = []
    for method, path, body, query in api.rapi.calls:
        assert query["reason"] == f"ganeti-ext:{reason}"
        rest = {key: value for key, value in (body or {}).items() if key != "depends"}
        depends = (body or {}).get("depends", [[None, None]])[0][1]
        found.append((method, path.rpartition("/")[2], query["tag"][0] if "tag" in query else rest, depends))
    return found


@pytest.mark.parametrize("status", ["ACTIVE", "SHUTOFF"])
def test_a_hook_makes_it_while_a_job_holds_the_instance(api: Api, status: str) -> None:
    row = api.server(status=status)
    ident = make(api, row)
    assert called(api, f"snapshot:{ident}") == steps(f"ganeti-ext:saving:cow:{ident}")
    shown = api.get(f"{IMAGES}/{ident}").json
    assert shown is not None
    wanted = {"name": "snap", "status": "saving", "visibility": "private", "owner": MINE, "size": None, "min_disk": 5}
    wanted |= {"image_type": "snapshot", "instance_uuid": row["id"], "base_image_ref": IMAGE, "role": "web"}
    wanted |= {"os_distro": "debian", "protected": False}  # the first of its base
    assert {key: shown[key] for key in wanted} == wanted
    server = api.get(f"{COMPUTE}/servers/{row['id']}").json["server"]  # type: ignore[index]
    assert (server["status"], server["OS-EXT-STS:task_state"]) == (status, "image_snapshot")


def test_active_once_its_job_is_done(api: Api) -> None:
    ident = make(api, api.server())
    hear(api, ident, "running")
    hear(api, ident, "success", opcode="OP_TAGS_SET")
    assert api.get(f"{IMAGES}/{ident}").json["status"] == "saving"  # type: ignore[index]
    told: dict[str, Any] = {
        "instance_state": {"tags": []},
        "instance_disks": [{"size": 7000}, {"size": 4}],
        "read_at": [1, 0],
    }
    for _ in range(2):
        hear(api, ident, "success", **told)
    shown = api.get(f"{IMAGES}/{ident}").json
    assert shown is not None
    assert (shown["status"], shown["size"]) == ("active", 7000 << 20)
    hear(api, ident, "error")  # of another job that says so: too late
    assert api.get(f"{IMAGES}/{ident}").json["status"] == "active"  # type: ignore[index]


@pytest.mark.parametrize("status", ["error", "canceled"])
def test_killed_when_its_job_fails(api: Api, status: str) -> None:
    ident = make(api, api.server())
    hear(api, ident, status, result="Hooks aborted: node7 ...")
    answer = api.get(f"{IMAGES}/{ident}")
    assert answer.json["status"] == "killed"  # type: ignore[index]
    assert "node7" not in answer.text


def test_a_server_of_it_is_made_by_the_same_provider(api: Api) -> None:
    ident = make(api, api.server(status="SHUTOFF"))
    body = {"server": {"name": "copy", "imageRef": ident, "flavorRef": SMALL}}
    assert api.call("POST", f"{COMPUTE}/servers", json=body).status_code == 400  # not yet
    hear(api, ident, "success")
    api.rapi.calls.clear()
    assert api.call("POST", f"{COMPUTE}/servers", json=body).status_code == 202
    disk = api.rapi.calls[0][2]["disks"][0]
    assert (disk["origin"], disk["provider"]) == (f"snapshot:saved-{ident}", "cow")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"status": "BUILD", "task": "spawning"}, 409),
        ({"status": "ERROR"}, 409),
        ({"task": "image_snapshot"}, 409),
        ({"project_id": FOREIGN}, 404),
    ],
)
def test_in_the_wrong_state(api: Api, changes: dict[str, Any], code: int) -> None:
    answer = act(api, api.server(**changes), createImage={"name": "snap"})
    assert (answer.status_code, api.rapi.calls) == (code, [])


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"name": ""},
        {"name": "x" * 256},
        {"name": "x", "metadata": {"": ""}},
        {"name": "x", "metadata": {"a" * 260: "b" * 260}},
        {"name": "x", "metadata": {"a": 1}},
    ],
)
def test_a_body_that_is_wrong(api: Api, body: Any) -> None:
    assert act(api, api.server(), createImage=body).status_code == 400
    assert api.rapi.calls == []


def test_none_when_ganeti_is_away(api: Api) -> None:
    api.rapi.fails = RapiUnavailable("RAPI: down")
    assert act(api, api.server(), createImage={"name": "snap"}).status_code == 503
    assert len(api.get(IMAGES).json["images"]) == 1  # type: ignore[index]


def test_deleted(api: Api) -> None:
    row = api.server()
    ident = make(api, row)
    hear(api, ident, "success")
    api.rapi.calls.clear()
    assert api.call("DELETE", f"{IMAGES}/{ident}").status_code == 204
    assert called(api, f"forget:{ident}") == steps(f"ganeti-ext:forget:cow:{ident}")
    assert api.get(f"{IMAGES}/{ident}").status_code == 404
    assert api.call("DELETE", f"{IMAGES}/{ident}").status_code == 404
    assert [each["id"] for each in api.get(IMAGES).json["images"]] == [IMAGE]  # type: ignore[index]
    hear(api, ident, "error", kind="forget")
    assert (image(api, ident) or {})["status"] == DELETED
    hear(api, ident, "success", kind="forget")
    assert image(api, ident) is None


def test_deleted_while_it_is_saved(api: Api) -> None:
    ident = make(api, api.server())
    last, api.rapi.calls[:] = api.rapi.job, []
    assert api.call("DELETE", f"{IMAGES}/{ident}").status_code == 204
    assert api.rapi.calls[0][2] == {"depends": [[last, ["success", "error", "canceled"]]]}
    hear(api, ident, "success")  # what it was: the snapshot is there now, and about to go
    assert (image(api, ident) or {})["status"] == DELETED


def test_deleted_when_its_server_is_gone(api: Api) -> None:
    row, foreign, other = api.server(), api.server(project_id=FOREIGN), api.server(status="SHUTOFF")
    ident = make(api, row)
    hear(api, ident, "success")
    api.change(row["id"], deleted=time.time())
    api.rapi.calls.clear()
    assert api.call("DELETE", f"{IMAGES}/{ident}").status_code == 204
    assert {call[1].split("/")[1] for call in api.rapi.calls} == {other["instance"]}
    assert foreign["instance"] != other["instance"]


def seen_by_the_payer(api: Api) -> list[str]:
    """What the jobs are for that he submits."""
    api.rapi.calls.clear()
    Payer(api.engine, api.rapi, Vault("v" * 40)).work()
    return [call[3]["reason"] for call in api.rapi.calls]


def test_what_could_not_be_removed_is_tried_again(api: Api) -> None:
    row = api.server()
    ident = make(api, row)
    hear(api, ident, "success")
    api.rapi.fails = RapiUnavailable("RAPI: down")
    assert api.call("DELETE", f"{IMAGES}/{ident}").status_code == 204
    api.rapi.fails = None
    assert seen_by_the_payer(api) == []  # it is too soon
    with api.engine.begin() as connection:
        connection.execute(update(db.image).where(db.image.c.id == ident).values(updated=1.0))
    assert seen_by_the_payer(api) == [f"ganeti-ext:forget:{ident}"] * 3
    hear(api, ident, "success", kind="forget")
    assert image(api, ident) is None


def test_what_nothing_could_carry_goes_with_the_next_server(api: Api) -> None:
    row = api.server()
    ident = make(api, row)
    hear(api, ident, "success")
    api.change(row["id"], deleted=time.time())
    api.rapi.calls.clear()
    assert api.call("DELETE", f"{IMAGES}/{ident}").status_code == 204
    with api.engine.begin() as connection:
        connection.execute(update(db.image).where(db.image.c.id == ident).values(updated=1.0))
    assert seen_by_the_payer(api) == []
    with api.engine.begin() as connection:
        connection.execute(update(db.image).where(db.image.c.id == ident).values(updated=1.0))
    api.server()
    assert seen_by_the_payer(api) == [f"ganeti-ext:forget:{ident}"] * 3


@pytest.mark.parametrize(("ident", "code"), [(IMAGE, 403), (SECRET_IMAGE, 404), ("none", 404)])
def test_what_is_not_to_be_deleted(api: Api, ident: str, code: int) -> None:
    assert api.call("DELETE", f"{IMAGES}/{ident}").status_code == code
    assert api.rapi.calls == []


def test_what_the_store_has_goes_by_the_administrator(api: Api) -> None:
    row = {"id": "own", "name": "own", "owner_id": MINE, "visibility": "private", "size": GIB, "sha256": "",
           "min_disk": 1, "min_ram": 0, "created": 1.0, "properties": {}}  # fmt: skip
    with api.engine.begin() as connection:
        connection.execute(insert(db.image).values(row))
    assert api.call("DELETE", f"{IMAGES}/own").status_code == 403


def test_found_by_the_server_it_is_of(api: Api) -> None:
    row = api.server()
    ident = make(api, row)
    for query in (f"instance_uuid={row['id']}", "image_type=snapshot", "status=saving", "visibility=private"):
        assert [each["id"] for each in api.get(f"{IMAGES}?{query}").json["images"]] == [ident]  # type: ignore[index]
    assert api.get(f"{IMAGES}/{ident}/tasks").json == {"tasks": []}


def test_no_more_than_the_quota(api: Api) -> None:
    values = {"owner_id": MINE, "visibility": "private", "size": 1, "sha256": "", "min_disk": 1, "min_ram": 0,
              "created": 1.0, "properties": {}}  # fmt: skip
    with api.engine.begin() as connection:
        for number in range(50):
            connection.execute(insert(db.image).values(id=str(number), name="x", **values))
    row = api.server()
    assert act(api, row, createImage={"name": "snap"}).status_code == 403
    assert api.rapi.calls == []
    with api.engine.begin() as connection:
        connection.execute(update(db.image).where(db.image.c.id == "7").values(status="deleted", updated=time.time()))
    make(api, row)


def test_a_disk_that_is_no_whole_gib_counts_as_what_it_is(api: Api) -> None:
    """And a server of the image needs as much."""
    row = api.server(disks=[{"name": None, "uuid": "0ccc0000-0000-4000-8000-00000000000c", "size": 5632}])

    def allow(gigabytes: int) -> None:
        with api.engine.begin() as connection:
            mine = update(db.project).where(db.project.c.id == MINE)
            connection.execute(mine.values(max_image_gigabytes=gigabytes))

    allow(5)
    assert act(api, row, createImage={"name": "s"}).status_code == 403
    allow(6)
    ident = make(api, row)
    with api.engine.connect() as connection:
        found = db.row(connection, select(db.image).where(db.image.c.id == ident))
    assert found is not None
    assert (found["size"], found["min_disk"]) == (5632 << 20, 6)
