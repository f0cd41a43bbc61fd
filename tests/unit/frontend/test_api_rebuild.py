"""rebuild, rescue, unrescue: another disk to boot from."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, update

from frontend.database import db
from ganeti_ext.errors import RapiUnavailable
from tests.unit.frontend.conftest import COMPUTE, GIB, IMAGE, MINE, SECRET_IMAGE, Api

SERVERS = f"{COMPUTE}/servers"
OTHER = "0aaaaaaa-0000-4000-8000-000000000009"
SUCCESS, ENDS = ["success"], ["success", "error", "canceled"]


@pytest.fixture
def api(api: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    """With a second image, which is one of a server; the instances have no tags that go away."""
    row = {"id": OTHER, "name": "saved", "owner_id": MINE, "visibility": "private", "size": GIB, "sha256": "",
           "min_disk": 1, "min_ram": 0, "created": 1.0, "properties": {}, "protected": False, "provider": "rbd",
           "origin": f"snapshot:saved-{OTHER}"}  # fmt: skip
    with api.engine.begin() as connection:
        connection.execute(insert(db.image).values(row))
    monkeypatch.setattr(api.rapi, "get", lambda *_: [])
    return api


def act(api: Api, row: dict[str, Any], **body: Any) -> Any:
    return api.call("POST", f"{SERVERS}/{row['id']}/action", json=body)


def jobs(api: Api, purpose: str) -> list[tuple[str, str, Any, Any]]:
    found = []
    for method, path, body, query in api.rapi.calls:
        verb = path.split("/", 2)[2]
        assert (query or {}).get("reason") == (None if verb == "reinstall" else f"ganeti-ext:{purpose}")
        rest = {key: value for key, value in (body or {}).items() if key != "depends"}
        waits = (body or {}).get("depends", [[None, None]])[0][1]
        found.append((method, verb, rest or (query or {}).get("tag"), waits))
    return found


def shown(api: Api, row: dict[str, Any]) -> tuple[str, str | None]:
    server = api.get(f"{SERVERS}/{row['id']}").json["server"]  # type: ignore[index]
    return server["status"], server["OS-EXT-STS:task_state"]


def test_the_new_disk_is_there_before_the_old_one_goes(api: Api) -> None:
    row = api.server(status="ACTIVE", power="ACTIVE")
    answer = act(api, row, rebuild={"imageRef": f"http://x/images/{OTHER}", "flavorRef": "x", "networks": "libcloud's"})
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"].endswith(f"/servers/{row['id']}")
    server = answer.json["server"]
    assert (server["id"], server["image"]["id"], server["status"]) == (row["id"], OTHER, "REBUILD")
    assert "adminPass" not in server  # it has no seed
    assert not [key for key in server if key.startswith("OS-EXT")]
    disk = {
        "size": 5120,
        "name": f"{row['instance']}-root",
        "provider": "rbd",
        "access": "userspace",
        "origin": f"snapshot:saved-{OTHER}",
    }
    assert jobs(api, "rebuild") == [
        ("PUT", "shutdown", {"timeout": 0}, None),
        ("PUT", "modify", {"disks": [["add", 0, disk], ["remove", 1, {}]]}, SUCCESS),
        ("PUT", "tags", [f"ganeti-ext:image:{OTHER}"], SUCCESS),
        ("DELETE", "tags", [f"ganeti-ext:image:{IMAGE}"], SUCCESS),
        ("PUT", "startup", None, ENDS),
    ]
    assert shown(api, row) == ("REBUILD", "rebuilding")
    assert api.row(row["id"])["image_id"] == IMAGE  # until Ganeti says so


@pytest.mark.parametrize("facts", [{}, {"config": "1"}])
def test_its_nics_stay_with_their_addresses_and_macs(api: Api, facts: dict[str, str]) -> None:
    """No job says anything of them; Ganeti's reinstallation changes none."""
    row = api.server(status="ACTIVE", power="ACTIVE", facts=facts)
    ports = api.get(f"/network/v2.0/ports?device_id={row['id']}").json["ports"]  # type: ignore[index]
    assert act(api, row, rebuild={"imageRef": OTHER}).status_code == 202
    assert api.rapi.calls
    assert not [body for _, _, body, _ in api.rapi.calls if {"nics", "net", "ip"} & set(body or {})]
    after = api.get(f"/network/v2.0/ports?device_id={row['id']}").json["ports"]  # type: ignore[index]
    same = ("id", "mac_address", "fixed_ips")
    assert [[port[key] for key in same] for port in after] == [[port[key] for key in same] for port in ports]


def test_of_the_same_image_a_stopped_one(api: Api) -> None:
    row = api.server(status="SHUTOFF", power="SHUTOFF")
    assert act(api, row, rebuild={"imageRef": IMAGE}).status_code == 202
    ((method, verb, body, _),) = jobs(api, "rebuild")
    assert (method, verb, body["disks"][0][2]["origin"]) == ("PUT", "modify", IMAGE)
    assert shown(api, row) == ("REBUILD", "rebuilding")


def test_with_another_name_metadata_and_password(api: Api) -> None:
    row = api.server(status="SHUTOFF", power="SHUTOFF", facts={"config": "1"}, metadata={"old": "1", "both": "1"})
    body = {"imageRef": IMAGE, "name": "new", "metadata": {"both": "2"}, "adminPass": "s3cret-word"}
    answer = act(api, row, rebuild=body)
    server = answer.json["server"]
    assert (server["name"], server["metadata"], server["adminPass"]) == ("new", {"both": "2"}, "s3cret-word")
    reinstall, change = [call for call in api.rapi.calls if not call[1].endswith("/tags")]
    assert reinstall[1].endswith("/reinstall")
    assert (reinstall[2]["start"], list(reinstall[2]["osparams"])) == (False, ["update"])
    assert "s3cret" not in str(api.rapi.calls)
    # It waits for the reinstallation, which waits for nothing.
    assert change[2]["depends"][0][1] == SUCCESS
    assert "depends" not in reinstall[2]


def test_a_password_is_made_up_for_who_has_a_seed(api: Api) -> None:
    row = api.server(facts={"config": "1"})
    assert len(act(api, row, rebuild={"imageRef": IMAGE}).json["server"]["adminPass"]) == 16
    assert act(api, api.server(), rebuild={"imageRef": IMAGE, "adminPass": "x"}).status_code == 409


@pytest.mark.parametrize(
    ("changes", "body", "code"),
    [
        ({}, {}, 400),
        ({}, None, 400),
        ({}, {"imageRef": "none"}, 400),
        ({}, {"imageRef": SECRET_IMAGE}, 400),
        ({}, {"imageRef": IMAGE, "name": ""}, 400),
        ({}, {"imageRef": IMAGE, "metadata": {"": ""}}, 400),
        ({"flavor_id": "f-tiny", "ram": 128, "disk": 1}, {"imageRef": IMAGE}, 400),
        ({"status": "ERROR"}, {"imageRef": IMAGE}, 409),
        ({"status": "RESCUE", "facts": {"rescued": "1"}}, {"imageRef": IMAGE}, 409),
        ({"task": "rebuilding"}, {"imageRef": IMAGE}, 409),
    ],
)
def test_no_rebuild(api: Api, changes: dict[str, Any], body: Any, code: int) -> None:
    answer = act(api, api.server(**changes), rebuild=body)
    assert (answer.status_code, api.rapi.calls) == (code, []), answer.text


def test_no_rebuild_with_an_image_that_is_not_whole(api: Api) -> None:
    with api.engine.begin() as connection:
        connection.execute(update(db.image).where(db.image.c.id == OTHER).values(status="saving"))
    assert act(api, api.server(), rebuild={"imageRef": OTHER}).status_code == 400


def test_rescued_from_its_own_image(api: Api) -> None:
    row = api.server(status="ACTIVE", power="ACTIVE")
    answer = act(api, row, rescue=None)
    assert (answer.status_code, answer.json) == (200, {"adminPass": ""})
    disk = {"size": 3072, "name": f"{row['instance']}-rescue", "provider": "cow", "origin": IMAGE}
    assert jobs(api, "rescue") == [
        ("PUT", "shutdown", {"timeout": 120}, None),
        ("PUT", "modify", {"disks": [["add", 0, disk]]}, SUCCESS),
        ("PUT", "tags", ["ganeti-ext:rescued:1"], SUCCESS),
        ("PUT", "startup", None, ENDS),
    ]
    assert shown(api, row)[1] == "rescuing"


def test_rescued_from_another_image_with_a_password(api: Api) -> None:
    row = api.server(status="ACTIVE", power="ACTIVE", facts={"config": "1"})
    answer = act(api, row, rescue={"rescue_image_ref": OTHER, "adminPass": "tell-me"})
    assert answer.json == {"adminPass": "tell-me"}
    verbs = [verb for _, verb, _, _ in jobs(api, "rescue")]
    assert verbs == ["shutdown", "reinstall", "modify", "tags", "startup"]
    assert api.rapi.calls[2][2]["disks"][0][2]["origin"] == f"snapshot:saved-{OTHER}"


def test_unrescued(api: Api) -> None:
    row = api.server(status="RESCUE", power="ACTIVE", facts={"rescued": "1"})
    assert act(api, row, unrescue=None).status_code == 202
    assert jobs(api, "unrescue") == [
        ("PUT", "shutdown", {"timeout": 120}, None),
        ("PUT", "modify", {"disks": [["remove", f"{row['instance']}-rescue", {}]]}, SUCCESS),
        ("DELETE", "tags", ["ganeti-ext:rescued:1"], SUCCESS),
        ("PUT", "startup", None, ENDS),
    ]
    assert shown(api, row) == ("RESCUE", "unrescuing")


@pytest.mark.parametrize(
    ("status", "action"), [("ACTIVE", "unrescue"), ("RESCUE", "rescue"), ("BUILD", "rescue"), ("RESCUE", "resize")]
)
def test_in_the_wrong_state(api: Api, status: str, action: str) -> None:
    argument = {"flavorRef": "f-tiny"} if action == "resize" else None
    answer = act(api, api.server(status=status, power="ACTIVE"), **{action: argument})
    assert (answer.status_code, api.rapi.calls) == (409, [])


def test_nothing_begun_when_ganeti_is_away(api: Api) -> None:
    row = api.server()
    api.rapi.fails = RapiUnavailable("RAPI: down")
    assert act(api, row, rescue=None).status_code == 503
    assert shown(api, row) == ("ACTIVE", None)
