"""Networks of tenants: changed, made in numbers, labelled, listed."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from frontend.database import db
from tests.unit.frontend.admins import administrator
from tests.unit.frontend.conftest import MINE, NET, Api
from tests.unit.frontend.tenantnets import NETWORKS, SUBNETS, Ganeti, make, shown, subnet, with_subnet


def put(api: Api, ident: str, **changes: Any) -> Any:
    return api.call("PUT", f"{NETWORKS}/{ident}", json={"network": changes})


def names(api: Api, query: str = "") -> list[str]:
    found = [each["name"] for each in api.get(f"{NETWORKS}?{query}").get_json()["networks"]]
    return found if "sort_key" in query else sorted(found)


def test_a_name_may_have_any_character_and_ganeti_gets_one_that_it_takes(api: Api, ganeti: Ganeti) -> None:
    ident = make(api, "my Netz ä", description="the first")
    subnet(api, ident)
    assert list(ganeti.networks) == [f"my..20Netz..20..C3..A4.{ident}"]
    found = shown(api, f"{NETWORKS}/{ident}")
    assert (found["name"], found["description"]) == ("my Netz ä", "the first")
    too_long = api.call("POST", NETWORKS, json={"network": {"name": "ä" * 30}})
    assert (too_long.status_code, "at most 200 are possible" in too_long.text) == (400, True)


def test_another_name_is_ganetis_too_and_its_servers_show_it(api: Api, ganeti: Ganeti) -> None:
    ident = make(api)
    subnet(api, ident)
    nic = {"network": f"blue.{ident}", "ip": "10.1.0.2", "ip6": None, "mac": "aa:00:00:00:00:01", "uuid": "n"}
    server, other = api.server(nics=[nic]), api.server()
    answer = put(api, ident, name="red", description="not blue")
    assert answer.status_code == 200
    assert [call[:2] for call in api.rapi.calls[2:]] == [
        ("PUT", f"networks/blue.{ident}/tags"),
        ("PUT", f"networks/blue.{ident}/rename"),
    ]
    for found in (answer.get_json()["network"], shown(api, f"{NETWORKS}/{ident}")):
        assert (found["name"], found["description"], len(found["subnets"])) == ("red", "not blue", 1)
    assert list(ganeti.networks) == [f"red.{ident}"]
    assert list(shown(api, f"/compute/v2.1/servers/{server['id']}")["addresses"]) == ["red"]
    assert api.row(other["id"])["nics"] == other["nics"]
    ports = api.get("/network/v2.0/ports", query_string={"network_id": ident}).get_json()["ports"]
    assert [port["device_id"] for port in ports] == [server["id"]]


def test_what_is_said_of_a_network_outlives_its_subnet(api: Api, ganeti: Ganeti) -> None:
    ident = make(api)
    assert put(api, ident, description="kept", name="red").status_code == 200
    assert api.rapi.calls == []
    first = subnet(api, ident)
    assert ganeti.networks[f"red.{ident}"]["tags"][0] == "ganeti-ext:description:kept"
    assert put(api, ident, description="changed").status_code == 200
    assert api.call("DELETE", f"{SUBNETS}/{first['id']}").status_code == 204
    assert shown(api, f"{NETWORKS}/{ident}")["description"] == "changed"
    assert put(api, ident, description="").status_code == 200
    assert shown(api, f"{NETWORKS}/{ident}")["description"] == ""


def test_nothing_to_change_is_no_job(api: Api, ganeti: Ganeti) -> None:
    ident = make(api)
    subnet(api, ident)
    before = list(api.rapi.calls)
    assert put(api, ident, name="blue", admin_state_up=True, shared=False).status_code == 200
    assert api.rapi.calls == before


def test_a_change_that_fails_is_told_and_nothing_else_is_said(api: Api, ganeti: Ganeti) -> None:
    ident = make(api)
    subnet(api, ident)
    ganeti.fails = "RENAME"
    assert put(api, ident, name="red").status_code == 409
    assert shown(api, f"{NETWORKS}/{ident}")["name"] == "blue"


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"admin_state_up": False}, 400),
        ({"port_security_enabled": False}, 400),
        ({"router:external": True}, 400),
        ({"name": "  "}, 400),
        ({"name": 7}, 400),
        ({"description": "x" * 256}, 400),
        ({"shared": True}, 403),
        ({"provider:network_type": "vlan"}, 403),
        ({"project_id": "22222222-2222-4222-8222-222222222222"}, 403),
    ],
)
def test_what_a_tenants_network_cannot_be(api: Api, wrong: dict[str, Any], status: int) -> None:
    ident = make(api)
    assert put(api, ident, **wrong).status_code == status
    assert api.call("POST", NETWORKS, json={"network": {"name": "red", **wrong}}).status_code == status
    assert names(api, "shared=false") == ["blue"]


def test_an_administrators_is_not_a_tenants_and_a_strangers_is_none(api: Api) -> None:
    assert put(api, NET, name="mine").status_code == 403
    assert put(api.become("bob", "foreign"), make(api), name="his").status_code == 404


def test_of_many_all_are_made_or_none(api: Api) -> None:
    answer = api.call("POST", NETWORKS, json={"networks": [{"name": "one"}, {"name": "two", "description": "2"}]})
    assert answer.status_code == 201
    assert [each["name"] for each in answer.get_json()["networks"]] == ["one", "two"]
    for wrong in ([{"name": "three"}, {"name": "four", "admin_state_up": False}], [{"name": "x"}, 7], []):
        assert api.call("POST", NETWORKS, json={"networks": wrong}).status_code == 400
    nine = [{"name": f"n{number}"} for number in range(9)]
    assert api.call("POST", NETWORKS, json={"networks": nine}).status_code == 409
    assert names(api, "shared=false") == ["one", "two"]
    with api.engine.connect() as connection:
        assert len({row["project_id"] for row in db.rows(connection, select(db.tenant_network))}) == 1


def test_lists_are_in_the_order_that_is_asked_for(api: Api) -> None:
    for name, description in (("b", "1"), ("a", "2"), ("c", "1")):
        make(api, name, description=description)
    assert names(api, "shared=false&sort_key=name&sort_dir=desc") == ["c", "b", "a"]
    both = "sort_key=description&sort_dir=asc&sort_key=name&sort_dir=desc"
    assert names(api, f"shared=false&{both}") == ["c", "b", "a"]
    assert names(api, "shared=false&sort_key=description&sort_dir=desc")[0] == "a"
    assert names(api, "name=b&sort_key=name") == ["b"]
    for wrong in ("sort_key=name&sort_dir=up", "sort_key=subnets", "sort_dir=asc&sort_dir=desc&sort_key=name"):
        assert api.get(f"{NETWORKS}?{wrong}").status_code == 400


@pytest.mark.parametrize("in_ganeti", [True, False])
def test_labels_of_a_network(api: Api, ganeti: Ganeti, *, in_ganeti: bool) -> None:
    ident = make(api)
    if in_ganeti:
        subnet(api, ident)
    tags = f"{NETWORKS}/{ident}/tags"
    assert api.call("PUT", tags, json={"tags": ["web", "blau grün", "web"]}).get_json() == {
        "tags": ["web", "blau grün"]
    }
    assert shown(api, f"{NETWORKS}/{ident}")["tags"] == ["web", "blau grün"]
    assert api.call("PUT", f"{tags}/more").status_code == 201
    assert api.get(tags).get_json() == {"tags": ["web", "blau grün", "more"]}
    assert [api.get(f"{tags}/{one}").status_code for one in ("more", "less")] == [204, 404]
    assert [api.call("DELETE", f"{tags}/{one}").status_code for one in ("more", "less")] == [204, 404]
    assert api.call("PUT", tags, json={"tags": ["a,b"]}).status_code == 400
    assert names(api, "tags=web") == names(api, "tags-any=web,other") == ["blue"]
    assert names(api, "tags=web,other") == names(api, "tags-any=other") == []
    assert names(api, "not-tags=web") == names(api, "not-tags-any=web,other") == ["net1"]
    assert names(api, "not-tags=web,other") == ["blue", "net1"]
    assert api.call("DELETE", tags).status_code == 204
    assert api.get(tags).get_json() == {"tags": []}
    assert ("label" in str(ganeti.networks)) is False


def test_labels_of_a_subnet(api: Api, ganeti: Ganeti) -> None:
    found = subnet(api, make(api), name="front")
    tags = f"{SUBNETS}/{found['id']}/tags"
    assert api.call("PUT", tags, json={"tags": ["web"]}).status_code == 200
    assert (shown(api, f"{SUBNETS}/{found['id']}")["tags"], found["tags"]) == (["web"], [])
    assert shown(api, f"{SUBNETS}/{found['id']}")["name"] == "front"
    assert api.get(f"{SUBNETS}?tags=web").get_json()["subnets"][0]["id"] == found["id"]
    assert api.call("DELETE", f"{tags}/web").status_code == 204
    assert api.get(tags).get_json() == {"tags": []}


def test_an_administrators_network_gets_no_labels(api: Api) -> None:
    assert api.get(f"{NETWORKS}/{NET}/tags").get_json() == {"tags": []}
    assert api.call("PUT", f"{NETWORKS}/{NET}/tags/web").status_code == 403


def test_how_full_networks_are_an_administrator_sees(api: Api, ganeti: Ganeti) -> None:
    ident = make(api)
    found = subnet(api, ident, allocation_pools=[{"start": "10.1.0.4", "end": "10.1.0.9"}])
    api.server(
        nics=[{"network": f"blue.{ident}", "ip": "10.1.0.4", "ip6": None, "mac": "aa:00:00:00:00:01", "uuid": "n"}]
    )
    path = "/network/v2.0/network-ip-availabilities"
    assert api.get(path).status_code == 403
    admin = administrator(api)
    one = shown(admin, f"{path}/{ident}")
    assert (one["network_name"], one["project_id"], one["total_ips"], one["used_ips"]) == ("blue", MINE, 6, 1)
    (of_subnet,) = one["subnet_ip_availability"]
    assert (of_subnet["subnet_id"], of_subnet["cidr"], of_subnet["used_ips"]) == (found["id"], "10.1.0.0/28", 1)
    listed = admin.get(f"{path}?network_name=blue").get_json()["network_ip_availabilities"]
    assert [each["network_id"] for each in listed] == [ident]
    assert len(admin.get(path).get_json()["network_ip_availabilities"]) == 2
    assert admin.get(f"{path}/nothing").status_code == 404


def test_a_network_without_its_bridge_does_not_stay_half_made(api: Api, ganeti: Ganeti) -> None:
    ganeti.fails = "CONNECT"
    ident = make(api)
    assert with_subnet(api, ident).status_code == 409
    assert ganeti.networks == {}
    ganeti.fails = ""
    assert with_subnet(api, ident).status_code == 201


def test_extensions(api: Api) -> None:
    path = "/network/v2.0/extensions"
    found = api.get(path).get_json()["extensions"]
    for each in found:
        assert api.get(f"{path}/{each['alias']}").get_json() == {"extension": each}
    assert {"quotas", "standard-attr-tag"} <= {each["alias"] for each in found}
    assert api.get(f"{path}/router").status_code == 404
