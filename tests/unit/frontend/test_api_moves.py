"""What is told of a move that an administrator asked Ganeti for, and not the API."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert

from frontend.database import db
from frontend.update.mirror import Mirror
from ganeti_ext import event
from tests.unit.frontend.admins import administrator
from tests.unit.frontend.conftest import ALICE, COMPUTE, FOREIGN, MINE, Api
from tests.unit.frontend.updates import op, read

SEQ = iter(range(1, 1_000_000))


@pytest.fixture
def server(api: Api) -> dict[str, Any]:
    return api.server(power="ACTIVE", host="n1")


def tell(api: Api, server: dict[str, Any], message: dict[str, Any]) -> None:
    Mirror(api.engine, "gx-").take(event.encode({**message, "instance": server["instance"], "seq": [1, next(SEQ)]}))


def actions(api: Api, server: dict[str, Any]) -> list[dict[str, Any]]:
    answer = api.get(f"{COMPUTE}/servers/{server['id']}/os-instance-actions")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.get_json()["instanceActions"]
    return found


def shown(api: Api, server: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"{COMPUTE}/servers/{server['id']}").get_json()["server"]
    return found


@pytest.mark.parametrize(
    ("opcode", "action"), [("MIGRATE", "live-migration"), ("FAILOVER", "migrate"), ("MOVE", "migrate")]
)
def test_a_move_that_nobody_asked_the_api_for_is_an_action(
    api: Api, server: dict[str, Any], opcode: str, action: str
) -> None:
    tell(api, server, op(opcode, "running", job=70))
    (told,) = actions(api, server)
    assert (told["action"], told["user_id"], told["project_id"], told["message"]) == (action, "", MINE, None)
    tell(api, server, op(opcode, "success", job=70, at=9, **read(True, 10, host="n2")))
    assert actions(api, server) == [told]
    one = api.get(f"{COMPUTE}/servers/{server['id']}/os-instance-actions/{told['request_id']}").get_json()
    (made,) = one["instanceAction"]["events"]
    assert (made["event"], made["result"]) == (f"instance_{opcode.lower()}", "Success")


def test_an_administrator_is_told_between_which_nodes(nobody: Api, api: Api, server: dict[str, Any]) -> None:
    admin = administrator(nobody)

    def nodes() -> list[tuple[Any, ...]]:
        found = admin.get(f"{COMPUTE}/os-migrations?instance_uuid={server['id']}").get_json()["migrations"]
        return [
            tuple(each[f"{end}_{what}"] for end in ("source", "dest") for what in ("compute", "node")) for each in found
        ]

    tell(api, server, op("MIGRATE", "queued", job=70))
    tell(api, server, op("MIGRATE", "running", job=70, at=1))
    assert nodes() == [("n1", "n1", None, None)]
    tell(api, server, op("MIGRATE", "success", job=70, at=9, **read(True, 10, host="n2")))
    assert nodes() == [("n1", "n1", "n2", "n2")]
    tell(api, server, op("MIGRATE", "running", job=70, at=1))  # late, and again
    assert nodes() == [("n1", "n1", "n2", "n2")]
    tell(api, server, op("FAILOVER", "running", job=71, at=20))
    tell(api, server, op("FAILOVER", "error", job=71, at=21, **read(True, 22, host="n2")))
    assert nodes()[0] == ("n2", "n2", None, None)  # it has not moved
    tell(api, server, op("MIGRATE", "success", job=72, at=30, **read(True, 31, host="n3")))
    assert nodes()[0] == (None, None, "n3", "n3")  # where it came from, nobody told in time


def test_a_move_that_failed_says_so_without_ganetis_words(api: Api, server: dict[str, Any]) -> None:
    tell(api, server, op("MIGRATE", "error", job=70, result="node n2 is full", **read(True, 10)))
    (told,) = actions(api, server)
    assert told["message"] == "Error"
    answer = api.get(f"{COMPUTE}/servers/{server['id']}/os-instance-actions/{told['request_id']}")
    assert answer.get_json()["instanceAction"]["events"][0]["result"] == "Error"
    assert "n2" not in answer.text


def test_a_move_that_was_asked_for_is_told_once(api: Api, server: dict[str, Any]) -> None:
    with api.engine.begin() as connection:
        asked = {"id": "req-1", "server_id": server["id"], "action": "evacuate", "user_id": ALICE, "project_id": MINE}
        connection.execute(insert(db.request).values(**asked, began=5.0, jobs=[70], message=None))
    for job in (70, 71):
        tell(api, server, op("FAILOVER", "success", job=job, **read(True, 10)))
    tell(api, server, op("STARTUP", "success", job=72, **read(True, 10)))  # no move
    assert [each["action"] for each in actions(api, server)] == ["migrate", "evacuate"]


def test_nobody_else_is_told_of_it(api: Api, server: dict[str, Any]) -> None:
    tell(api, server, op("MIGRATE", "success", job=70, **read(True, 10)))
    (told,) = actions(api, server)
    foreign = api.become("bob", "foreign")
    for path in ("", f"/{told['request_id']}"):
        assert foreign.get(f"{COMPUTE}/servers/{server['id']}/os-instance-actions{path}").status_code == 404
    other = api.server(project_id=FOREIGN)
    path = f"{COMPUTE}/servers/{other['id']}/os-instance-actions/{told['request_id']}"
    assert foreign.get(path).status_code == 404


@pytest.mark.parametrize(
    "opcode", ["OP_NODE_MIGRATE", "OP_NODE_EVACUATE", "OP_GROUP_ASSIGN_NODES", "OP_GROUP_EVACUATE"]
)
def test_emptying_a_node_is_compared_and_changes_no_server(api: Api, server: dict[str, Any], opcode: str) -> None:
    compared: list[tuple[str, ...]] = []
    mirror = Mirror(api.engine, "gx-", compare=lambda *said: compared.append(said))
    kind, name = (event.NODE_STATUS, "node") if "OP_NODE" in opcode else (event.GROUP_STATUS, "group")
    before = api.row(server["id"])
    for status in ("running", "success"):
        mirror.take(event.encode({**op(opcode, status), "type": kind, name: "n1"}))
    assert ["node" in said for said in compared] == [True]
    assert api.row(server["id"]) == before


def test_a_server_that_is_moved_is_active_or_migrating_all_the_time(api: Api, server: dict[str, Any]) -> None:
    """As `gnt-instance change-group` and `gnt-node evacuate` do it: one job finds out where to, and submits others."""
    seen = []
    for message in (
        op("CHANGE_GROUP", "running", job=70),
        op("CHANGE_GROUP", "success", job=70, at=1, **read(True, 1)),
        op("MIGRATE", "queued", job=71, at=1),
        op("MIGRATE", "waiting", job=71, at=2),
        op("MIGRATE", "running", job=71, at=3),
        op("MIGRATE", "success", job=71, at=9, **read(True, 9, host="n2")),
    ):
        tell(api, server, message)
        row = shown(api, server)
        seen.append((row["status"], row["OS-EXT-STS:task_state"]))
    active, moving = ("ACTIVE", None), ("MIGRATING", "migrating")
    assert seen == [active, active, moving, moving, moving, active]
    assert api.row(server["id"])["host"] == "n2"


@pytest.mark.parametrize("opcode", ["MIGRATE", "FAILOVER"])
def test_a_server_of_a_dead_node_is_unknown_until_it_runs_elsewhere(api: Api, opcode: str) -> None:
    """`gnt-node evacuate` asks for a migration, which Ganeti makes a failover where the node is offline."""
    server = api.server(power="UNKNOWN", status="UNKNOWN", host="n1")
    seen = []
    for message in (
        op(opcode, "queued", job=70),
        op(opcode, "error", job=70, at=5, result="the disk is open on n1", **read(None, 5)),
        op(opcode, "running", job=71, at=6),
        op(opcode, "success", job=71, at=9, **read(True, 9, host="n2")),
    ):
        tell(api, server, message)
        row = shown(api, server)
        seen.append((row["status"], row["OS-EXT-STS:task_state"]))
    assert seen == [("UNKNOWN", "migrating"), ("UNKNOWN", None), ("UNKNOWN", "migrating"), ("ACTIVE", None)]


def test_a_stopped_server_that_cannot_be_migrated_stays_as_it_is(api: Api) -> None:
    """`gnt-node migrate` asks for it all the same: a job that Ganeti refuses."""
    server = api.server(power="SHUTOFF", status="SHUTOFF", host="n1")
    tell(api, server, op("MIGRATE", "running", job=70))
    assert shown(api, server)["status"] == "SHUTOFF"
    refused = {"result": "Instance is not running", "error_code": "wrong_state"}
    tell(api, server, op("MIGRATE", "error", job=70, at=1, **refused, **read(False, 1, admin_state="down")))
    row = shown(api, server)
    assert (row["status"], row["OS-EXT-STS:task_state"], "fault" in row) == ("SHUTOFF", None, False)
