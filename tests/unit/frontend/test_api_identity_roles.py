"""What a reader, a member and an admin may see and do in Identity."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from frontend.database import db
from tests.unit.frontend.conftest import ALICE, BOB, COMPUTE, EVE, FOREIGN, MINE, RITA, Api

V3 = "/identity/v3"


@pytest.fixture
def admin(nobody: Api) -> Api:
    """Rita, who is admin of project `mine`."""
    with nobody.engine.begin() as connection:
        connection.execute(update(db.membership).where(db.membership.c.user_id == RITA).values(role="admin"))
    return nobody.become("rita")


def names(api: Api, path: str, kind: str) -> list[str]:
    answer: Any = api.get(f"{V3}/{path}").json
    return [each["name"] for each in answer[kind]]


def test_an_admin_sees_all_projects_and_users(admin: Api) -> None:
    assert names(admin, "projects", "projects") == ["foreign", "mine"]
    assert names(admin, "projects?name=foreign", "projects") == ["foreign"]
    assert names(admin, "auth/projects", "projects") == ["mine"]
    assert names(admin, "users", "users") == ["alice", "bob", "eve", "rita"]
    assert names(admin, "users?name=bob", "users") == ["bob"]
    assert names(admin, "users?enabled=false", "users") == ["eve"]
    assert admin.get(f"{V3}/projects/{FOREIGN}").json["project"]["name"] == "foreign"  # type: ignore[index]
    assert admin.get(f"{V3}/users/{EVE}").json["user"]["enabled"] is False  # type: ignore[index]
    assert names(admin, f"users/{BOB}/projects", "projects") == ["foreign"]
    for path in ("users/nobody", "users/nobody/projects", "projects/nothing"):
        assert admin.get(f"{V3}/{path}").status_code == 404


@pytest.mark.parametrize("name", ["alice", "rita"])
def test_others_see_their_own(nobody: Api, name: str) -> None:
    api = nobody.become(name)
    assert names(api, "projects", "projects") == ["mine"]
    assert api.get(f"{V3}/users").status_code == 403
    assert api.get(f"{V3}/users/{BOB}").status_code == 404
    assert api.get(f"{V3}/users/{BOB}/projects").status_code == 404
    assert api.get(f"{V3}/projects/{FOREIGN}").status_code == 404
    assert api.get(f"{V3}/projects/{MINE}").status_code == 200


def test_an_admin_of_a_project_is_none_without_it(admin: Api, nobody: Api) -> None:
    free = nobody.become("rita", None)
    assert free.get(f"{V3}/users").status_code == 403
    assert names(free, "projects", "projects") == ["mine"]


def test_an_admin_may_look_at_and_end_others_tokens(admin: Api, api: Api) -> None:
    headers = {"X-Subject-Token": api.token or ""}
    shown = admin.get(f"{V3}/auth/tokens", headers=headers).json["token"]  # type: ignore[index]
    assert (shown["user"]["id"], shown["roles"]) == (ALICE, [{"id": "member", "name": "member"}])
    assert admin.call("DELETE", f"{V3}/auth/tokens", headers=headers).status_code == 204
    assert api.get(f"{COMPUTE}/servers").status_code == 401


def test_a_reader_changes_nothing(nobody: Api) -> None:
    rita = nobody.become("rita")
    assert rita.get(f"{COMPUTE}/servers").status_code == 200
    for method, path in (("POST", "servers"), ("DELETE", "servers/x"), ("POST", "servers/x/action")):
        assert rita.call(method, f"{COMPUTE}/{path}", json={}).status_code == 403


def test_roles_services_and_domains(api: Api) -> None:
    assert names(api, "roles", "roles") == ["member", "reader", "admin"]
    assert names(api, "roles?name=reader", "roles") == ["reader"]
    assert api.get(f"{V3}/roles/reader").json["role"]["id"] == "reader"  # type: ignore[index]
    assert api.get(f"{V3}/roles/boss").status_code == 404
    assert names(api, "services", "services") == ["keystone", "nova", "glance", "neutron", "cinderv3", "cinder"]
    assert names(api, "services?type=compute", "services") == ["nova"]
    assert names(api, "domains", "domains") == ["Default"]
    assert names(api, "domains?name=other", "domains") == []
