"""lock and unlock, what is refused while a server is locked, and what Ganeti has nothing for."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, update

from frontend.compute import serveract
from frontend.database import db
from tests.unit.frontend.conftest import COMPUTE, FOREIGN, MINE, RITA, Api

SERVERS = f"{COMPUTE}/servers"
LOCKED, ADMINS = {"locked": "1"}, {"locked": "admin"}


@pytest.fixture
def admin(nobody: Api) -> Api:
    with nobody.engine.begin() as connection:
        connection.execute(update(db.membership).where(db.membership.c.user_id == RITA).values(role="admin"))
    return nobody.become("rita")


@pytest.fixture(autouse=True)
def tags(api: Api, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What Ganeti says that an instance has."""
    found: list[str] = []
    monkeypatch.setattr(api.rapi, "get", lambda *_: found)
    return found


def act(api: Api, row: dict[str, Any], action: str, argument: object = None) -> Any:
    return api.call("POST", f"{SERVERS}/{row['id']}/action", json={action: argument})


def test_locked_at_once_and_once(api: Api) -> None:
    row = api.server()
    for _ in range(2):
        assert act(api, row, "lock").status_code == 202
    (call,) = api.rapi.calls
    assert (call[0], call[1], call[3]) == ("PUT", f"instances/{row['instance']}/tags", {"tag": ["ganeti-ext:locked:1"]})
    assert api.row(row["id"])["facts"] == LOCKED
    answer = act(api, row, "os-stop")
    assert (answer.status_code, len(api.rapi.calls)) == (409, 1)
    assert answer.json["conflictingRequest"]["message"] == f"Instance {row['id']} is locked"


@pytest.mark.parametrize("action", [name for name, do in serveract.ACTIONS.items() if not (do.locked or do.admin)])
def test_every_change_is_refused_while_it_is_locked(api: Api, action: str) -> None:
    row = api.server(facts=LOCKED)
    answer = act(api, row, action, {})
    assert (answer.status_code, api.rapi.calls) == (409, []), answer.text
    assert "is locked" in answer.text


def test_delete_is_refused_too(api: Api, admin: Api) -> None:
    row = api.server(facts=LOCKED)
    assert api.call("DELETE", f"{SERVERS}/{row['id']}").status_code == 409
    assert admin.call("DELETE", f"{SERVERS}/{row['id']}").status_code == 204


def test_an_administrator_is_not_held(api: Api, admin: Api) -> None:
    row = api.server(facts=LOCKED)
    assert act(admin, row, "os-stop").status_code == 202


def test_unlocked(api: Api, tags: list[str]) -> None:
    tags.append("ganeti-ext:locked:1")
    row = api.server(facts=LOCKED)
    assert act(api, row, "unlock").status_code == 202
    assert [(call[0], call[3]["tag"]) for call in api.rapi.calls] == [("DELETE", tags)]
    assert act(api, row, "os-stop").status_code == 202


def test_unlocked_without_having_been_locked(api: Api) -> None:
    assert act(api, api.server(), "unlock").status_code == 202
    assert api.rapi.calls == []


def test_what_an_administrator_locked(api: Api, admin: Api, tags: list[str]) -> None:
    row = api.server()
    assert act(admin, row, "lock").status_code == 202
    tags.append("ganeti-ext:locked:admin")
    assert api.row(row["id"])["facts"] == ADMINS
    assert act(api, row, "unlock").status_code == 403
    assert act(admin, row, "unlock").status_code == 202
    assert api.row(row["id"])["facts"] == {}


@pytest.mark.parametrize("action", ["pause", "unpause", "suspend", "resume", "shelve", "unshelve"])
def test_what_ganeti_cannot(api: Api, action: str) -> None:
    row = api.server()
    answer = act(api, row, action)
    assert answer.status_code == 501
    assert row["id"] in answer.json["notImplemented"]["message"]
    assert act(api, {"id": "00000000-0000-4000-8000-00000000dead"}, action).status_code == 404


@pytest.mark.parametrize("action", ["injectNetworkInfo", "resetNetwork", "addFixedIp"])
def test_what_nova_itself_no_longer_has(api: Api, action: str) -> None:
    assert act(api, api.server(), action).status_code == 400


CALLS = [
    ("os-migrateLive", "ACTIVE", {"host": None, "block_migration": "auto"}, "migrate", {"mode": "live"}, 202),
    ("os-migrateLive", "ACTIVE", {"host": "n2"}, "migrate", {"mode": "live", "target_node": "n2"}, 202),
    ("migrate", "ACTIVE", None, "migrate", {"mode": "live"}, 202),
    ("migrate", "SHUTOFF", {"host": "n3"}, "failover", {"target_node": "n3"}, 202),
    ("evacuate", "UNKNOWN", {}, "failover", {"ignore_consistency": True}, 200),
]


@pytest.mark.parametrize("project", [MINE, FOREIGN])
@pytest.mark.parametrize(("action", "status", "argument", "verb", "body", "code"), CALLS)
def test_an_administrator_moves_servers_of_all(
    admin: Api, action: str, status: str, argument: Any, verb: str, body: dict[str, Any], code: int, project: str
) -> None:
    row = admin.server(status=status, project_id=project)
    answer = act(admin, row, action, argument)
    assert answer.status_code == code, answer.text
    assert admin.rapi.calls == [("PUT", f"instances/{row['instance']}/{verb}", body, None)]
    assert admin.row(row["id"])["task"] == "migrating"


@pytest.mark.parametrize("action", ["os-migrateLive", "migrate", "evacuate", "os-resetState"])
def test_nobody_else_does(api: Api, action: str) -> None:
    mine, foreign = api.server(), api.server(project_id=FOREIGN)
    assert act(api, mine, action, {}).status_code == 403
    assert act(api, foreign, action, {}).status_code == 404
    assert api.rapi.calls == []


def test_only_what_does_not_answer_is_evacuated(admin: Api) -> None:
    assert act(admin, admin.server(status="ACTIVE"), "evacuate", {}).status_code == 409


def test_the_state_is_reset(admin: Api) -> None:
    row = admin.server(status="ACTIVE", power="ACTIVE", task="rebooting")
    assert act(admin, row, "os-resetState", {"state": "error"}).status_code == 202
    assert admin.row(row["id"])["status"] == "ERROR"
    assert act(admin, row, "os-resetState", {"state": "active"}).status_code == 202
    after = admin.row(row["id"])
    assert (after["status"], after["task"], after["fault"]) == ("ACTIVE", None, None)
    assert act(admin, row, "os-resetState", {"state": "gone"}).status_code == 400


def test_migrations(admin: Api, api: Api) -> None:
    row = admin.server()
    action = {"cluster": "c", "op_index": 0, "kind": "instance", "name": row["instance"], "rank": 4,
              "began": 1_700_000_000.0, "updated": 1_700_000_001.5, "ended": 1_700_000_001.5}  # fmt: skip
    done = [("OP_INSTANCE_MIGRATE", "success"), ("OP_INSTANCE_FAILOVER", "error"), ("OP_INSTANCE_REBOOT", "success")]
    with admin.engine.begin() as connection:
        for job, (operation, status) in enumerate(done, 7):
            values = {**action, "job": job, "operation": operation, "status": status, "server_id": row["id"]}
            connection.execute(insert(db.action).values(values))
    path = f"{COMPUTE}/os-migrations"
    assert api.get(path).status_code == 403
    first, second = admin.get(path).json["migrations"]  # type: ignore[index]
    assert (first["id"], first["status"], first["instance_uuid"]) == (8, "error", row["id"])
    assert (second["status"], second["created_at"]) == ("completed", "2023-11-14T22:13:20.000000")
    assert second["updated_at"] == "2023-11-14T22:13:21.500000"
    assert len(admin.get(f"{path}?status=error").json["migrations"]) == 1  # type: ignore[index]
    assert admin.get(f"{path}?instance_uuid=x").json == {"migrations": []}
