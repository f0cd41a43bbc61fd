"""Server groups, and what they ask of a new server."""

from __future__ import annotations

from typing import Any

import pytest

from frontend.compute import servergroups
from frontend.settings import Front, Quota, Settings
from frontend.web.fault import BadRequest, Conflict, Forbidden
from tests.unit.frontend.admins import administrator
from tests.unit.frontend.conftest import ALICE, COMPUTE, FOREIGN, MINE, Api, FakeRapi, serve

GROUPS = f"{COMPUTE}/os-server-groups"
V213: Any = {"headers": {"OpenStack-API-Version": "compute 2.13"}}


def create(api: Api, expect: int = 200, *, name: Any = "db", policies: Any = ("anti-affinity",), **more: Any) -> Any:
    answer = api.call("POST", GROUPS, json={"server_group": {"name": name, "policies": policies}}, **more)
    assert answer.status_code == expect, answer.text
    return answer.json.get("server_group")  # type: ignore[union-attr]


def test_one_is_made_shown_and_deleted(api: Api) -> None:
    group = create(api)
    assert group == {"id": group["id"], "name": "db", "policies": ["anti-affinity"], "members": [], "metadata": {}}
    server = api.server(facts={"group": group["id"]})["id"]
    api.server(facts={"group": "another"})
    api.server(facts={"group": group["id"]}, deleted=1.0)
    shown = {**group, "members": [server]}
    assert api.get(f"{GROUPS}/{group['id']}").json == {"server_group": shown}
    assert api.get(GROUPS).json == {"server_groups": [shown]}
    assert api.call("DELETE", f"{GROUPS}/{group['id']}").status_code == 204
    assert api.get(GROUPS).json == {"server_groups": []}
    assert api.call("DELETE", f"{GROUPS}/{group['id']}").status_code == 404


def test_from_2_13_it_tells_whose_it_is(api: Api) -> None:
    group = create(api, **V213)
    assert (group["project_id"], group["user_id"]) == (MINE, ALICE)
    assert api.get(GROUPS, **V213).json == {"server_groups": [group]}


def test_names_repeat_and_pages_follow(api: Api) -> None:
    first, second = create(api), create(api)
    assert first["id"] != second["id"]
    assert api.get(f"{GROUPS}?limit=1").json == {"server_groups": [first]}
    assert api.get(f"{GROUPS}?limit=1&offset=1").json == {"server_groups": [second]}
    assert api.get(f"{GROUPS}?offset=x").status_code == 400


def test_another_projects_is_not_there(api: Api, nobody: Api) -> None:
    bob, adam = nobody.become("bob", "foreign"), administrator(nobody)
    theirs = create(bob)
    api.server(facts={"group": theirs["id"]})  # whatever its tags say
    assert api.get(GROUPS).json == api.get(f"{GROUPS}?all_projects=1").json == {"server_groups": []}
    for method in ("GET", "DELETE"):
        answer = api.call(method, f"{GROUPS}/{theirs['id']}")
        assert answer.text == api.call(method, f"{GROUPS}/never").text.replace("never", theirs["id"])
    assert bob.get(GROUPS).json == {"server_groups": [theirs]}
    (listed,) = adam.get(f"{GROUPS}?all_projects=1").json["server_groups"]  # type: ignore[index]
    assert listed["id"] == theirs["id"]


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "n" * 256},
        {"policies": []},
        {"policies": ["affinity", "anti-affinity"]},
        {"policies": ["fast"]},
        {"policies": ["soft-anti-affinity"]},
        {"policies": [{}]},
        {"policies": "affinity"},
        {"policies": None},
    ],
)
def test_what_is_wrong_is_refused(api: Api, changes: dict[str, Any]) -> None:
    create(api, 400, **changes)
    assert api.get(GROUPS).json == {"server_groups": []}


def test_there_is_a_quota(front: Front, rapi: FakeRapi) -> None:
    nobody = serve(front, rapi, Settings(front=front, quota=Quota(server_groups=1)))
    create(nobody.become("alice"))
    create(nobody.become("alice"), 403)
    create(nobody.become("bob", "foreign"))


def placed(api: Api, ident: str, count: int = 1, project: str = MINE) -> servergroups.Place:
    with api.client.application.app_context(), api.engine.connect() as connection:
        return servergroups.placed(connection, project, ident, count)


def test_where_a_server_of_a_group_goes(api: Api) -> None:
    apart, together = create(api)["id"], create(api, policies=["affinity"])["id"]
    assert placed(api, apart, 5) == ({"group": apart, "apart": apart}, None, None)
    assert placed(api, together) == ({"group": together}, None, None)
    with pytest.raises(BadRequest, match="alone"):
        placed(api, together, 2)
    first = api.server(facts={"group": together}, host=None, status="BUILD")["id"]
    with pytest.raises(Conflict, match="no server of it has a place yet"):
        placed(api, together)
    api.change(first, host="node2")
    assert placed(api, together, 2) == ({"group": together}, "node2", "")


def test_a_group_that_is_not_the_projects_or_full(api: Api) -> None:
    group = create(api)["id"]
    for ident, project in (("never", MINE), (group, FOREIGN)):
        with pytest.raises(BadRequest, match=f"no server group {ident}"):
            placed(api, ident, project=project)
    for _ in range(9):
        api.server(facts={"group": group})
    placed(api, group)
    with pytest.raises(Forbidden, match="too many servers in group"):
        placed(api, group, 2)
