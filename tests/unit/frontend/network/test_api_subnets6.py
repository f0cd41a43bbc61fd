"""IPv6 subnets of tenants, beside those of IPv4."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.frontend.conftest import IMAGE, SMALL, Api
from tests.unit.frontend.tenantnets import NETWORKS, SUBNETS, UUID, Ganeti, make, shown, subnet, with_subnet

CIDR = "fd00:1::/64"


@pytest.fixture
def ident(api: Api, ganeti: Ganeti) -> str:
    """A network with a subnet of IPv4."""
    found = make(api)
    subnet(api, found, name="four", dns_nameservers=["9.9.9.9"])
    return found


def six(api: Api, ident: str, **more: Any) -> dict[str, Any]:
    return subnet(api, ident, cidr=CIDR, ip_version=6, **more)


def data(ganeti: Ganeti) -> dict[str, Any]:
    (network,) = ganeti.networks.values()
    return network


def told(ganeti: Ganeti) -> set[str]:
    """What of the tags is nfdhcpd's."""
    return {tag for tag in data(ganeti)["tags"] if tag.startswith("nfdhcpd")}


def test_one_beside_that_of_ipv4(api: Api, ganeti: Ganeti, ident: str) -> None:
    routes = [{"destination": "fd01::/64", "nexthop": "fd00:1::5"}]
    found = six(api, ident, name="six", dns_nameservers=["fd00::53"], host_routes=routes)
    assert (data(ganeti)["subnet6"], data(ganeti)["gateway6"]) == (CIDR, "fd00:1::1")
    for one in (found, shown(api, f"{SUBNETS}/{found['id']}")):
        assert (one["cidr"], one["gateway_ip"], one["ip_version"], one["name"]) == (CIDR, "fd00:1::1", 6, "six")
        assert (one["dns_nameservers"], one["host_routes"]) == (["fd00::53"], routes)
        assert (one["ipv6_address_mode"], one["ipv6_ra_mode"], one["enable_dhcp"]) == ("slaac", "slaac", True)
    assert told(ganeti) == {
        *("nfdhcpd", "nfdhcpd:nameservers:9.9.9.9", "nfdhcpd:nameservers:fd00::53"),
        *("nfdhcpd:routes:fd01::/64@fd00:1::5", "nfdhcpd:ipv6_mode:slaac"),
    }
    both = shown(api, f"{NETWORKS}/{ident}")["subnets"]
    four = shown(api, f"{SUBNETS}/{next(each for each in both if each != found['id'])}")
    assert (four["name"], four["dns_nameservers"], four["ipv6_ra_mode"]) == ("four", ["9.9.9.9"], None)


@pytest.mark.parametrize(
    ("mode", "tag"), [("slaac", "slaac"), ("dhcpv6-stateless", "slaac*2Bdhcpv6"), ("dhcpv6-stateful", "dhcpv6")]
)
@pytest.mark.parametrize("keys", [("ipv6_ra_mode",), ("ipv6_address_mode",), ("ipv6_ra_mode", "ipv6_address_mode")])
def test_how_guests_come_to_addresses(
    api: Api, ganeti: Ganeti, ident: str, mode: str, tag: str, keys: tuple[str]
) -> None:
    found = six(api, ident, **dict.fromkeys(keys, mode))
    assert f"nfdhcpd:ipv6_mode:{tag}" in told(ganeti)
    assert (found["ipv6_address_mode"], found["ipv6_ra_mode"]) == (mode, mode)


def test_each_has_dhcp_or_not(api: Api, ganeti: Ganeti, ident: str) -> None:
    found = six(api, ident, enable_dhcp=False)
    assert (found["enable_dhcp"], found["ipv6_ra_mode"]) == (False, None)
    assert {"nfdhcpd", "nfdhcpd:only:ipv4"} <= told(ganeti)
    four = next(each for each in shown(api, f"{NETWORKS}/{ident}")["subnets"] if each != found["id"])
    assert shown(api, f"{SUBNETS}/{four}")["enable_dhcp"] is True
    for path, enable in ((four, False), (found["id"], True)):
        assert api.call("PUT", f"{SUBNETS}/{path}", json={"subnet": {"enable_dhcp": enable}}).status_code == 200
    assert {"nfdhcpd", "nfdhcpd:only:ipv6"} <= told(ganeti)
    assert [shown(api, f"{SUBNETS}/{path}")["enable_dhcp"] for path in (four, found["id"])] == [False, True]


def test_it_goes_on_its_own(api: Api, ganeti: Ganeti, ident: str) -> None:
    found = six(api, ident, name="six", dns_nameservers=["fd00::53"], enable_dhcp=False)
    four = next(each for each in shown(api, f"{NETWORKS}/{ident}")["subnets"] if each != found["id"])
    assert api.call("DELETE", f"{SUBNETS}/{found['id']}").status_code == 204
    assert (data(ganeti)["subnet6"], data(ganeti)["gateway6"]) == (None, None)
    assert told(ganeti) == {"nfdhcpd", "nfdhcpd:nameservers:9.9.9.9"}
    assert shown(api, f"{NETWORKS}/{ident}")["subnets"] == [four]
    assert api.get(f"{SUBNETS}/{found['id']}").status_code == 404
    six(api, ident)
    assert api.call("DELETE", f"{NETWORKS}/{ident}").status_code == 204  # with both
    assert ganeti.networks == {}


def test_one_alone_is_beside_a_network_of_ipv4_that_nobody_sees(api: Api, ganeti: Ganeti) -> None:
    red = make(api, "red", description="kept")
    found = six(api, red, name="six", enable_dhcp=False)
    assert (data(ganeti)["subnet"], data(ganeti)["gateway"]) == ("240.0.0.0/30", None)
    assert (data(ganeti)["subnet6"], data(ganeti)["gateway6"], told(ganeti)) == (
        CIDR,
        "fd00:1::1",
        {"nfdhcpd:ipv6_mode:slaac"},
    )
    assert shown(api, f"{NETWORKS}/{red}")["subnets"] == [found["id"]]
    assert shown(api, f"{SUBNETS}/{found['id']}")["name"] == "six"
    assert api.call("PUT", f"{SUBNETS}/{found['id']}", json={"subnet": {"enable_dhcp": True}}).status_code == 200
    assert told(ganeti) == {"nfdhcpd", "nfdhcpd:ipv6_mode:slaac"}
    server = {"name": "web", "imageRef": IMAGE, "flavorRef": SMALL, "networks": [{"uuid": red}]}
    assert api.call("POST", "/compute/v2.1/servers", json={"server": server}).status_code == 202
    assert api.rapi.calls[-1][2]["nics"] == [{"network": UUID}]
    assert api.call("DELETE", f"{SUBNETS}/{found['id']}").status_code == 204
    assert ganeti.networks == {}
    assert shown(api, f"{NETWORKS}/{red}")["description"] == "kept"


def test_that_of_ipv4_comes_later_and_goes_first(api: Api, ganeti: Ganeti) -> None:
    red = make(api, "red")
    found = six(api, red, name="six", dns_nameservers=["fd00::53"])
    four = subnet(api, red, name="four", gateway_ip=None)
    assert [call[1].split("/")[-1] for call in api.rapi.calls[2:]] == [
        "disconnect",
        f"red.{red}",
        "networks",
        "connect",
    ]
    assert (data(ganeti)["subnet"], data(ganeti)["subnet6"]) == ("10.1.0.0/28", CIDR)
    assert shown(api, f"{NETWORKS}/{red}")["subnets"] == [four["id"], found["id"]]
    assert shown(api, f"{SUBNETS}/{found['id']}")["dns_nameservers"] == ["fd00::53"]
    assert "ganeti-ext:hidden4:1" not in data(ganeti)["tags"]
    assert api.call("DELETE", f"{SUBNETS}/{four['id']}").status_code == 204
    assert shown(api, f"{NETWORKS}/{red}")["subnets"] == [found["id"]]
    assert shown(api, f"{SUBNETS}/{found['id']}")["dns_nameservers"] == ["fd00::53"]
    assert (data(ganeti)["subnet"], "name4" in str(data(ganeti)["tags"])) == ("240.0.0.0/30", False)


def test_a_network_is_not_made_anew_below_a_server(api: Api, ganeti: Ganeti, ident: str) -> None:
    red = make(api, "red")
    six(api, red)
    four = shown(api, f"{NETWORKS}/{ident}")["subnets"][0]
    six(api, ident)
    for name in (f"red.{red}", f"blue.{ident}"):
        api.server(nics=[{"network": name, "ip": None, "ip6": None, "mac": "aa:00:00:00:00:01", "uuid": name[:5]}])
    before = len(api.rapi.calls)
    assert with_subnet(api, red).status_code == 409
    assert api.call("DELETE", f"{SUBNETS}/{four}").status_code == 409
    assert len(api.rapi.calls) == before


def test_what_cannot_be_made_anew_is_as_it_was(api: Api, ganeti: Ganeti) -> None:
    red = make(api, "red")
    found = six(api, red, name="six")
    ganeti.fails, done = "ADD", ganeti.do

    def once(job: int) -> None:
        done(job)
        ganeti.fails = "" if api.rapi.calls[-1][0] == "POST" else ganeti.fails

    api.rapi.on_submit = once
    assert with_subnet(api, red).status_code == 409
    assert shown(api, f"{NETWORKS}/{red}")["subnets"] == [found["id"]]
    assert shown(api, f"{SUBNETS}/{found['id']}")["name"] == "six"


def test_while_a_server_is_in_the_network_it_stays(api: Api, ganeti: Ganeti, ident: str) -> None:
    found = six(api, ident)
    nic = {"network": f"blue.{ident}", "ip": "10.1.0.2", "mac": "aa:00:00:00:00:01", "uuid": "n"}
    server = api.server(nics=[{**nic, "ip6": "fd00:1::a800:ff:fe00:1"}])
    assert api.call("DELETE", f"{SUBNETS}/{found['id']}").status_code == 409
    api.change(server["id"], nics=[])
    assert api.call("DELETE", f"{SUBNETS}/{found['id']}").status_code == 204


def test_gateways(api: Api, ganeti: Ganeti, ident: str) -> None:
    found = six(api, ident, gateway_ip="fe80::1")
    path = f"{SUBNETS}/{found['id']}"
    assert data(ganeti)["gateway6"] == "fe80::1"
    for gateway in ("fd00:1::5", None):
        answer = api.call("PUT", path, json={"subnet": {"gateway_ip": gateway}})
        assert answer.get_json()["subnet"]["gateway_ip"] == data(ganeti)["gateway6"] == gateway
    for wrong in ("10.1.0.1", "fd00:2::1", "fe80::1%eth0", "fd00:1::"):
        assert api.call("PUT", path, json={"subnet": {"gateway_ip": wrong}}).status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"cidr": "fd00::/48"},
        {"cidr": "fe80::/64"},
        {"cidr": "ff02::/64"},
        {"cidr": "10.2.0.0/24"},
        {"ip_version": 4},
        {"dns_nameservers": ["9.9.9.9"]},
        {"ipv6_ra_mode": "magic"},
        {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "dhcpv6-stateful"},
        {"ipv6_ra_mode": "slaac", "enable_dhcp": False},
        {"allocation_pools": [{"start": "fd00:1::9", "end": "fd00:1::5"}]},
        {"dns_nameservers": [f"2001:db8:1234:5678:9abc:def0:1234:567{last}" for last in range(4)]},
    ],
)
def test_what_cannot_be(api: Api, ganeti: Ganeti, ident: str, wrong: dict[str, Any]) -> None:
    before = len(api.rapi.calls)
    answer = with_subnet(api, ident, **{"cidr": CIDR, "ip_version": 6, **wrong})
    assert answer.status_code == 400, answer.text
    assert len(api.rapi.calls) == before


def test_pools_are_shown_and_change_nothing(api: Api, ganeti: Ganeti, ident: str) -> None:
    pools = [{"start": "fd00:1::5", "end": "fd00:1::9"}]
    found = six(api, ident, allocation_pools=pools)
    assert found["allocation_pools"] == shown(api, f"{SUBNETS}/{found['id']}")["allocation_pools"] == pools
    assert ganeti.apart[f"blue.{ident}"] == {"10.1.0.1"}
    gateway = {"subnet": {"gateway_ip": "fd00:1::6"}}
    assert api.call("PUT", f"{SUBNETS}/{found['id']}", json=gateway).status_code == 409


def test_there_is_one(api: Api, ganeti: Ganeti, ident: str) -> None:
    six(api, ident)
    assert with_subnet(api, ident, cidr="fd00:2::/64", ip_version=6).status_code == 409


def test_both_at_once(api: Api, ganeti: Ganeti) -> None:
    red = make(api, "red")
    wanted = [
        {"network_id": red, "cidr": "10.1.0.0/28", "ip_version": 4},
        {"network_id": red, "cidr": CIDR, "ip_version": 6, "enable_dhcp": False},
    ]
    answer = api.call("POST", SUBNETS, json={"subnets": wanted})
    assert (answer.status_code, [each["ip_version"] for each in answer.get_json()["subnets"]]) == (201, [4, 6])
    assert (data(ganeti)["subnet6"], told(ganeti) >= {"nfdhcpd", "nfdhcpd:only:ipv4"}) == (CIDR, True)
    assert api.call("DELETE", f"{NETWORKS}/{red}").status_code == 204
    ganeti.fails = "MODIFY"
    green = [{**each, "network_id": make(api, "green")} for each in wanted[:1]]
    green.append({**wanted[1], "network_id": green[0]["network_id"]})
    assert api.call("POST", SUBNETS, json={"subnets": green}).status_code == 409
    assert ganeti.networks == {}


@pytest.mark.parametrize("more", [{"cidr": "10.2.0.0/28"}, {"cidr": "fd00:2::/64", "ip_version": 6}])
def test_a_second_one_of_a_family_is_refused_and_the_answer_says_why(
    api: Api, ganeti: Ganeti, more: dict[str, Any]
) -> None:
    ident = make(api)
    for own in ({}, {"cidr": "fd00:1::/64", "ip_version": 6}):
        subnet(api, ident, **own)
    calls = len(api.rapi.calls)
    answer = with_subnet(api, ident, **more)
    assert (answer.status_code, len(api.rapi.calls)) == (409, calls)
    message = answer.get_json()["NeutronError"]["message"]
    assert f"Network {ident} has a subnet of IPv{more.get('ip_version', 4)} already, " in message
    assert "one of IPv4 and one of IPv6, as Ganeti's networks do" in message
