"""Networks that tenants make: jobs of Ganeti's, and nobody else's to see."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from frontend.effect import awaited
from frontend.network import tenantnet
from frontend.settings import Front
from tests.unit.frontend.conftest import IMAGE, MINE, NET, SMALL, Api, FakeRapi, serve
from tests.unit.frontend.tenantnets import NETWORKS, SUBNETS, UUID, Ganeti, make, with_subnet


def test_a_network_is_ganetis_from_its_subnet_on(api: Api, ganeti: Ganeti) -> None:
    ident = make(api)
    assert api.rapi.calls == []
    assert api.get(f"{NETWORKS}/{ident}").get_json()["network"]["subnets"] == []
    subnet = with_subnet(api, ident)
    assert (subnet.status_code, subnet.get_json()["subnet"]["gateway_ip"]) == (201, "10.1.0.1")
    (added, connected) = api.rapi.calls
    assert added[2] == {
        "network_name": f"blue.{ident}",
        "network": "10.1.0.0/28",
        "gateway": "10.1.0.1",
        "mac_prefix": tenantnet.mac_prefix(ident),
        "conflicts_check": False,
        "tags": ["private-filtered", f"ganeti-ext:project:{MINE}", "nfdhcpd"],
    }
    assert connected[:2] == ("PUT", f"networks/blue.{ident}/connect")
    assert (connected[2]["network_link"], connected[2]["depends"]) == ("br0", [[101, ["success"]]])
    shown = api.get(f"{NETWORKS}/{ident}").get_json()["network"]
    assert (shown["name"], shown["subnets"], shown["shared"]) == ("blue", [subnet.get_json()["subnet"]["id"]], False)


def test_a_server_is_put_into_it_by_ganetis_id_and_shows_the_tenants_name(api: Api, ganeti: Ganeti) -> None:
    ident = make(api)
    server = {"name": "web", "imageRef": IMAGE, "flavorRef": SMALL, "networks": [{"uuid": ident}]}
    assert api.call("POST", "/compute/v2.1/servers", json={"server": server}).status_code == 400  # without a subnet
    with_subnet(api, ident)
    assert api.call("POST", "/compute/v2.1/servers", json={"server": server}).status_code == 202
    assert api.rapi.calls[-1][2]["nics"] == [{"network": UUID, "ip": "pool"}]
    nic = {"network": f"blue.{ident}", "ip": "10.1.0.2", "ip6": None, "mac": "aa:00:00:00:00:01", "uuid": "n"}
    made = api.server(nics=[nic])
    assert list(api.get(f"/compute/v2.1/servers/{made['id']}").get_json()["server"]["addresses"]) == ["blue"]
    assert api.call("DELETE", f"{NETWORKS}/{ident}").status_code == 409  # in use


def test_a_strangers_network_is_none(api: Api, ganeti: Ganeti) -> None:
    ident = make(api)
    subnet = with_subnet(api, ident).get_json()["subnet"]["id"]
    bob = api.become("bob", "foreign")
    for path in (f"{NETWORKS}/{ident}", f"{SUBNETS}/{subnet}"):
        assert bob.get(path).status_code == bob.call("DELETE", path).status_code == 404
    assert [one["id"] for one in bob.get(NETWORKS).get_json()["networks"]] == [NET]
    assert with_subnet(bob, ident).status_code == 404
    server = {"name": "web", "imageRef": IMAGE, "flavorRef": SMALL, "networks": [{"uuid": ident}]}
    assert bob.call("POST", "/compute/v2.1/servers", json={"server": server}).status_code == 400


def test_it_goes_as_it_came(api: Api, ganeti: Ganeti) -> None:
    ident = make(api)
    subnet = with_subnet(api, ident).get_json()["subnet"]["id"]
    assert api.call("DELETE", f"{SUBNETS}/{subnet}").status_code == 204
    assert [call[:2] for call in api.rapi.calls[2:]] == [
        ("PUT", f"networks/blue.{ident}/disconnect"),
        ("DELETE", f"networks/blue.{ident}"),
    ]
    assert api.get(f"{NETWORKS}/{ident}").get_json()["network"]["subnets"] == []
    assert api.call("DELETE", f"{NETWORKS}/{ident}").status_code == 204
    assert api.get(f"{NETWORKS}/{ident}").status_code == 404


def test_a_job_that_failed_is_told(api: Api, ganeti: Ganeti) -> None:
    ganeti.fails = "CONNECT"
    assert with_subnet(api, make(api)).status_code == 409


def test_what_ganeti_says_to_try_again_is_tried_again(api: Api, ganeti: Ganeti) -> None:
    """Other instances came to the node group while it waited for its locks."""
    ganeti.fails, ganeti.why = "CONNECT", "Instances in node group 'default' changed; retry the operation"
    assert with_subnet(api, make(api)).status_code == 201
    assert [call[1].split("/")[-1] for call in api.rapi.calls] == ["networks", "connect", "connect"]
    assert "depends" not in api.rapi.calls[-1][2]


def test_a_network_that_is_gone_meanwhile_is_taken_away(api: Api, ganeti: Ganeti) -> None:
    """The jobs of a request before this one were slow."""
    ident = make(api)
    assert with_subnet(api, ident).status_code == 201
    ganeti.fails, ganeti.why = "DISCONNECT", f"Network 'blue.{ident}' not found (unknown_entity)"
    assert api.call("DELETE", f"{NETWORKS}/{ident}").status_code == 204
    ganeti.fails = "CONNECT"
    assert with_subnet(api, make(api, "red")).status_code == 409


def test_who_asks_is_told_before_ganeti_has_come_to_it(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awaited, "PATIENCE", 0.0)
    answer = with_subnet(api, make(api), gateway_ip=None)
    assert (answer.status_code, answer.get_json()["subnet"]["cidr"]) == (201, "10.1.0.0/28")
    assert answer.get_json()["subnet"]["gateway_ip"] is None


@pytest.mark.parametrize(
    "wrong",
    [{"cidr": "10.1.0.1/28"}, {"cidr": "10.0.0.0/8"}, {"cidr": "10.1.0.0/30"}, {"cidr": "fd00::/64"}, {"cidr": 7},
     {"gateway_ip": "10.2.0.1"}, {"gateway_ip": "x"}, {"gateway_ip": "10.1.0.0"}, {"gateway_ip": "10.1.0.15"},
     {"gateway_ip": "fd00::1"}, {"ip_version": 6}, {"ip_version": 5}, {"subnetpool_id": "x"},
     {"ipv6_address_mode": "slaac"}],
)  # fmt: skip
def test_a_subnet_that_ganeti_would_not_take(api: Api, wrong: dict[str, Any]) -> None:
    ident = make(api)
    assert with_subnet(api, ident, **wrong).status_code == 400
    assert api.rapi.calls == []


def test_an_administrators_network_is_not_a_tenants_to_change(api: Api) -> None:
    assert api.call("DELETE", f"{NETWORKS}/{NET}").status_code == 403
    assert with_subnet(api, NET).status_code == 403


def test_a_quota(api: Api) -> None:
    for number in range(10):
        make(api, f"n{number}")
    assert api.call("POST", NETWORKS, json={"network": {"name": "more"}}).status_code == 409


def test_where_there_is_no_bridge_for_them_tenants_make_none(front: Front, rapi: FakeRapi) -> None:
    api = serve(replace(front, tenant_link=""), rapi).become("alice")
    assert api.call("POST", NETWORKS, json={"network": {"name": "blue"}}).status_code == 403
