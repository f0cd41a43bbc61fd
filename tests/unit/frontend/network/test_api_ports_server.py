"""Ports and servers: made with them, attached to them, and what is said of those that servers have."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, update

from frontend.database import db
from frontend.network import portstore
from ganeti_ext.errors import RapiLost, RapiUnavailable
from tests.unit.frontend.conftest import FOREIGN, MINE, NET, Api
from tests.unit.frontend.ports import OWN, PORTS, Pools, address, boot, change, make, said, show
from tests.unit.frontend.test_api_interface import PORT, Ganeti, attach, interfaces

GROUPS = "/network/v2.0/security-groups"
OTHER = "0eeeeeee-2222-4000-8000-000000000009"  # a NIC that nobody made as a port


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


def test_the_quota_of_ports_lets_as_many_servers_be_made(api: Api, pools: Pools) -> None:
    port = make(api)
    with api.engine.begin() as connection:
        connection.execute(
            update(db.project).where(db.project.c.id == MINE).values(max_ports=3, max_servers=9, max_cores=9)
        )
    assert boot(api, networks=[{"uuid": NET}] * 3).status_code == 403
    assert boot(api, port["id"]).status_code == 202
    wanted = {"networks": [{"uuid": NET}], "min_count": 1, "max_count": 2}
    assert boot(api, **wanted).status_code == 202
    assert len(api.rows()) == 3
    answer = boot(api, **wanted)
    assert (answer.status_code, said(answer)) == (403, "Maximum number of ports exceeded: 3 are allowed.")


def test_without_ports_ganeti_looks_for_conflicts(api: Api) -> None:
    assert boot(api).status_code == 202
    assert "conflicts_check" not in api.rapi.calls[-1][2]


def test_one_whose_server_was_refused_is_free(api: Api, pools: Pools) -> None:
    port = make(api)
    assert boot(api, port["id"], flavorRef="f-huge").status_code == 403
    api.rapi.fails = RapiUnavailable("RAPI: connection refused")
    assert boot(api, port["id"]).status_code == 503
    assert attach(api, api.server(), port_id=port["id"]).status_code == 503
    api.rapi.fails = None
    assert boot(api, port["id"]).status_code == 202


def test_one_of_a_server_whose_create_is_lost_is_its_own(api: Api, pools: Pools) -> None:
    """Nobody knows the job yet; as long as it is built, it may get it."""
    port = make(api)
    api.rapi.fails = RapiLost("RAPI: no answer")
    assert boot(api, port["id"]).status_code == 202
    api.rapi.fails = None
    with api.engine.begin() as connection:
        connection.execute(update(db.port).values(updated=1.0))
    assert boot(api, port["id"]).status_code == 409


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
    before = len(api.rapi.calls)
    wish = [{key: text.replace("{made}", made) for key, text in each.items()} for each in networks]
    answer = boot(api, networks=wish, **more)
    assert (answer.status_code, len(api.rapi.calls)) == (400, before)
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


@pytest.fixture
def groups(api: Api) -> dict[str, str]:
    """The ids of groups by their names; `web` is the project's own."""
    api.call("POST", GROUPS, json={"security_group": {"name": "web"}})
    return {one["name"]: one["id"] for one in api.get(GROUPS).get_json()["security_groups"]}


def test_groups_of_a_servers_port_are_its_own(api: Api, pools: Pools, groups: dict[str, str]) -> None:
    other = {"network": "net1", "ip": "192.0.2.9", "ip6": None, "mac": "02:00:0a:00:00:09", "uuid": OTHER}
    server = api.server(facts={"firewall": "limited"})
    api.change(server["id"], nics=[*server["nics"], other])
    wanted = [groups["web"], groups["ssh"]]
    api.rapi.calls.clear()
    answer = change(api, PORT, security_groups=wanted)
    assert (answer.status_code, answer.get_json()["port"]["security_groups"]) == (200, wanted)
    method, path, _, query = api.rapi.calls[-1]
    own = f"ganeti-ext:firewall.{PORT}:@{groups['web'][:8]}+ssh"
    assert (method, path, query["tag"]) == ("PUT", f"instances/{server['instance']}/tags", [own])
    assert show(api, PORT)["security_groups"] == wanted
    assert show(api, OTHER)["security_groups"] == [groups["limited"]]
    shown = api.get(f"/compute/v2.1/servers/{server['id']}").get_json()["server"]["security_groups"]
    assert [each["name"] for each in shown] == ["web", "ssh", "limited"]
    listed = api.get(f"/compute/v2.1/servers/{server['id']}/os-security-groups").get_json()["security_groups"]
    assert {each["name"] for each in listed} == {"web", "ssh", "limited"}
    assert change(api, PORT, security_groups=[]).get_json()["port"]["security_groups"] == []
    assert [(call[0], call[3]["tag"]) for call in api.rapi.calls[-2:]] == [
        ("PUT", [f"ganeti-ext:firewall.{PORT}:protected"]),
        ("DELETE", [own]),
    ]


def test_a_port_has_the_groups_of_its_server_again(api: Api, pools: Pools, groups: dict[str, str]) -> None:
    server = api.server(facts={"firewall": "limited"})
    assert show(api, PORT)["own_security_groups"] is False
    change(api, PORT, security_groups=[groups["ssh"]])
    assert [each["id"] for each in api.get(f"{PORTS}?own_security_groups=true").get_json()["ports"]] == [PORT]
    change(api, PORT, name="door")
    assert show(api, PORT)["own_security_groups"] is True  # what is not named stays
    answer = change(api, PORT, security_groups=None)
    assert (answer.status_code, answer.get_json()["port"]["security_groups"]) == (200, [groups["limited"]])
    assert (api.rapi.calls[-1][0], api.rapi.calls[-1][3]["tag"]) == ("DELETE", [f"ganeti-ext:firewall.{PORT}:ssh"])
    sent = {"addSecurityGroup": {"name": "web"}}
    assert api.call("POST", f"/compute/v2.1/servers/{server['id']}/action", json=sent).status_code == 202
    shown = show(api, PORT)
    assert (shown["own_security_groups"], shown["name"]) == (False, "door")
    assert shown["security_groups"] == [groups["limited"], groups["web"]]
    waiting = make(api, security_groups=[groups["ssh"]])
    assert waiting["own_security_groups"] is True
    assert change(api, waiting["id"], security_groups=None).get_json()["port"]["own_security_groups"] is False


def test_an_action_is_about_all_ports(api: Api, pools: Pools, groups: dict[str, str]) -> None:
    server = api.server(facts={"firewall": "limited"})
    change(api, PORT, security_groups=[groups["web"]])
    for verb, name, status, expected in (
        ("add", "ssh", 202, [groups["web"], groups["ssh"]]),
        ("remove", "web", 202, [groups["ssh"]]),
        ("remove", "web", 404, [groups["ssh"]]),
    ):
        sent = {f"{verb}SecurityGroup": {"name": name}}
        answer = api.call("POST", f"/compute/v2.1/servers/{server['id']}/action", json=sent)
        assert answer.status_code == status
        assert show(api, PORT)["security_groups"] == expected
    assert api.row(server["id"])["facts"] == {"firewall": "limited+ssh", "groups": "limited,ssh"}


def test_a_group_that_a_port_has_is_in_use(api: Api, pools: Pools, groups: dict[str, str]) -> None:
    api.server()
    change(api, PORT, security_groups=[groups["web"]])
    assert api.call("DELETE", f"{GROUPS}/{groups['web']}").status_code == 409
    bad = {"security_group_id": groups["web"], "remote_group_id": groups["ssh"]}
    rule = {"security_group_rule": bad}
    assert api.call("POST", "/network/v2.0/security-group-rules", json=rule).status_code == 409
    change(api, PORT, security_groups=[groups["ssh"]])
    assert api.call("POST", "/network/v2.0/security-group-rules", json=rule).status_code == 201
    assert change(api, PORT, security_groups=[groups["web"]]).status_code == 409
    assert show(api, PORT)["security_groups"] == [groups["ssh"]]
    assert api.call("DELETE", f"{GROUPS}/{groups['web']}").status_code == 204


def test_a_port_has_room_for_some(api: Api, pools: Pools) -> None:
    api.server()
    made = [api.call("POST", GROUPS, json={"security_group": {"name": "g"}}).get_json() for _ in range(7)]
    idents = [each["security_group"]["id"] for each in made]
    assert change(api, PORT, security_groups=idents[:6]).status_code == 200
    assert change(api, PORT, security_groups=idents).status_code == 409
    tags = [tag for call in api.rapi.calls if call[3] for tag in call[3]["tag"] if "firewall" in tag]
    assert max(map(len, tags)) <= 128 - len("port-")


def test_a_new_server_has_the_groups_of_its_ports(api: Api, pools: Pools, groups: dict[str, str]) -> None:
    wanted: tuple[list[str], ...] = ([groups["ssh"]], [groups["web"]], [])
    ports = [make(api, security_groups=each) for each in wanted]
    assert ports[0]["security_groups"] == [groups["ssh"]]
    assert boot(api, *(port["id"] for port in ports)).status_code == 202
    tags = [tag for tag in api.rapi.calls[-1][2]["tags"] if "firewall" in tag]
    said = ("ssh", f"@{groups['web'][:8]}", "protected")
    expected = zip(ports, said, strict=True)
    assert sorted(tags) == sorted(f"ganeti-ext:firewall.port-{port['id']}:{profile}" for port, profile in expected)


def test_a_strangers_port_is_none(api: Api, pools: Pools) -> None:
    port = make(api)
    bob = api.become("bob", "foreign")
    assert bob.get(f"{PORTS}/{port['id']}").status_code == 404
    assert bob.call("DELETE", f"{PORTS}/{port['id']}").status_code == 404
    assert change(bob, port["id"], name="x").status_code == 404
    assert bob.get(PORTS).get_json()["ports"] == []
    assert boot(bob, port["id"]).status_code == 400
    assert attach(bob, api.server(project_id=FOREIGN), port_id=port["id"]).status_code == 404


def test_ports_follow_when_default_becomes_the_projects_own(api: Api, pools: Pools, groups: dict[str, str]) -> None:
    """A server's, and one that waits for a server."""
    server = api.server()
    both = [groups["default"], groups["web"]]
    change(api, PORT, security_groups=both)
    waiting = make(api, security_groups=both)["id"]
    api.rapi.tags[server["instance"]] = [f"ganeti-ext:firewall.{PORT}:@{groups['web'][:8]}+default"]
    rule = {"security_group_id": groups["default"], "direction": "ingress", "protocol": "udp"}
    assert api.call("POST", "/network/v2.0/security-group-rules", json={"security_group_rule": rule}).status_code == 201
    wanted = "+".join(sorted(f"@{ident[:8]}" for ident in both))
    with api.engine.connect() as connection:
        told = {row["id"]: row["facts"]["profile"] for row in db.rows(connection, db.port.select())}
    assert told == {PORT: wanted, waiting: wanted}
    written = [tag for call in api.rapi.calls if call[0] == "PUT" and call[3] for tag in call[3].get("tag", [])]
    assert f"ganeti-ext:firewall.{PORT}:{wanted}" in written
    assert show(api, PORT)["security_groups"] == show(api, waiting)["security_groups"] == both
    assert api.row(server["id"])["facts"]["firewall"] == f"@{groups['default'][:8]}"
