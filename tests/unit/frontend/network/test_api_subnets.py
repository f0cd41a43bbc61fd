"""IPv4 subnets of tenants: what is asked of them comes to Ganeti and its tags, and is shown as it was asked."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.frontend.conftest import NET, Api
from tests.unit.frontend.tenantnets import SUBNETS, Ganeti, make, shown, subnet, with_subnet

SERVERS = ["9.9.9.9", "1.1.1.1"]
ROUTES = [{"destination": "10.0.0.0/8", "nexthop": "10.1.0.5"}, {"destination": "192.0.2.0/24", "nexthop": "10.1.0.6"}]
TIMES = ("created_at", "updated_at")
POOLS = [{"start": "10.1.0.4", "end": "10.1.0.5"}, {"start": "10.1.0.8", "end": "10.1.0.12"}]


def put(api: Api, found: dict[str, Any], **changes: Any) -> Any:
    return api.call("PUT", f"{SUBNETS}/{found['id']}", json={"subnet": changes})


def changed(api: Api, found: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """As it is shown afterwards, by the answer and by the next one."""
    answer = put(api, found, **changes)
    assert answer.status_code == 200, answer.text
    new: dict[str, Any] = answer.get_json()["subnet"]
    then = shown(api, f"{SUBNETS}/{found['id']}")
    assert {**then, **dict.fromkeys(TIMES)} == {**new, **dict.fromkeys(TIMES)}
    return new


def tags(ganeti: Ganeti) -> set[str]:
    (network,) = ganeti.networks.values()
    return {tag for tag in network["tags"] if not tag.startswith("ganeti-ext:project")}


def apart(ganeti: Ganeti) -> list[int]:
    """The last octets of addresses that Ganeti does not choose."""
    (addresses,) = ganeti.apart.values()
    return sorted(int(address.rpartition(".")[2]) for address in addresses)


def test_what_is_asked_of_a_new_one(api: Api, ganeti: Ganeti) -> None:
    asked = {"name": "front", "description": "of the web", "dns_nameservers": SERVERS, "host_routes": ROUTES}
    found = subnet(api, make(api), allocation_pools=POOLS, **asked)
    for one in (found, shown(api, f"{SUBNETS}/{found['id']}")):
        assert {key: one[key] for key in asked} == asked
        assert (one["allocation_pools"], one["enable_dhcp"], one["ip_version"]) == (POOLS, True, 4)
    assert tags(ganeti) == {
        *("private-filtered", "nfdhcpd", "nfdhcpd:nameservers:9.9.9.9*201.1.1.1", "ganeti-ext:name4:front"),
        *("nfdhcpd:routes:10.0.0.0/8@10.1.0.5", "nfdhcpd:routes:192.0.2.0/24@10.1.0.6"),
        *("ganeti-ext:description4:of*20the*20web", "ganeti-ext:pool4:10.1.0.4-10.1.0.5*2C10.1.0.8-10.1.0.12"),
    }
    assert apart(ganeti) == [1, 2, 3, 6, 7, 13, 14]


def test_one_of_which_nothing_is_asked(api: Api, ganeti: Ganeti) -> None:
    found = subnet(api, make(api))
    assert found["allocation_pools"] == [{"start": "10.1.0.2", "end": "10.1.0.14"}]
    assert (found["name"], found["dns_nameservers"], found["host_routes"]) == ("blue-ipv4", [], [])
    assert (apart(ganeti), tags(ganeti)) == ([1], {"private-filtered", "nfdhcpd"})


def test_pools_that_are_all_of_it_are_none_of_their_own(api: Api, ganeti: Ganeti) -> None:
    subnet(api, make(api), allocation_pools=[{"start": "10.1.0.2", "end": "10.1.0.14"}])
    assert (apart(ganeti), tags(ganeti)) == ([1], {"private-filtered", "nfdhcpd"})


def test_without_dhcp_nfdhcpd_has_nothing_to_do_with_it_and_back(api: Api, ganeti: Ganeti) -> None:
    found = subnet(api, make(api), enable_dhcp=False)
    assert (found["enable_dhcp"], tags(ganeti)) == (False, {"private-filtered"})
    assert changed(api, found, enable_dhcp=True)["enable_dhcp"] is True
    assert tags(ganeti) == {"private-filtered", "nfdhcpd"}
    assert changed(api, found, enable_dhcp=False)["enable_dhcp"] is False
    assert tags(ganeti) == {"private-filtered"}


def test_what_guests_are_told_changes(api: Api, ganeti: Ganeti) -> None:
    found = subnet(api, make(api), dns_nameservers=SERVERS, host_routes=ROUTES, name="front")
    before = len(api.rapi.calls)
    new = changed(api, found, dns_nameservers=["8.8.8.8"], host_routes=ROUTES[1:], name="back", description="new")
    assert (new["dns_nameservers"], new["host_routes"], new["name"]) == (["8.8.8.8"], ROUTES[1:], "back")
    assert [call[:2] for call in api.rapi.calls[before:]] == [
        ("PUT", f"networks/blue.{found['network_id']}/tags"),
        ("DELETE", f"networks/blue.{found['network_id']}/tags"),
    ]
    empty = changed(api, found, dns_nameservers=[], host_routes=[], name="", description="")
    assert (empty["dns_nameservers"], empty["host_routes"], empty["name"]) == ([], [], "blue-ipv4")
    assert tags(ganeti) == {"private-filtered", "nfdhcpd"}


def test_the_order_of_name_servers_is_the_tenants(api: Api, ganeti: Ganeti) -> None:
    found = subnet(api, make(api), dns_nameservers=SERVERS)
    assert changed(api, found, dns_nameservers=SERVERS[::-1])["dns_nameservers"] == SERVERS[::-1]


def test_another_gateway_and_none(api: Api, ganeti: Ganeti) -> None:
    found = subnet(api, make(api))
    assert changed(api, found, gateway_ip="10.1.0.14")["allocation_pools"] == [
        {"start": "10.1.0.1", "end": "10.1.0.13"}
    ]
    assert apart(ganeti) == [14]
    assert changed(api, found, gateway_ip=None)["gateway_ip"] is None
    assert apart(ganeti) == []
    assert changed(api, found, gateway_ip="10.1.0.1")["gateway_ip"] == "10.1.0.1"
    before = len(api.rapi.calls)
    changed(api, found, gateway_ip="10.1.0.1")
    assert len(api.rapi.calls) == before


def test_a_gateway_that_was_outside_of_the_pools(api: Api, ganeti: Ganeti) -> None:
    """Ganeti sets a gateway apart by itself, and does not do it twice."""
    found = subnet(api, make(api), allocation_pools=POOLS)
    changed(api, found, gateway_ip="10.1.0.14")
    assert apart(ganeti) == [1, 2, 3, 6, 7, 13, 14]
    conflict = put(api, found, gateway_ip="10.1.0.9")
    assert (conflict.status_code, "10.1.0.8-10.1.0.12" in conflict.text) == (409, True)
    assert changed(api, found, gateway_ip="10.1.0.9", allocation_pools=POOLS[:1])["allocation_pools"] == POOLS[:1]
    assert apart(ganeti) == [1, 2, 3, *range(6, 15)]
    assert changed(api, found, allocation_pools=[])["allocation_pools"][1] == {"start": "10.1.0.10", "end": "10.1.0.14"}
    assert apart(ganeti) == [9]


def test_a_servers_address_is_no_gateway(api: Api, ganeti: Ganeti) -> None:
    found = subnet(api, make(api))
    nic = {"network": f"blue.{found['network_id']}", "ip": "10.1.0.5", "ip6": None, "mac": "aa:00:00:00:00:01"}
    server = api.server(nics=[{**nic, "uuid": "n"}])
    answer = put(api, found, gateway_ip="10.1.0.5")
    assert (answer.status_code, server["id"] in answer.text) == (409, True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"dns_nameservers": ["x"]},
        {"dns_nameservers": ["fd00::1"]},
        {"dns_nameservers": "9.9.9.9"},
        {"dns_nameservers": [f"9.9.9.{last}" for last in range(6)]},
        {"host_routes": [{"destination": "10.0.0.1/8", "nexthop": "10.1.0.5"}]},
        {"host_routes": [{"destination": "fd00::/64", "nexthop": "10.1.0.5"}]},
        {"host_routes": [{"destination": "10.0.0.0/8", "nexthop": "fd00::1"}]},
        {"host_routes": [{"destination": "10.0.0.0/8"}]},
        {"host_routes": ["10.0.0.0/8"]},
        {"host_routes": [{"destination": f"10.{n}.0.0/16", "nexthop": "10.1.0.5"} for n in range(21)]},
        {"enable_dhcp": "perhaps"},
        {"name": 7},
        {"allocation_pools": [{"start": "10.1.0.5", "end": "10.1.0.4"}]},
        {"allocation_pools": [{"start": "10.1.0.5", "end": "10.1.0.15"}]},
        {"allocation_pools": [{"start": "10.2.0.5", "end": "10.2.0.6"}]},
        {"allocation_pools": [{"start": "10.1.0.5"}]},
    ],
)
def test_what_cannot_be_is_refused_before_any_job(api: Api, ganeti: Ganeti, wrong: dict[str, Any]) -> None:
    found = subnet(api, make(api))
    before = len(api.rapi.calls)
    for answer in (put(api, found, **wrong), with_subnet(api, make(api, "red"), **wrong)):
        assert answer.status_code == 400, answer.text
        assert next(iter(wrong)) in answer.text
    assert len(api.rapi.calls) == before


def test_pools_that_overlap_or_have_the_gateway(api: Api, ganeti: Ganeti) -> None:
    twice = [{"start": "10.1.0.4", "end": "10.1.0.9"}, {"start": "10.1.0.9", "end": "10.1.0.10"}]
    for pools in (twice, [{"start": "10.1.0.1", "end": "10.1.0.9"}]):
        assert with_subnet(api, make(api), allocation_pools=pools).status_code == 409
    assert api.rapi.calls == []


def test_a_large_subnet_with_small_pools_is_too_much_for_one_job(api: Api, ganeti: Ganeti) -> None:
    answer = with_subnet(
        api, make(api), cidr="10.0.0.0/16", allocation_pools=[{"start": "10.0.0.5", "end": "10.0.0.9"}]
    )
    assert (answer.status_code, "at most 4096 can be set apart" in answer.text) == (400, True)
    pools = [{"start": "10.0.0.5", "end": "10.0.255.9"}]
    assert subnet(api, make(api), cidr="10.0.0.0/16", allocation_pools=pools)["allocation_pools"] == pools


@pytest.mark.parametrize("key", ["cidr", "ip_version", "network_id", "ipv6_ra_mode"])
def test_what_a_subnet_is_made_with_stays(api: Api, ganeti: Ganeti, key: str) -> None:
    found = subnet(api, make(api))
    answer = put(api, found, **{key: found[key]})
    assert (answer.status_code, key in answer.text) == (400, True)


def test_an_administrators_subnet_and_a_strangers(api: Api, ganeti: Ganeti) -> None:
    (theirs,) = api.get(f"{SUBNETS}?network_id={NET}&ip_version=4").get_json()["subnets"]
    assert put(api, theirs, name="mine").status_code == 403
    assert put(api.become("bob", "foreign"), subnet(api, make(api)), name="his").status_code == 404


def test_of_many_all_are_made_or_none(api: Api, ganeti: Ganeti) -> None:
    idents = [make(api, name) for name in ("one", "two", "three")]
    wanted = [{"network_id": ident, "cidr": "10.1.0.0/28"} for ident in idents]
    first = api.call("POST", SUBNETS, json={"subnets": wanted[:1]})
    assert (first.status_code, [each["network_id"] for each in first.get_json()["subnets"]]) == (201, idents[:1])
    calls = len(api.rapi.calls)
    assert api.call("POST", SUBNETS, json={"subnets": wanted[::-1]}).status_code == 409  # the first has one
    for wrong in ([], [wanted[1], 7], [wanted[1], {**wanted[2], "cidr": "x"}]):
        assert api.call("POST", SUBNETS, json={"subnets": wrong}).status_code == 400
    assert len(api.rapi.calls) == calls
    done = ganeti.do

    def last_fails(job: int) -> None:
        ganeti.fails = "ADD" if (api.rapi.calls[-1][2] or {}).get("network_name", "").startswith("three") else ""
        done(job)

    api.rapi.on_submit = last_fails
    assert api.call("POST", SUBNETS, json={"subnets": wanted[1:]}).status_code == 409
    assert list(ganeti.networks) == [f"one.{idents[0]}"]
