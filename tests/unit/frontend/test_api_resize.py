"""resize, confirmResize, revertResize: the jobs that they are, in which order, and when they are refused."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, select, update

from frontend.database import db
from frontend.update import state
from ganeti_ext import tags
from ganeti_ext.errors import RapiUnavailable
from tests.unit.frontend import updates
from tests.unit.frontend.conftest import COMPUTE, HUGE, MINE, SMALL, TINY, Api

SERVERS = f"{COMPUTE}/servers"
LARGE = "f-large"
SUCCESS, ENDS = ["success"], ["success", "error", "canceled"]


@pytest.fixture
def api(api: Api) -> Api:
    """With a flavor that is larger in all things, and room for it; the instance has the tags that are untagged."""
    with api.engine.begin() as connection:
        connection.execute(insert(db.flavor).values(id=LARGE, name="large", vcpus=2, ram=1024, disk=8))
    return api


def act(api: Api, row: dict[str, Any], **body: Any) -> Any:
    return api.call("POST", f"{SERVERS}/{row['id']}/action", json=body)


def shown(api: Api, row: dict[str, Any]) -> tuple[str, str | None]:
    server = api.get(f"{SERVERS}/{row['id']}").json["server"]  # type: ignore[index]
    return server["status"], server["OS-EXT-STS:task_state"]


def jobs(api: Api, purpose: str) -> list[tuple[str, str, Any, Any]]:
    """What was submitted, without what it was for, and without which job each waits for: that is the one before."""
    found = []
    for number, (method, path, body, query) in enumerate(api.rapi.calls):
        assert query["reason"] == f"ganeti-ext:{purpose}"
        rest = {key: value for key, value in (body or {}).items() if key != "depends"}
        waits = (body or {}).get("depends", [[None, None]])
        assert waits[0][0] == (None if number == 0 else 100 + number)
        found.append((method, path.split("/", 2)[2], rest or query.get("tag"), waits[0][1]))
    return found


MODIFY = {"beparams": {"vcpus": 2, "minmem": 1024, "maxmem": 1024}}
GROW = {"amount": 8192, "absolute": True}
FACTS = [f"ganeti-ext:resized:{SMALL}", f"ganeti-ext:flavor:{LARGE}"]


def test_a_running_server_is_down_meanwhile_and_up_again_in_any_case(api: Api) -> None:
    row = api.server(status="ACTIVE", power="ACTIVE")
    answer = act(api, row, resize={"flavorRef": LARGE})
    assert (answer.status_code, answer.data) == (202, b"")
    assert jobs(api, "resize") == [
        ("PUT", "shutdown", {"timeout": 120}, None),
        ("POST", "disk/0/grow", GROW, SUCCESS),
        ("PUT", "modify", MODIFY, SUCCESS),
        ("PUT", "tags", FACTS, SUCCESS),
        ("DELETE", "tags", [f"ganeti-ext:flavor:{SMALL}"], SUCCESS),
        ("PUT", "startup", None, ENDS),
    ]
    assert api.row(row["id"])["job"] == 106
    assert shown(api, row) == ("RESIZE", "resize_prep")


def test_a_stopped_server_stays_stopped(api: Api) -> None:
    row = api.server(status="SHUTOFF", power="SHUTOFF", disk=8)
    assert act(api, row, resize={"flavorRef": f"http://x/flavors/{LARGE}"}).status_code == 202
    assert [path for _, path, _, _ in jobs(api, "resize")] == ["modify", "tags", "tags"]
    assert shown(api, row) == ("RESIZE", "resize_prep")


@pytest.mark.parametrize(
    ("had", "asked", "said", "gone"),
    [({}, "AUTO", ["ganeti-ext:autodisk:1"], []), ({"autodisk": "1"}, "MANUAL", [], ["ganeti-ext:autodisk:1"]),
     ({"autodisk": "1"}, "AUTO", [], []), ({}, "MANUAL", [], [])],
)  # fmt: skip
def test_what_becomes_of_the_disk_is_said_with_it(
    api: Api, had: dict[str, str], asked: str, said: list[str], gone: list[str]
) -> None:
    row = api.server(status="SHUTOFF", power="SHUTOFF", disk=8, facts=had)
    assert act(api, row, resize={"flavorRef": LARGE, "OS-DCF:diskConfig": asked}).status_code == 202
    sent = {method: words for method, path, words, _ in jobs(api, "resize") if path == "tags"}
    assert sent == {"PUT": [*FACTS, *said], "DELETE": [f"ganeti-ext:flavor:{SMALL}", *gone]}
    assert act(api, api.server(), resize={"flavorRef": LARGE, "OS-DCF:diskConfig": "SOME"}).status_code == 400


def hear(api: Api, row: dict[str, Any], message: dict[str, Any]) -> None:
    if changes := state.advance(api.row(row["id"]), message, {"blue": None}):
        api.change(row["id"], **changes)


def read(facts: dict[str, str]) -> dict[str, Any]:
    return updates.read(True, at=9, tags=tags.encode(facts))


def test_never_anything_but_resize_until_the_last_job_is_over(api: Api) -> None:
    row = api.server(status="ACTIVE", power="ACTIVE")
    act(api, row, resize={"flavorRef": LARGE})
    reason = {"reason": [["gnt:user", "ganeti-ext:resize"], ["gnt:library:rlib2:instances_name_x", ""]]}
    steps = [("SHUTDOWN", 101), ("GROW_DISK", 102), ("SET_PARAMS", 103), ("OP_TAGS_SET", 104), ("OP_TAGS_DEL", 105)]
    for at, (opcode, job) in enumerate(steps):
        for status in ("waiting", "running", "success"):
            message = updates.op(opcode, status, at=at, job=job, **reason)
            hear(api, row, message)
            assert shown(api, row)[0] == "RESIZE", message["operation"]
    facts = {"project": MINE, "flavor": LARGE, "resized": SMALL}
    assert api.row(row["id"])["power"] == "SHUTOFF"
    hear(api, row, updates.op("STARTUP", "success", at=9, job=106, **reason, **read(facts)))
    assert shown(api, row) == ("VERIFY_RESIZE", None)
    assert api.row(row["id"])["flavor_id"] == LARGE


@pytest.mark.parametrize("power", ["ACTIVE", "SHUTOFF"])
def test_confirmed(api: Api, power: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = api.server(status="VERIFY_RESIZE", power=power, flavor_id=LARGE, facts={"resized": SMALL})
    monkeypatch.setattr(api.rapi, "get", lambda *_: [f"ganeti-ext:resized:{SMALL}", f"ganeti-ext:flavor:{LARGE}"])
    answer = act(api, row, confirmResize=None)
    assert (answer.status_code, answer.data) == (204, b"")
    (call,) = api.rapi.calls
    assert (call[0], call[3]["tag"]) == ("DELETE", [f"ganeti-ext:resized:{SMALL}"])
    hear(api, row, updates.op("OP_TAGS_DEL", "success", at=5, job=101))
    assert shown(api, row) == (power, None)


def test_reverted(api: Api) -> None:
    sizes = {"flavor_id": LARGE, "vcpus": 2, "ram": 1024, "disk": 8}
    row = api.server(status="VERIFY_RESIZE", power="ACTIVE", facts={"resized": SMALL}, **sizes)
    assert act(api, row, revertResize=None).status_code == 202
    assert jobs(api, "revert") == [
        ("PUT", "shutdown", {"timeout": 120}, None),
        ("PUT", "modify", {"beparams": {"vcpus": 1, "minmem": 512, "maxmem": 512}}, SUCCESS),
        ("PUT", "tags", [f"ganeti-ext:flavor:{SMALL}"], SUCCESS),
        ("DELETE", "tags", [f"ganeti-ext:flavor:{LARGE}", f"ganeti-ext:resized:{SMALL}"], SUCCESS),
        ("PUT", "startup", None, ENDS),
    ]
    assert shown(api, row) == ("REVERT_RESIZE", "resize_reverting")


def test_a_server_without_a_flavor_gets_one_and_gives_it_back(api: Api) -> None:
    row = api.server(status="SHUTOFF", power="SHUTOFF", flavor_id="custom", disk=8)
    assert act(api, row, resize={"flavorRef": LARGE}).status_code == 202
    was = "ganeti-ext:resized:custom-1-512-8"
    assert jobs(api, "resize")[1:] == [("PUT", "tags", [was, f"ganeti-ext:flavor:{LARGE}"], SUCCESS)]
    api.rapi.calls.clear()
    api.rapi.job = 100
    api.change(row["id"], status="VERIFY_RESIZE", task=None, flavor_id=LARGE, facts={"resized": "custom-1-512-8"})
    assert act(api, row, revertResize=None).status_code == 202
    assert [(path, what) for _, path, what, _ in jobs(api, "revert")] == [
        ("modify", {"beparams": {"vcpus": 1, "minmem": 512, "maxmem": 512}}),
        ("tags", [f"ganeti-ext:flavor:{LARGE}", was]),
    ]


@pytest.mark.parametrize(
    ("changes", "flavor", "code", "named"),
    [
        ({}, SMALL, 400, "must change flavor"),
        ({}, TINY, 400, "resize disk down"),
        ({}, "none", 400, "none could not be found"),
        ({}, HUGE, 403, "cores"),
        ({"status": "BUILD", "task": "spawning"}, LARGE, 409, "resize"),
        ({"status": "ERROR"}, LARGE, 409, "ERROR"),
        ({"status": "VERIFY_RESIZE", "power": "ACTIVE", "facts": {"resized": TINY}}, LARGE, 409, "resized"),
        ({"task": "rebooting"}, LARGE, 409, "rebooting"),
    ],
)
def test_refused(api: Api, changes: dict[str, Any], flavor: str, code: int, named: str) -> None:
    row = api.server(**changes)
    answer = act(api, row, resize={"flavorRef": flavor})
    assert answer.status_code == code, answer.text
    assert named in answer.text
    assert api.rapi.calls == []


@pytest.mark.parametrize("body", [{"resize": None}, {"resize": {}}, {"resize": {"flavorRef": ""}}, {"resize": [LARGE]}])
def test_what_is_no_flavor(api: Api, body: dict[str, Any]) -> None:
    assert act(api, api.server(), **body).status_code == 400


@pytest.mark.parametrize("action", ["confirmResize", "revertResize"])
def test_nothing_to_decide(api: Api, action: str) -> None:
    assert act(api, api.server(), **{action: None}).status_code == 409


def test_the_flavor_before_is_gone(api: Api) -> None:
    row = api.server(status="VERIFY_RESIZE", power="ACTIVE", facts={"resized": "gone"})
    answer = act(api, row, revertResize=None)
    assert (answer.status_code, api.rapi.calls) == (409, [])


def test_a_disk_that_a_revert_left_larger_is_no_obstacle(api: Api) -> None:
    with api.engine.begin() as connection:
        connection.execute(update(db.flavor).where(db.flavor.c.id == LARGE).values(disk=6))
    row = api.server(status="SHUTOFF", power="SHUTOFF", disk=20)
    assert act(api, row, resize={"flavorRef": LARGE}).status_code == 202
    assert [path for _, path, _, _ in jobs(api, "resize")] == ["modify", "tags", "tags"]


def test_half_a_chain_is_taken_back(api: Api) -> None:
    row = api.server(status="ACTIVE", power="ACTIVE")

    def refuse(job: int) -> None:
        if job == 103:
            api.rapi.fails = RapiUnavailable("RAPI: down")

    api.rapi.on_submit = refuse
    assert act(api, row, resize={"flavorRef": LARGE}).status_code == 503
    assert api.rapi.canceled == [103, 102, 101]
    assert shown(api, row) == ("ACTIVE", None)


def test_less_of_what_there_is_needs_no_quota(api: Api) -> None:
    with api.engine.begin() as connection:
        connection.execute(update(db.project).where(db.project.c.id == MINE).values(max_cores=1, max_ram=100))
        connection.execute(update(db.flavor).where(db.flavor.c.id == LARGE).values(vcpus=1, ram=256))
        assert connection.execute(select(db.flavor.c.ram).where(db.flavor.c.id == LARGE)).scalar() == 256
    assert act(api, api.server(), resize={"flavorRef": LARGE}).status_code == 202
