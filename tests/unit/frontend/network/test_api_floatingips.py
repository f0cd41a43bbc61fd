"""Floating addresses: an address of an external network's pool that is its project's, as a NIC of whichever server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete, update

from frontend.database import db
from frontend.network import portkept
from frontend.settings import Front, Quota, Settings
from tests.unit.frontend.conftest import COMPUTE, IMAGE, MINE, SMALL, Api, serve
from tests.unit.frontend.pretended import Pretended

FLOATING, PORTS, NETWORKS = (f"/network/v2.0/{kind}" for kind in ("floatingips", "ports", "networks"))
EXTERNAL = "ganeti-ext:external:1"


@pytest.fixture
def ganeti() -> Pretended:
    return Pretended()


@pytest.fixture
def api(front: Front, ganeti: Pretended) -> Api:
    quota = Quota(floating_ips=2)
    nobody = serve(front, ganeti, Settings(front=replace(front, tenant_link="br0"), quota=quota))
    ganeti.engine = nobody.engine
    with nobody.engine.begin() as connection:
        connection.execute(delete(db.network))
    ganeti.network("public", "192.0.2.0/28", "nfdhcpd", EXTERNAL)
    ganeti.network("plain", "10.0.0.0/24", "nfdhcpd")
    return nobody.become("alice")


def public(ganeti: Pretended) -> str:
    return ganeti.networks["public"].uuid


def make(api: Api, ganeti: Pretended, **more: Any) -> dict[str, Any]:
    answer = api.call("POST", FLOATING, json={"floatingip": {"floating_network_id": public(ganeti), **more}})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.get_json()["floatingip"]
    return found


def change(api: Api, ident: str, **new: Any) -> Any:
    return api.call("PUT", f"{FLOATING}/{ident}", json={"floatingip": new})


def show(api: Api, ident: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"{FLOATING}/{ident}").get_json()["floatingip"]
    return found


def server(api: Api, ganeti: Pretended, name: str = "web") -> tuple[str, str]:
    """Its id, and that of its port."""
    wish = {"name": name, "imageRef": IMAGE, "flavorRef": SMALL, "networks": [{"uuid": ganeti.networks["plain"].uuid}]}
    answer = api.call("POST", f"{COMPUTE}/servers", json={"server": wish})
    assert answer.status_code == 202, answer.text
    ident = answer.get_json()["server"]["id"]
    (port,) = api.get(f"{PORTS}?device_id={ident}").get_json()["ports"]
    return ident, port["id"]


def nics(ganeti: Pretended, ident: str) -> list[tuple[str, str]]:
    return [(nic["network"], nic["ip"]) for nic in ganeti.instances[f"gx-{ident}"].nics]


def said(answer: Any) -> str:
    ((_, fault),) = answer.get_json().items()
    return str(fault["message"])


def test_its_address_is_reserved_in_ganetis_pool(api: Api, ganeti: Pretended) -> None:
    made = make(api, ganeti, description="of the shop")
    assert (made["floating_ip_address"], made["floating_network_id"]) == ("192.0.2.14", public(ganeti))
    assert (made["status"], made["port_id"], made["fixed_ip_address"], made["router_id"]) == ("DOWN", None, None, None)
    assert (made["description"], made["project_id"]) == ("of the shop", MINE)
    assert "192.0.2.14" in ganeti.networks["public"].apart
    (kept,) = portkept.read(ganeti.networks["public"].tags, public(ganeti))
    assert (kept["id"], kept["address"], kept["project_id"]) == (made["id"], "192.0.2.14", MINE)
    assert kept["facts"] == {"floating": True, "description": "of the shop"}
    assert show(api, made["id"]) == made
    assert api.get(f"{FLOATING}?floating_ip_address=192.0.2.14").get_json()["floatingips"] == [made]
    assert api.get(PORTS).get_json()["ports"] == []
    assert api.get(f"{PORTS}/{made['id']}").status_code == 404
    assert api.become("bob", "foreign").get(f"{FLOATING}/{made['id']}").status_code == 404


def test_it_comes_to_a_running_server_and_goes(api: Api, ganeti: Pretended) -> None:
    ident, port = server(api, ganeti)
    made = make(api, ganeti)
    answer = change(api, made["id"], port_id=port)
    assert answer.status_code == 200, answer.text
    now = answer.get_json()["floatingip"]
    assert (now["status"], now["port_id"], now["fixed_ip_address"]) == ("ACTIVE", port, "10.0.0.2")
    assert now == show(api, made["id"])
    assert nics(ganeti, ident) == [("plain", "10.0.0.2"), ("public", "192.0.2.14")]
    shown = api.get(f"{COMPUTE}/servers/{ident}").get_json()["server"]["addresses"]
    assert shown["public"][0]["addr"] == "192.0.2.14"
    assert change(api, made["id"], description="x").get_json()["floatingip"]["port_id"] == port
    assert change(api, made["id"], port_id=port).get_json()["floatingip"]["port_id"] == port
    assert len(nics(ganeti, ident)) == 2
    gone = change(api, made["id"], port_id=None).get_json()["floatingip"]
    assert (gone["status"], gone["port_id"], gone["floating_ip_address"]) == ("DOWN", None, "192.0.2.14")
    assert nics(ganeti, ident) == [("plain", "10.0.0.2")]
    assert "192.0.2.14" in ganeti.networks["public"].apart


def test_made_with_a_port(api: Api, ganeti: Pretended) -> None:
    ident, port = server(api, ganeti)
    made = make(api, ganeti, port_id=port, fixed_ip_address="10.0.0.2", floating_ip_address="192.0.2.5")
    assert (made["floating_ip_address"], made["port_id"], made["status"]) == ("192.0.2.5", port, "ACTIVE")
    assert nics(ganeti, ident)[1] == ("public", "192.0.2.5")


def test_it_moves_from_server_to_server_with_its_mac(api: Api, ganeti: Pretended) -> None:
    (one, port), (other, its) = server(api, ganeti), server(api, ganeti, "other")
    made = make(api, ganeti, port_id=port)
    mac = ganeti.instances[f"gx-{one}"].nics[1]["mac"]
    assert change(api, made["id"], port_id=its).get_json()["floatingip"]["port_id"] == its
    assert (len(nics(ganeti, one)), nics(ganeti, other)[1]) == (1, ("public", "192.0.2.14"))
    assert ganeti.instances[f"gx-{other}"].nics[1]["mac"] == mac


def test_it_stays_its_projects_when_the_server_or_the_port_goes(api: Api, ganeti: Pretended) -> None:
    ident, port = server(api, ganeti)
    made = make(api, ganeti, port_id=port)
    assert api.call("DELETE", f"{PORTS}/{port}").status_code == 204
    assert nics(ganeti, ident) == []
    assert (show(api, made["id"])["port_id"], show(api, made["id"])["status"]) == (None, "DOWN")
    other, its = server(api, ganeti, "other")
    assert change(api, made["id"], port_id=its).status_code == 200
    assert api.call("DELETE", f"{COMPUTE}/servers/{other}").status_code == 204
    assert (show(api, made["id"])["port_id"], "192.0.2.14" in ganeti.networks["public"].apart) == (None, True)


def test_a_detached_interface_is_disassociated(api: Api, ganeti: Pretended) -> None:
    ident, port = server(api, ganeti)
    made = make(api, ganeti, port_id=port)
    assert api.call("DELETE", f"{COMPUTE}/servers/{ident}/os-interface/{made['id']}").status_code == 202
    assert show(api, made["id"])["port_id"] is None


def test_deleted_its_address_is_free(api: Api, ganeti: Pretended) -> None:
    ident, port = server(api, ganeti)
    made = make(api, ganeti, port_id=port)
    assert api.call("DELETE", f"{FLOATING}/{made['id']}").status_code == 204
    assert nics(ganeti, ident) == [("plain", "10.0.0.2")]
    assert "192.0.2.14" not in ganeti.networks["public"].apart
    assert ganeti.networks["public"].tags == {"nfdhcpd", EXTERNAL}
    assert api.call("DELETE", f"{FLOATING}/{made['id']}").status_code == 404
    assert make(api, ganeti)["floating_ip_address"] == "192.0.2.14"


def test_the_quota(api: Api, ganeti: Pretended) -> None:
    make(api, ganeti)
    make(api, ganeti)
    answer = api.call("POST", FLOATING, json={"floatingip": {"floating_network_id": public(ganeti)}})
    assert (answer.status_code, "Quota exceeded" in said(answer)) == (409, True)
    details = api.get(f"/network/v2.0/quotas/{MINE}/details").get_json()["quota"]
    assert (details["floatingip"]["used"], details["port"]["used"]) == (2, 0)


def test_no_server_is_made_or_gets_a_port_of_it(api: Api, ganeti: Pretended) -> None:
    made, (ident, _) = make(api, ganeti), server(api, ganeti)
    wish = {"name": "x", "imageRef": IMAGE, "flavorRef": SMALL, "networks": [{"port": made["id"]}]}
    assert api.call("POST", f"{COMPUTE}/servers", json={"server": wish}).status_code == 400
    body = {"interfaceAttachment": {"port_id": made["id"]}}
    assert api.call("POST", f"{COMPUTE}/servers/{ident}/os-interface", json=body).status_code == 404


def test_as_a_port_it_is_left_alone(api: Api, ganeti: Pretended) -> None:
    ident, port = server(api, ganeti)
    made = make(api, ganeti, port_id=port)
    assert len(api.get(f"{PORTS}?device_id={ident}").get_json()["ports"]) == 2
    assert api.call("PUT", f"{PORTS}/{made['id']}", json={"port": {"name": "x"}}).status_code == 409
    assert api.call("DELETE", f"{PORTS}/{made['id']}").status_code == 409
    assert change(api, made["id"], port_id=made["id"]).status_code == 400


@pytest.mark.parametrize(
    ("wish", "status", "words"),
    [
        ({"floating_network_id": "0bbbbbbb-9999-4000-8000-000000000001"}, 404, "0bbbbbbb-9999"),
        ({"floating_network_id": "{plain}"}, 400, "not a valid external network"),
        ({"floating_network_id": None}, 400, "floating_network_id"),
        ({"floating_ip_address": "192.0.2.77"}, 400, "192.0.2.77"),
        ({"floating_ip_address": "fd00::1"}, 400, "fd00::1"),
        ({"floating_ip_address": "192.0.2.1"}, 409, "192.0.2.1"),
        ({"subnet_id": "x"}, 400, "subnet_id"),
        ({"port_id": "0ccccccc-9999-4000-8000-000000000000"}, 404, "0ccccccc-9999"),
        ({"fixed_ip_address": "10.0.0.2"}, 400, "port_id"),
        ({"dns_name": "web"}, 400, "dns_name"),
        ({"project_id": "x"}, 403, "project_id"),
    ],
)
def test_a_wish_that_cannot_be(api: Api, ganeti: Pretended, wish: dict[str, Any], status: int, words: str) -> None:
    wish = {key: ganeti.networks["plain"].uuid if value == "{plain}" else value for key, value in wish.items()}
    calls = len(ganeti.calls)
    answer = api.call("POST", FLOATING, json={"floatingip": {"floating_network_id": public(ganeti), **wish}})
    assert (answer.status_code, words in said(answer), len(ganeti.calls)) == (status, True, calls)
    assert api.get(FLOATING).get_json()["floatingips"] == []


def test_a_port_that_no_server_has_can_have_none(api: Api, ganeti: Pretended) -> None:
    port = api.call("POST", PORTS, json={"port": {"network_id": ganeti.networks["plain"].uuid}}).get_json()["port"]
    answer = change(api, make(api, ganeti)["id"], port_id=port["id"])
    assert (answer.status_code, "no server's" in said(answer)) == (409, True)


def test_of_a_server_that_is_locked_or_busy_nothing_changes(api: Api, ganeti: Pretended) -> None:
    ident, port = server(api, ganeti)
    made = make(api, ganeti)
    with api.engine.begin() as connection:
        connection.execute(update(db.server).where(db.server.c.id == ident).values(task="rebuilding"))
    assert change(api, made["id"], port_id=port).status_code == 409
    wish = {"floating_network_id": public(ganeti), "port_id": port}
    assert api.call("POST", FLOATING, json={"floatingip": wish}).status_code == 409
    assert len(api.get(FLOATING).get_json()["floatingips"]) == 1


def test_what_ganeti_refuses_leaves_none(api: Api, ganeti: Pretended) -> None:
    _, port = server(api, ganeti)
    before = set(ganeti.networks["public"].apart)
    ganeti.fails = lambda operation, _: "no such bridge" if operation == "OP_INSTANCE_SET_PARAMS" else None
    wish = {"floating_network_id": public(ganeti), "port_id": port}
    assert api.call("POST", FLOATING, json={"floatingip": wish}).status_code == 409
    assert (api.get(FLOATING).get_json()["floatingips"], ganeti.networks["public"].apart) == ([], before)


def test_labels(api: Api, ganeti: Pretended) -> None:
    made = make(api, ganeti)
    assert api.call("PUT", f"{FLOATING}/{made['id']}/tags", json={"tags": ["a", "b"]}).get_json() == {
        "tags": ["a", "b"]
    }
    assert show(api, made["id"])["tags"] == ["a", "b"]
    assert api.get(f"{FLOATING}?tags=a").get_json()["floatingips"]
    port = api.call("POST", PORTS, json={"port": {"network_id": ganeti.networks["plain"].uuid}}).get_json()["port"]
    assert api.call("PUT", f"{PORTS}/{port['id']}/tags/c").status_code == 201
    assert api.get(f"{PORTS}/{port['id']}").get_json()["port"]["tags"] == ["c"]


def test_external_networks_are_told_of(api: Api, ganeti: Pretended) -> None:
    found = api.get(f"{NETWORKS}?router:external=true").get_json()["networks"]
    assert [network["name"] for network in found] == ["public"]


def test_there_are_no_routers(api: Api) -> None:
    answer = api.call("POST", "/network/v2.0/routers", json={"router": {"name": "r"}})
    assert (answer.status_code, "no routers" in said(answer)) == (400, True)
    assert api.get("/network/v2.0/routers").get_json() == {"routers": []}
    assert api.get("/network/v2.0/routers/x").status_code == 404


def test_as_compute_tells_of_them(api: Api, ganeti: Pretended) -> None:
    ident, port = server(api, ganeti)
    made = make(api, ganeti, port_id=port)
    (found,) = api.get(f"{COMPUTE}/os-floating-ips").get_json()["floating_ips"]
    assert found == {
        "id": made["id"],
        "ip": "192.0.2.14",
        "pool": "public",
        "instance_id": ident,
        "fixed_ip": "10.0.0.2",
    }
    assert api.get(f"{COMPUTE}/os-floating-ip-pools").get_json() == {"floating_ip_pools": [{"name": "public"}]}
