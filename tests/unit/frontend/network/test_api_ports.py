"""Ports that tenants make before a server has them: their addresses are set apart in Ganeti's pools."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from sqlalchemy import select, update

from frontend.database import db
from frontend.effect import awaited
from frontend.network import portkept, tenantnet
from ganeti_ext.errors import RapiLost
from tests.unit.frontend import tenantnets
from tests.unit.frontend.conftest import MINE, NET, Api
from tests.unit.frontend.ports import (
    OWN,
    OWN_UUID,
    PORTS,
    Pools,
    address,
    boot,
    change,
    make,
    said,
    show,
)
from tests.unit.frontend.test_api_interface import PORT, attach


def test_its_address_is_set_apart_in_ganetis_pool(api: Api, pools: Pools) -> None:
    port = make(api, name="gate", description="the first")
    (first, second) = api.rapi.calls
    assert first[:3] == ("PUT", "networks/net1/modify", {"add_reserved_ips": ["10.0.0.254"]})
    assert second[:2] == ("PUT", "networks/net1/tags")
    assert second[2] == {"depends": [[101, ["success"]]]}
    (four, six) = port["fixed_ips"]
    assert (four["ip_address"], ipaddress.ip_address(six["ip_address"]).version) == ("10.0.0.254", 6)
    assert (port["name"], port["description"], port["network_id"]) == ("gate", "the first", NET)
    assert (port["status"], port["device_id"], port["device_owner"]) == ("DOWN", "", "")
    assert port["mac_address"].startswith("aa:00:00:")
    assert show(api, port["id"]) == port
    assert api.get(PORTS).get_json()["ports"] == [port]
    assert api.get(f"{PORTS}?name=gate&network_id={NET}").get_json()["ports"] == [port]
    assert api.get(f"{PORTS}?fixed_ips=ip_address=10.0.0.254&fixed_ips=subnet_id={four['subnet_id']}").get_json()[
        "ports"
    ]
    assert api.get(f"{PORTS}?fixed_ips=ip_address=10.0.0.25").get_json()["ports"] == []
    assert api.get(f"{PORTS}?fixed_ips=ip_address_substr=0.0.25").get_json()["ports"] == [port]
    assert api.get(f"{PORTS}?fixed_ips=ip_address_substr=0.0.77").get_json()["ports"] == []
    assert api.get(f"{PORTS}?device_id=x").get_json()["ports"] == []


def test_the_macs_are_of_its_networks_prefix(api: Api, own: str) -> None:
    assert make(api, own)["mac_address"].startswith("02:00:0a:")


def test_each_has_another_address(api: Api, pools: Pools) -> None:
    assert {address(make(api)) for _ in range(3)} == {"10.0.0.254", "10.0.0.253", "10.0.0.252"}


def test_a_chosen_address(api: Api, pools: Pools) -> None:
    assert address(make(api, fixed_ips=[{"ip_address": "10.0.0.77"}])) == "10.0.0.77"
    for taken in ("10.0.0.77", "10.0.0.1"):
        answer = api.call("POST", PORTS, json={"port": {"network_id": NET, "fixed_ips": [{"ip_address": taken}]}})
        assert (answer.status_code, len(api.rapi.calls)) == (409, 2)
        assert taken in said(answer)


def test_a_subnet_of_the_network(api: Api, pools: Pools) -> None:
    subnets = api.get("/network/v2.0/subnets").get_json()["subnets"]
    assert address(make(api, fixed_ips=[{"subnet_id": subnet["id"]} for subnet in subnets])) == "10.0.0.254"


def test_a_full_network_has_none_more(api: Api, own: str) -> None:
    for _ in range(13):
        make(api, own)
    answer = api.call("POST", PORTS, json={"port": {"network_id": own}})
    assert (answer.status_code, "No more IP addresses" in said(answer)) == (409, True)


def test_an_address_that_a_server_got_meanwhile_is_left_to_it(api: Api, pools: Pools) -> None:
    """Ganeti sets apart what an instance has, too, and says nothing."""
    pools.instances = ["web1"]
    api.rapi.found = [{"nic.networks": [None, NET], "nic.ips": [None, "10.0.0.254"]}]
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
        ({"mac_address": "aa:00:00:00:00:01"}, 403, "mac_address"),
        ({"mac_address": "aa:00:00:00:01"}, 400, "mac_address"),
        ({"mac_address": "ab:00:00:00:00:01"}, 400, "mac_address"),
        ({"admin_state_up": "x"}, 400, "admin_state_up"),
        ({"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400"}]}, 400, "extra_dhcp_opts"),
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
    (method, path, body, _) = api.rapi.calls[-1]
    assert (method, path, body["remove_reserved_ips"]) == ("PUT", "networks/net1/modify", ["10.0.0.254"])
    assert pools.tags["net1"] == {"nfdhcpd"}
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
    monkeypatch.setattr(awaited, "PATIENCE", 0.0)
    assert address(make(api)) == "10.0.0.254"


def test_other_words(api: Api, pools: Pools) -> None:
    port = make(api, name="gate")
    answer = change(api, port["id"], name="door", description="the second", fixed_ips=port["fixed_ips"])
    assert answer.status_code == 200
    new = {**port, "name": "door", "description": "the second", "updated_at": answer.get_json()["port"]["updated_at"]}
    assert answer.get_json()["port"] == new == show(api, port["id"])
    assert change(api, port["id"], name="").get_json()["port"]["name"] == ""
    for fixed in ([{"ip_address": "10.0.0.9"}], []):
        assert change(api, port["id"], fixed_ips=fixed).status_code == 409
    assert change(api, port["id"], device_id="x").status_code == 400
    assert change(api, PORT, name="x").status_code == 404


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
    assert (address(port), [call[1] for call in api.rapi.calls]) == ("10.1.0.12", [f"networks/{name}/tags"])
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


def test_ganeti_keeps_what_a_database_that_is_made_anew_has_to_know(api: Api, pools: Pools, own: str) -> None:
    pairs = [{"ip_address": "10.2.0.0/16"}]
    name, words = f"blue.{own}", "Ä very long name" * 12
    port = make(api, own, name=words, description="=,:", security_groups=[], allowed_address_pairs=pairs)
    (row,) = portkept.read(pools.tags[name], own)
    assert (row["id"], row["project_id"], row["network"]) == (port["id"], MINE, own)
    assert (row["address"], row["mac"]) == (address(port), port["mac_address"])
    groups = {"groups": [], "profile": "protected"}
    assert row["facts"] == {"name": words, "description": "=,:", **groups, "pairs": ["10.2.0.0/16"]}
    change(api, port["id"], name="short")
    (row,) = portkept.read(pools.tags[name], own)
    assert row["facts"]["name"] == "short"
    api.call("DELETE", f"{PORTS}/{port['id']}")
    assert portkept.others(pools.tags[name]) == sorted(pools.tags[name])


def test_what_was_said_is_as_before_when_ganeti_does_not_keep_it(api: Api, pools: Pools) -> None:
    port = make(api, name="gate")
    pools.fails, pools.fails_at = "no quorum", "tags"
    assert change(api, port["id"], name="door").status_code == 409
    assert show(api, port["id"])["name"] == "gate"


def test_one_whose_tags_are_refused_leaves_no_address_reserved(api: Api, pools: Pools) -> None:
    before = set(pools.reserved["net1"])
    pools.fails, pools.fails_at = "too many tags", "tags"
    assert api.call("POST", PORTS, json={"port": {"network_id": NET}}).status_code == 409
    assert (pools.reserved["net1"], api.get(PORTS).get_json()["ports"]) == (before, [])


def test_there_is_an_end_to_what_ganeti_keeps(api: Api, pools: Pools, monkeypatch: pytest.MonkeyPatch) -> None:
    make(api)
    monkeypatch.setattr(portkept, "ROOM", 200)
    answer = api.call("POST", PORTS, json={"port": {"network_id": NET}})
    assert (answer.status_code, "no more ports" in said(answer)) == (409, True)


def test_a_network_without_a_subnet_has_ports_without_addresses(api: Api, pools: Pools) -> None:
    ident = tenantnets.make(api)
    port = make(api, ident, name="early")
    assert (port["fixed_ips"], port["network_id"], api.rapi.calls) == ([], ident, [])
    assert port["mac_address"].startswith(tenantnet.mac_prefix(ident))
    assert show(api, port["id"]) == port
    assert change(api, port["id"], name="later").get_json()["port"]["name"] == "later"
    answer = boot(api, port["id"])
    assert (answer.status_code, "requires a FixedIP" in said(answer)) == (400, True)
    assert api.call("DELETE", f"{tenantnets.NETWORKS}/{ident}").status_code == 409
    assert api.call("DELETE", f"{PORTS}/{port['id']}").status_code == 204
    assert api.call("DELETE", f"{tenantnets.NETWORKS}/{ident}").status_code == 204


def test_a_port_without_an_address_is_in_no_subnets_way(api: Api) -> None:
    ganeti = tenantnets.Ganeti(api)
    ident = tenantnets.make(api)
    port = make(api, ident)
    subnet = tenantnets.subnet(api, ident)
    assert show(api, port["id"])["fixed_ips"] == []
    assert api.call("DELETE", f"{tenantnets.SUBNETS}/{subnet['id']}").status_code == 204
    assert (ganeti.networks, show(api, port["id"])["id"]) == ({}, port["id"])


def test_a_chosen_mac(api: Api, own: str) -> None:
    mac = f"{tenantnet.mac_prefix(own)}:00:00:07"
    assert make(api, own, mac_address=mac.upper())["mac_address"] == mac
    answer = api.call("POST", PORTS, json={"port": {"network_id": own, "mac_address": mac}})
    assert (answer.status_code, mac in said(answer)) == (409, True)
    answer = api.call("POST", PORTS, json={"port": {"network_id": own, "mac_address": "02:ff:ff:00:00:01"}})
    assert (answer.status_code, "begin with" in said(answer)) == (400, True)


def test_one_that_is_down_goes_to_no_server(api: Api, pools: Pools) -> None:
    port = make(api)
    assert change(api, port["id"], admin_state_up=False).get_json()["port"]["admin_state_up"] is False
    server = api.server(status="ACTIVE", power="ACTIVE")
    for answer in (boot(api, port["id"]), attach(api, server, port_id=port["id"])):
        assert (answer.status_code, "is down" in said(answer)) == (400, True)
    assert change(api, port["id"], admin_state_up=True).get_json()["port"]["admin_state_up"] is True
    assert change(api, PORT, admin_state_up=False).status_code == 409
