"""POST /servers: where a server is put, and what it is made of."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, update

from frontend.database import db
from tests.unit.frontend.conftest import ALICE, FOREIGN, IMAGE, MINE, Api
from tests.unit.frontend.test_api_create import SERVERS, refused, wish

GROUP = "0ddddddd-0000-4000-8000-000000000001"


def group(api: Api, policy: str, project: str = MINE) -> dict[str, Any]:
    """A server group, and the hint that names it."""
    row = {"id": GROUP, "project_id": project, "user_id": ALICE, "name": "g", "policy": policy, "created": 1.0}
    with api.engine.begin() as connection:
        connection.execute(insert(db.server_group).values(row))
    return {"group": GROUP}


@pytest.mark.parametrize("where", ["os:scheduler_hints", "OS-SCH-HNT:scheduler_hints"])
@pytest.mark.parametrize("inside", [True, False])
def test_servers_of_a_group_are_kept_apart_by_their_tag(api: Api, where: str, inside: bool) -> None:
    hints = {where: group(api, "anti-affinity")}
    body = wish(**hints) if inside else {**wish(), **hints}
    assert api.call("POST", SERVERS, json=body).status_code == 202
    sent = api.rapi.calls[0][2]
    # htools:iextags:ganeti-ext:apart on the cluster makes this one an exclusion tag (hail(1)).
    assert {f"ganeti-ext:apart:{GROUP}", f"ganeti-ext:group:{GROUP}"} <= set(sent["tags"])
    assert "pnode" not in sent
    assert api.rows()[0]["facts"]["group"] == GROUP


def test_servers_that_belong_together_are_put_on_the_first_ones_node(api: Api) -> None:
    hints = {"os:scheduler_hints": group(api, "affinity")}
    api.server(host="node2", facts={"group": GROUP})
    assert api.call("POST", SERVERS, json={**wish(), **hints}).status_code == 202
    sent = api.rapi.calls[0][2]
    assert (sent["pnode"], "opportunistic_locking" in sent) == ("node2", False)
    assert not [tag for tag in sent["tags"] if "apart" in tag]


def test_another_projects_group_is_as_unknown_as_none(api: Api) -> None:
    group(api, "anti-affinity", FOREIGN)
    unknown = GROUP[:-1] + "9"
    texts = {
        refused(api, {**wish(), "os:scheduler_hints": {"group": ident}}).replace(ident, "ID")
        for ident in (GROUP, unknown)
    }
    assert len(texts) == 1


def test_a_zone_is_a_node_group(api: Api) -> None:
    up = {"offline": False, "drained": False, "vm_capable": True}
    with api.engine.begin() as connection:
        connection.execute(insert(db.node).values(name="node1", zone="az1", updated=1.0, **up))
    assert api.call("POST", SERVERS, json=wish(availability_zone="az1")).status_code == 202
    assert api.call("POST", SERVERS, json=wish(availability_zone="nova")).status_code == 202
    assert [body.get("group_name") for _, _, body, _ in api.rapi.calls] == ["az1", None]


def test_a_firewall_profile_is_chosen_as_a_security_group(api: Api) -> None:
    answer = api.call("POST", SERVERS, json=wish(security_groups=[{"name": "limited"}]))
    assert answer.json["server"]["security_groups"] == [{"name": "limited"}]  # type: ignore[index]
    assert "ganeti-ext:firewall:limited" in api.rapi.calls[0][2]["tags"]


def test_an_image_of_a_server_is_cloned_where_it_is(api: Api) -> None:
    of_server = {"origin": "snapshot:gx-1-root", "provider": "rbd", "owner_id": MINE}
    with api.engine.begin() as connection:
        connection.execute(update(db.image).where(db.image.c.id == IMAGE).values(**of_server))
    assert api.call("POST", SERVERS, json=wish()).status_code == 202
    root, seed = api.rapi.calls[0][2]["disks"]
    assert (root["provider"], root["origin"], seed["provider"]) == ("rbd", "snapshot:gx-1-root", "rbd")


def test_an_image_that_is_being_made_cannot_be_booted(api: Api) -> None:
    with api.engine.begin() as connection:
        connection.execute(update(db.image).where(db.image.c.id == IMAGE).values(status="saving"))
    assert refused(api, wish()) == f"Image {IMAGE} is not active."


def test_another_projects_flavor_is_as_unknown_as_none(api: Api) -> None:
    with api.engine.begin() as connection:
        connection.execute(insert(db.flavor).values(id="f-own", name="own", vcpus=1, ram=512, disk=5, public=False))
        connection.execute(insert(db.flavor_access).values(flavor_id="f-own", project_id=FOREIGN))
    texts = {refused(api, wish(flavorRef=ident)).replace(ident, "ID") for ident in ("f-own", "f-not")}
    assert texts == {"Flavor ID could not be found."}


@pytest.mark.parametrize(("said", "made"), [("yes", {"use_guest_agent": True}), ("True", {"use_guest_agent": True}),
                                            ("no", None), (None, None)])  # fmt: skip
def test_the_image_says_whether_an_agent_runs_in_it(api: Api, said: str | None, made: dict[str, bool] | None) -> None:
    with api.engine.begin() as connection:
        properties = {"hw_qemu_guest_agent": said} if said else {}
        connection.execute(update(db.image).where(db.image.c.id == IMAGE).values(properties=properties))
    assert api.call("POST", SERVERS, json=wish()).status_code == 202
    ((_, _, body, _),) = api.rapi.calls
    assert body.get("hvparams") == made
