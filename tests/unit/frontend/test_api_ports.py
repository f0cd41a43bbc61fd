"""Ports that tenants make before a server has them, and what they say of those that servers have."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from frontend.database import db
from frontend.network import netjobs, portstore
from frontend.settings import Front
from frontend.update.mirror import Mirror
from ganeti_ext import event
from ganeti_ext.errors import RapiLost
from tests.unit.frontend import updates
from tests.unit.frontend.conftest import COMPUTE, FOREIGN, IMAGE, MINE, NET, SMALL, Api
from tests.unit.frontend.test_api_interface import PORT, Ganeti, attach, interfaces

PORTS = "/network/v2.0/ports"
OWN = "0bbbbbbb-3333-4000-8000-000000000003"  # a network of the project's own
OWN_UUID = "0ddddddd-3333-4000-8000-000000000003"


class Pools:
    """Ganeti's networks: does at once what a job asks, and tells the front of it."""

    def __init__(self, api: Api) -> None:
        self._mirror, self._calls = Mirror(api.engine, "gx-"), api.rapi.calls
        self.reserved: dict[str, set[str]] = {"net1": {"10.0.0.0", "10.0.0.1", "10.0.0.255"}}
        self.subnets = {"net1": "10.0.0.0/24"}
        self.fails = ""
        self.get = api.rapi.get
        self.asked: list[str] = []
        api.rapi.get = self.show  # type: ignore[method-assign]
        api.rapi.on_submit = self.do

    def show(self, path: str, query: Any = None) -> Any:
        kind, _, name = path.partition("/")
        if path == "info":
            return {"mac_prefix": "aa:00:00"}
        if kind != "networks":
            return self.get(path, query)
        self.asked.append(name)
        subnet = ipaddress.IPv4Network(self.subnets[name])
        marks = "".join("X" if str(address) in self.reserved[name] else "." for address in subnet)
        return {"network": str(subnet), "map": marks, "mac_prefix": "02:00:0a" if name != "net1" else None}

    def do(self, job: int) -> None:
        method, path, body, _ = self._calls[-1]
        if not path.startswith("networks/"):
            return
        _, name, verb = path.split("/")
        assert (method, verb) == ("PUT", "modify")
        if not self.fails:
            self.reserved[name] |= set(body.get("add_reserved_ips", ()))
            self.reserved[name] -= set(body.get("remove_reserved_ips", ()))
        message = updates.network("SET_PARAMS", "error" if self.fails else "success", job, job=job)
        told = {"result": self.fails} if self.fails else {}
        self._mirror.take(event.encode({**message, "network": name, "seq": [1, job], **told}))


@pytest.fixture
def front(front: Front) -> Front:
    return replace(front, tenant_link="br0")


@pytest.fixture
def pools(api: Api) -> Pools:
    return Pools(api)


@pytest.fixture
def own(api: Api, pools: Pools) -> str:
    """A network of the project's own; its id."""
    name = f"blue.{OWN}"
    row = {"id": OWN_UUID, "name": name, "subnet": "10.1.0.0/28", "gateway": "10.1.0.1", "subnet6": None,
           "gateway6": None, "tags": ["nfdhcpd", "private-filtered", f"ganeti-ext:project:{MINE}"]}  # fmt: skip
    with api.engine.begin() as connection:
        connection.execute(insert(db.network).values(**row, updated=1.0))
    pools.subnets[name], pools.reserved[name] = "10.1.0.0/28", {"10.1.0.0", "10.1.0.1", "10.1.0.15"}
    return OWN


def make(api: Api, network: str = NET, **more: Any) -> dict[str, Any]:
    answer = api.call("POST", PORTS, json={"port": {"network_id": network, **more}})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.get_json()["port"]
    return found


def show(api: Api, ident: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"{PORTS}/{ident}").get_json()["port"]
    return found


def change(api: Api, ident: str, **new: Any) -> Any:
    return api.call("PUT", f"{PORTS}/{ident}", json={"port": new})


def boot(api: Api, *ports: str, **more: Any) -> Any:
    wish = {"name": "web", "imageRef": IMAGE, "flavorRef": SMALL, "networks": [{"port": each} for each in ports]}
    return api.call("POST", f"{COMPUTE}/servers", json={"server": {**wish, **more}})


def address(port: dict[str, Any]) -> str:
    return str(port["fixed_ips"][0]["ip_address"])


def said(answer: Any) -> str:
    ((_, fault),) = answer.get_json().items()
    return str(fault["message"])


def test_its_address_is_set_apart_in_ganetis_pool(api: Api, pools: Pools) -> None:
    port = make(api, name="gate", description="the first")
    ((method, path, body, _),) = api.rapi.calls
    assert (method, path, body) == ("PUT", "networks/net1/modify", {"add_reserved_ips": ["10.0.0.254"]})
    (four, six) = port["fixed_ips"]
    assert (four["ip_address"], ipaddress.ip_address(six["ip_address"]).version) == ("10.0.0.254", 6)
    assert (port["name"], port["description"], port["network_id"]) == ("gate", "the first", NET)
    assert (port["status"], port["device_id"], port["device_owner"]) == ("DOWN", "", "")
    assert port["mac_address"].startswith("aa:00:00:")
    assert show(api, port["id"]) == port
    assert api.get(PORTS).get_json()["ports"] == [port]
    assert api.get(f"{PORTS}?name=gate&network_id={NET}").get_json()["ports"] == [port]
    assert api.get(f"{PORTS}?device_id=x").get_json()["ports"] == []


def test_the_macs_are_of_its_networks_prefix(api: Api, own: str) -> None:
    assert make(api, own)["mac_address"].startswith("02:00:0a:")


def test_each_has_another_address(api: Api, pools: Pools) -> None:
    assert {address(make(api)) for _ in range(3)} == {"10.0.0.254", "10.0.0.253", "10.0.0.252"}


def test_a_chosen_address(api: Api, pools: Pools) -> None:
    assert address(make(api, fixed_ips=[{"ip_address": "10.0.0.77"}])) == "10.0.0.77"
    for taken in ("10.0.0.77", "10.0.0.1"):
        answer = api.call("POST", PORTS, json={"port": {"network_id": NET, "fixed_ips": [{"ip_address": taken}]}})
        assert (answer.status_code, len(api.rapi.calls)) == (409, 1)
        assert taken in said(answer)


def test_a_subnet_of_the_network(api: Api, pools: Pools) -> None:
    subnets = api.get("/network/v2.0/subnets").get_json()["subnets"]
    assert address(make(api, fixed_ips=[{"subnet_id": subnet["id"]} for subnet in subnets])) == "10.0.0.254"


def test_a_full_network_has_none_more(api: Api, own: str) -> None:
    for _ in range(13):
        make(api, own)
    answer = api.call("POST", PORTS, json={"port": {"network_id": own}})
    assert (answer.status_code, "No more IP addresses" in said(answer)) == (409, True)


def test_an_address_that_a_server_got_meanwhile_is_left_to_it(
    api: Api, pools: Pools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ganeti sets apart what an instance has, too, and says nothing."""
    taken = {"nic.networks": [NET], "nic.ips": ["10.0.0.254"]}

    def query(what: str, _: Any, wanted: Any) -> list[dict[str, Any]]:
        assert (what, wanted[:2]) == ("instance", ["=[]", "nic.ips"])
        return [taken] if wanted[2] == "10.0.0.254" else []

    monkeypatch.setattr(api.rapi, "query", query)
    assert address(make(api)) == "10.0.0.253"
    assert "10.0.0.254" not in pools.reserved["net1"]
    assert len(api.get(PORTS).get_json()["ports"]) == 1


def test_what_ganeti_does_not_do_leaves_no_port(api: Api, pools: Pools) -> None:
    pools.fails = "no quorum"
    answer = api.call("POST", PORTS, json={"port": {"network_id": NET}})
    assert (answer.status_code, api.get(PORTS).get_json()["ports"]) == (409, [])


def test_a_lost_answer_leaves_a_port_that_can_be_deleted(api: Api, pools: Pools) -> None:
    api.rapi.fails = RapiLost("RAPI: no answer")
    assert api.call("POST", PORTS, json={"port": {"network_id": NET}}).status_code == 503
    api.rapi.fails = None
    (port,) = api.get(PORTS).get_json()["ports"]
    assert api.call("DELETE", f"{PORTS}/{port['id']}").status_code == 204


def test_many_at_once_are_all_made_or_none(api: Api, pools: Pools) -> None:
    answer = api.call("POST", PORTS, json={"ports": [{"network_id": NET, "name": name} for name in "ab"]})
    assert (answer.status_code, [port["name"] for port in answer.get_json()["ports"]]) == (201, ["a", "b"])
    before = set(pools.reserved["net1"])
    wanted = [{"network_id": NET}, {"network_id": NET, "fixed_ips": [{"ip_address": "10.0.0.1"}]}]
    assert api.call("POST", PORTS, json={"ports": wanted}).status_code == 409
    assert (pools.reserved["net1"], len(api.get(PORTS).get_json()["ports"])) == (before, 2)
    assert api.call("POST", PORTS, json={"ports": []}).status_code == 400


@pytest.mark.parametrize(
    ("wish", "status", "words"),
    [
        ({"network_id": "0bbbbbbb-9999-4000-8000-000000000001"}, 404, "0bbbbbbb-9999"),
        ({"network_id": None}, 400, "network_id"),
        ({"device_id": "x"}, 400, "device_id"),
        ({"device_owner": "network:dhcp"}, 400, "device_owner"),
        ({"mac_address": "aa:00:00:00:00:01"}, 400, "mac_address"),
        ({"admin_state_up": False}, 400, "admin_state_up"),
        ({"fixed_ips": [{"ip_address": "10.9.0.9"}]}, 400, "10.9.0.9"),
        ({"fixed_ips": [{"ip_address": "10.0.0.255"}]}, 400, "10.0.0.255"),
        ({"fixed_ips": [{"ip_address": "fd00::9"}]}, 400, "MAC"),
        ({"fixed_ips": [{"ip_address": "x"}]}, 400, "'x'"),
        ({"fixed_ips": [{}]}, 400, "fixed_ips"),
        ({"fixed_ips": [{"subnet_id": "y"}]}, 400, "y"),
        ({"fixed_ips": [{"ip_address": "10.0.0.8"}, {"ip_address": "10.0.0.9"}]}, 400, "Exceeded maximum"),
        ({"security_groups": ["0fffffff-9999-4000-8000-000000000001"]}, 404, "0fffffff-9999"),
        ({"security_groups": [7]}, 400, "security_groups"),
        ({"port_security_enabled": False}, 403, "administrator"),
        ({"allowed_address_pairs": [{"ip_address": "10.0.0.9"}]}, 403, "administrator"),
        ({"allowed_address_pairs": [{"ip_address": "10.0.0.9/8"}]}, 400, "10.0.0.9/8"),
        ({"allowed_address_pairs": [{"ip_address": "0.0.0.0/0"}]}, 400, "port_security_enabled"),
        ({"allowed_address_pairs": [{"ip_address": "fe80::1"}]}, 400, "fe80::1"),
        ({"allowed_address_pairs": [{"ip_address": "10.0.0.9", "mac_address": "aa:00:00:00:00:02"}]}, 400, "MAC"),
        ({"allowed_address_pairs": [{"ip_address": f"10.0.0.{n}"} for n in range(11)]}, 400, "at most 10"),
        ({"name": 7}, 400, "name"),
    ],
)  # fmt: skip
def test_a_wish_that_cannot_be(api: Api, pools: Pools, wish: dict[str, Any], status: int, words: str) -> None:
    answer = api.call("POST", PORTS, json={"port": {"network_id": NET, **wish}})
    assert (answer.status_code, api.rapi.calls) == (status, [])
    assert words in said(answer)
    assert api.get(PORTS).get_json()["ports"] == []


def test_the_quota_counts_nics_and_ports(api: Api, pools: Pools) -> None:
    server = api.server()
    make(api)
    with api.engine.begin() as connection:
        connection.execute(update(db.project).where(db.project.c.id == MINE).values(max_ports=2))
    answer = api.call("POST", PORTS, json={"port": {"network_id": NET}})
    assert (answer.status_code, "Quota exceeded" in said(answer)) == (409, True)
    assert attach(api, server, net_id=NET).status_code == 403


def test_it_goes_with_its_address(api: Api, pools: Pools) -> None:
    port = make(api)
    assert api.call("DELETE", f"{PORTS}/{port['id']}").status_code == 204
    assert api.rapi.calls[-1][:3] == ("PUT", "networks/net1/modify", {"remove_reserved_ips": ["10.0.0.254"]})
    assert "10.0.0.254" not in pools.reserved["net1"]
    assert api.get(f"{PORTS}/{port['id']}").status_code == 404
    assert api.call("DELETE", f"{PORTS}/{port['id']}").status_code == 404
    assert address(make(api)) == "10.0.0.254"


def test_one_whose_address_stays_reserved_stays(api: Api, pools: Pools) -> None:
    port = make(api)
    pools.fails = "no quorum"
    assert api.call("DELETE", f"{PORTS}/{port['id']}").status_code == 409
    assert show(api, port["id"]) == port


def test_who_asks_is_told_before_ganeti_has_come_to_it(api: Api, pools: Pools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netjobs, "PATIENCE", 0.0)
    assert address(make(api)) == "10.0.0.254"


def test_other_words(api: Api, pools: Pools) -> None:
    port = make(api, name="gate")
    answer = change(api, port["id"], name="door", description="the second", fixed_ips=port["fixed_ips"])
    assert answer.status_code == 200
    new = {**port, "name": "door", "description": "the second", "updated_at": answer.get_json()["port"]["updated_at"]}
    assert answer.get_json()["port"] == new == show(api, port["id"])
    assert change(api, port["id"], name="").get_json()["port"]["name"] == ""
    assert change(api, port["id"], fixed_ips=[{"ip_address": "10.0.0.9"}]).status_code == 409
    assert change(api, port["id"], device_id="x").status_code == 400
    assert change(api, PORT, name="x").status_code == 404


def test_words_of_a_servers_nic_go_with_it(api: Api, pools: Pools) -> None:
    server = api.server()
    assert change(api, PORT, name="eth0").get_json()["port"]["name"] == "eth0"
    assert (show(api, PORT)["name"], show(api, PORT)["device_id"]) == ("eth0", server["id"])
    api.change(server["id"], nics=[])
    assert api.get(f"{PORTS}/{PORT}").status_code == 404
    change(api, make(api)["id"], name="x")
    with api.engine.connect() as connection:
        assert PORT not in portstore.of_project(connection, MINE)


def test_a_server_is_made_with_it(api: Api, pools: Pools) -> None:
    port = make(api)
    answer = boot(api, port["id"])
    assert answer.status_code == 202, answer.text
    body = api.rapi.calls[-1][2]
    name = f"port-{port['id']}"
    assert body["nics"] == [{"network": NET, "ip": address(port), "mac": port["mac_address"], "name": name}]
    assert body["conflicts_check"] is False
    again = boot(api, port["id"])
    assert (again.status_code, said(again)) == (409, f"Port {port['id']} is still in use.")
    assert api.call("DELETE", f"{PORTS}/{port['id']}").status_code == 409


def test_without_ports_ganeti_looks_for_conflicts(api: Api) -> None:
    assert boot(api).status_code == 202
    assert "conflicts_check" not in api.rapi.calls[-1][2]


def test_one_whose_server_was_refused_is_free(api: Api, pools: Pools) -> None:
    port = make(api)
    assert boot(api, port["id"], flavorRef="f-huge").status_code == 403
    api.rapi.fails = RapiLost("RAPI: no answer")
    api.rapi.fails = None
    assert boot(api, port["id"]).status_code == 202


def test_one_whose_server_failed_or_went_is_free(api: Api, pools: Pools) -> None:
    port = make(api)
    ident = boot(api, port["id"]).get_json()["server"]["id"]
    api.change(ident, status="ERROR")
    create = {"cluster": "c", "op_index": 0, "operation": "OP_INSTANCE_CREATE", "kind": "instance", "name": "x"}
    ended = {"job": api.rapi.job, "status": "error", "rank": 9, "began": 1.0, "updated": 1.0, "ended": 1.0}
    with api.engine.begin() as connection:
        connection.execute(insert(db.action).values(**ended, **create))
    assert boot(api, port["id"]).status_code == 202


@pytest.mark.parametrize(
    ("networks", "more", "words"),
    [
        ([{"port": PORT}], {}, PORT),
        ([{"port": "{made}", "fixed_ip": "10.0.0.9"}], {}, "own address"),
        ([{"port": "{made}"}, {"port": "{made}"}], {}, "once"),
        ([{"port": "{made}"}], {"min_count": 2}, "once"),
        ([{"port": "{made}"}, {"uuid": NET, "fixed_ip": "10.0.0.1"}], {}, "beside a port"),
    ],
)
def test_a_create_that_cannot_be(
    api: Api, pools: Pools, networks: list[dict[str, str]], more: dict[str, Any], words: str
) -> None:
    made = make(api)["id"]
    wish = [{key: text.replace("{made}", made) for key, text in each.items()} for each in networks]
    answer = boot(api, networks=wish, **more)
    assert (answer.status_code, len(api.rapi.calls)) == (400, 1)
    assert words in said(answer)


def test_it_is_attached_to_a_server_that_runs_and_stays_when_it_is_detached(api: Api, pools: Pools) -> None:
    port, server = make(api, name="gate"), api.server(status="ACTIVE", power="ACTIVE")
    ganeti = Ganeti(api, server)
    answer = attach(api, server, port_id=port["id"])
    assert answer.status_code == 200, answer.text
    body = api.rapi.calls[-1][2]
    name = f"port-{port['id']}"
    nic = {"network": NET, "ip": address(port), "mac": port["mac_address"], "name": name}
    assert (body["nics"], body["conflicts_check"]) == ([["add", -1, nic]], False)
    ganeti.nics[1]["mac"] = port["mac_address"]
    shown = show(api, port["id"])
    assert (shown["device_id"], shown["name"], shown["status"]) == (server["id"], "gate", "ACTIVE")
    assert address(shown) == address(port)
    other = api.server()
    assert attach(api, other, port_id=port["id"]).status_code == 409
    assert boot(api, port["id"]).status_code == 409
    assert api.call("DELETE", f"{interfaces(server)}/{port['id']}").status_code == 202
    assert (show(api, port["id"])["device_id"], address(show(api, port["id"]))) == ("", address(port))
    assert attach(api, server, port_id=port["id"]).status_code == 200


def test_one_that_could_not_be_attached_is_free(api: Api, pools: Pools) -> None:
    port, server = make(api), api.server()
    ganeti = Ganeti(api, server)
    ganeti.fails = "no such bridge"
    assert attach(api, server, port_id=port["id"]).status_code == 409
    ganeti.fails = ""
    assert attach(api, server, port_id=port["id"]).status_code == 200


def test_a_servers_port_goes_with_its_nic_and_its_address(api: Api, pools: Pools) -> None:
    server = api.server()
    Ganeti(api, server)
    assert api.call("DELETE", f"{PORTS}/{PORT}").status_code == 204
    assert api.rapi.calls[-1][2]["nics"] == [["remove", PORT, {}]]
    assert api.get(PORTS).get_json()["ports"] == []
    locked = api.server(facts={"locked": "1"})
    assert api.call("DELETE", f"{PORTS}/{locked['nics'][0]['uuid']}").status_code == 409


def test_what_a_guest_may_say_more_is_tags_of_its_instance(api: Api, own: str) -> None:
    pairs = [{"ip_address": "10.8.0.0/16"}, {"ip_address": "10.1.0.9"}]
    port = make(api, own, allowed_address_pairs=pairs)
    mac = port["mac_address"]
    assert port["allowed_address_pairs"] == [
        {"ip_address": "10.8.0.0/16", "mac_address": mac},
        {"ip_address": "10.1.0.9", "mac_address": mac},
    ]
    assert boot(api, port["id"]).status_code == 202
    tags = api.rapi.calls[-1][2]["tags"]
    label = f"ganeti-ext:allow-address.port-{port['id']}"
    assert {f"{label}:10.8.0.0/16", f"{label}:10.1.0.9"} <= set(tags)
    assert max(map(len, tags)) <= 128


def test_port_security_of_a_servers_port(api: Api, own: str) -> None:
    nic = {"network": f"blue.{OWN}", "ip": "10.1.0.2", "ip6": None, "mac": "02:00:0a:00:00:01", "uuid": PORT}
    server = api.server(nics=[nic])
    assert change(api, PORT, port_security_enabled=False, security_groups=["default"]).status_code == 409
    answer = change(api, PORT, port_security_enabled=False)
    assert (answer.status_code, answer.get_json()["port"]["port_security_enabled"]) == (200, False)
    method, path, _, query = api.rapi.calls[-1]
    assert (method, path) == ("PUT", f"instances/{server['instance']}/tags")
    there = {f"ganeti-ext:allow-address.{PORT}:{net}" for net in ("0.0.0.0/0", "2000::/3", "fc00::/7")}
    there.add(f"ganeti-ext:firewall.{PORT}:unprotected")
    assert set(query["tag"]) == there
    shown = show(api, PORT)
    assert (shown["port_security_enabled"], shown["security_groups"]) == (False, [])
    assert change(api, PORT, port_security_enabled=True).status_code == 200
    assert (api.rapi.calls[-1][0], set(api.rapi.calls[-1][3]["tag"])) == ("DELETE", there)
    change(api, PORT, allowed_address_pairs=[{"ip_address": "10.1.0.9"}])
    assert api.call("DELETE", f"{interfaces(server)}/{PORT}").status_code == 202
    assert [call[0] for call in api.rapi.calls[-2:]] == ["PUT", "DELETE"]
    assert api.rapi.calls[-1][3]["tag"] == [f"ganeti-ext:allow-address.{PORT}:10.1.0.9"]


def test_groups_of_a_servers_port_are_the_servers(api: Api, pools: Pools) -> None:
    server = api.server()
    groups = api.get("/network/v2.0/security-groups").get_json()["security_groups"]
    ssh = next(group["id"] for group in groups if group["name"] == "ssh")
    answer = change(api, PORT, security_groups=[ssh])
    assert (answer.status_code, answer.get_json()["port"]["security_groups"]) == (200, [ssh])
    assert api.row(server["id"])["facts"]["firewall"] == "ssh"
    assert show(api, PORT)["security_groups"] == [ssh]
    assert change(api, PORT, security_groups=[]).get_json()["port"]["security_groups"] == []
    assert api.row(server["id"])["facts"]["firewall"] == "protected"


def test_groups_of_a_port_are_those_of_the_server_that_is_made_with_it(api: Api, pools: Pools) -> None:
    groups = {one["name"]: one["id"] for one in api.get("/network/v2.0/security-groups").get_json()["security_groups"]}
    port, other, none = (make(api, security_groups=each) for each in ([groups["ssh"]], [groups["limited"]], []))
    assert port["security_groups"] == [groups["ssh"]]
    assert boot(api, port["id"], other["id"]).status_code == 400
    assert boot(api, port["id"]).status_code == 202
    assert "ganeti-ext:firewall:ssh" in api.rapi.calls[-1][2]["tags"]
    assert boot(api, none["id"]).status_code == 202
    assert "ganeti-ext:firewall:protected" in api.rapi.calls[-1][2]["tags"]


def test_a_strangers_port_is_none(api: Api, pools: Pools) -> None:
    port = make(api)
    bob = api.become("bob", "foreign")
    assert bob.get(f"{PORTS}/{port['id']}").status_code == 404
    assert bob.call("DELETE", f"{PORTS}/{port['id']}").status_code == 404
    assert change(bob, port["id"], name="x").status_code == 404
    assert bob.get(PORTS).get_json()["ports"] == []
    assert boot(bob, port["id"]).status_code == 400
    assert attach(bob, api.server(project_id=FOREIGN), port_id=port["id"]).status_code == 404


def test_a_network_with_ports_is_in_use(api: Api, own: str) -> None:
    make(api, own)
    assert api.call("DELETE", f"/network/v2.0/networks/{own}").status_code == 409


def test_an_address_outside_of_the_pools_is_apart_already(api: Api, own: str, pools: Pools) -> None:
    name, tag = f"blue.{OWN}", "ganeti-ext:pool4:10.1.0.2-10.1.0.8"
    with api.engine.begin() as connection:
        row = db.network.c
        known = connection.execute(select(row.tags).where(row.id == OWN_UUID)).scalar_one()
        connection.execute(update(db.network).where(row.id == OWN_UUID).values(tags=[*known, tag]))
    pools.reserved[name] |= {f"10.1.0.{number}" for number in range(9, 15)}
    port = make(api, own, fixed_ips=[{"ip_address": "10.1.0.12"}])
    assert (address(port), api.rapi.calls) == ("10.1.0.12", [])
    again = api.call("POST", PORTS, json={"port": {"network_id": own, "fixed_ips": [{"ip_address": "10.1.0.12"}]}})
    assert again.status_code == 409
    assert address(make(api, own)) == "10.1.0.8"
    assert api.call("DELETE", f"{PORTS}/{port['id']}").status_code == 204
    assert "10.1.0.12" in pools.reserved[name]


def test_the_rows_are_few(api: Api, pools: Pools) -> None:
    """What is said of one port is one row."""
    port = make(api)
    for name in "abc":
        change(api, port["id"], name=name)
    with api.engine.connect() as connection:
        assert len(db.rows(connection, select(db.port))) == 1
