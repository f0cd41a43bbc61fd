"""What projects may have of networks, and have."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, update

from frontend.database import db
from frontend.settings import Front
from tests.unit.frontend.admins import administrator
from tests.unit.frontend.conftest import FOREIGN, MINE, Api, FakeRapi, serve
from tests.unit.frontend.tenantnets import NETWORKS, Ganeti, make, shown, subnet, with_subnet

QUOTAS = "/network/v2.0/quotas"
DEFAULTS = {
    "network": 10,
    "subnet": 20,
    "port": 500,
    "security_group": 10,
    "security_group_rule": 100,
    "floatingip": 50,
}
NONE = {"router": 0, "subnetpool": 0, "rbac_policy": 0}


@pytest.fixture
def admin(api: Api) -> Api:
    return administrator(api)


def put(admin: Api, project: str = MINE, **quota: Any) -> Any:
    return admin.call("PUT", f"{QUOTAS}/{project}", json={"quota": quota})


def test_of_a_project_that_nobody_gave_others(api: Api) -> None:
    for path in (f"{QUOTAS}/{MINE}", f"{QUOTAS}/{MINE}/default"):
        assert shown(api, path) == {**DEFAULTS, **NONE}


def test_an_administrator_gives_others_and_takes_them_back(api: Api, admin: Api) -> None:
    answer = put(admin, network=5, port=20, security_group=-1, router=0)
    mine = {**DEFAULTS, "network": 5, "port": 20, "security_group": -1, **NONE}
    assert (answer.status_code, answer.get_json()) == (200, {"quota": mine})
    assert shown(api, f"{QUOTAS}/{MINE}") == mine
    assert shown(api, f"{QUOTAS}/{MINE}/default") == shown(admin, f"{QUOTAS}/{FOREIGN}") == {**DEFAULTS, **NONE}
    whose = {"project_id": MINE, "tenant_id": MINE}
    assert admin.get(QUOTAS).get_json() == {"quotas": [{**mine, **whose}]}
    assert admin.call("DELETE", f"{QUOTAS}/{MINE}").status_code == 204
    assert shown(api, f"{QUOTAS}/{MINE}") == {**DEFAULTS, **NONE}
    assert admin.get(QUOTAS).get_json() == {"quotas": []}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"network": -2}, "network: expected a whole number from -1"),
        ({"network": "many"}, "network: expected a whole number"),
        ({"network": None}, "network: is missing"),
        ({"router": 5}, "router: there are none of these"),
        ({"fish": 5}, "fish: is none of network, subnet"),
    ],
)
def test_what_cannot_be_given(api: Api, admin: Api, wrong: dict[str, Any], words: str) -> None:
    answer = put(admin, **{"port": 7, **wrong})
    assert (answer.status_code, words in answer.text) == (400, True)
    assert shown(api, f"{QUOTAS}/{MINE}")["port"] == 500


def test_who_may_and_of_whom(api: Api, admin: Api) -> None:
    assert put(api, network=99).status_code == 403
    assert api.get(QUOTAS).status_code == 403
    for path in ("", "/default", "/details", "/details.json"):
        assert api.get(f"{QUOTAS}/{FOREIGN}{path}").status_code == 403
        assert admin.get(f"{QUOTAS}/nothing{path}").status_code == 404
    assert put(admin, "nothing", network=1).status_code == 404
    assert admin.call("DELETE", f"{QUOTAS}/nothing").status_code == 404


def test_what_is_used(api: Api, admin: Api, ganeti: Ganeti) -> None:
    blue = make(api)
    make(api, "red")
    subnet(api, blue)
    subnet(api, blue, cidr="fd00:1::/64", ip_version=6)
    api.server()
    api.server(project_id=FOREIGN)
    group = {"security_group": {"name": "web"}}
    assert api.call("POST", "/network/v2.0/security-groups", json=group).status_code == 201
    details = shown(api, f"{QUOTAS}/{MINE}/details.json")
    used = {"network": 2, "subnet": 2, "port": 1, "security_group": 1, "security_group_rule": 2}
    expected = {name: {"limit": limit, "used": used.get(name, 0), "reserved": 0} for name, limit in shown(
        api, f"{QUOTAS}/{MINE}").items()}  # fmt: skip
    assert details == shown(api, f"{QUOTAS}/{MINE}/details") == expected
    low = put(admin, network=1, check_limit=True)
    assert (low.status_code, "less than the 2 that are used" in low.text) == (400, True)
    assert put(admin, network=1).status_code == 200
    assert api.call("POST", NETWORKS, json={"network": {"name": "green"}}).status_code == 409


def test_networks_that_only_ganeti_knows_of_count(api: Api, ganeti: Ganeti) -> None:
    """The database was made anew."""
    subnet(api, make(api))
    with api.engine.begin() as connection:
        connection.execute(db.tenant_network.delete())
    details = shown(api, f"{QUOTAS}/{MINE}/details")
    assert [details[name]["used"] for name in ("network", "subnet")] == [1, 1]


def test_no_more_than_is_allowed(api: Api, admin: Api, ganeti: Ganeti) -> None:
    put(admin, network=2, subnet=1)
    blue, red = make(api), make(api, "red")
    over = api.call("POST", NETWORKS, json={"network": {"name": "green"}})
    assert (over.status_code, "Quota exceeded for resources: ['network']" in over.text) == (409, True)
    subnet(api, blue)
    calls = len(api.rapi.calls)
    for more in ({"network_id": red}, {"network_id": blue, "cidr": "fd00:1::/64", "ip_version": 6}):
        over = with_subnet(api, more.pop("network_id"), **more)  # type: ignore[arg-type]
        assert (over.status_code, "subnet: 1 of 1 are there" in over.text) == (409, True)
    assert len(api.rapi.calls) == calls
    put(admin, network=-1, subnet=-1)
    subnet(api, red)
    make(api, "green")


def test_what_failed_does_not_count(api: Api, admin: Api, ganeti: Ganeti) -> None:
    put(admin, subnet=1)
    blue = make(api)
    ganeti.fails = "ADD"
    assert with_subnet(api, blue).status_code == 409
    ganeti.fails = ""
    subnet(api, blue)


def test_many_at_once_get_no_more(api: Api, admin: Api) -> None:
    put(admin, network=3)
    answers: list[int] = []

    def one(number: int) -> None:
        answers.append(api.call("POST", NETWORKS, json={"network": {"name": f"n{number}"}}).status_code)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201] * 3 + [409] * 7
    with api.engine.connect() as connection:
        assert len(db.rows(connection, select(db.tenant_network))) == 3


def test_security_groups_and_their_rules(api: Api, admin: Api) -> None:
    put(admin, security_group=1, security_group_rule=3)
    groups, rules = (f"/network/v2.0/security-group{what}" for what in ("s", "-rules"))
    made = api.call("POST", groups, json={"security_group": {"name": "web"}}).get_json()["security_group"]["id"]
    assert api.call("POST", groups, json={"security_group": {"name": "more"}}).status_code == 409
    for port, status in ((22, 201), (80, 409)):
        rule = {"security_group_id": made, "direction": "ingress", "protocol": "tcp", "port_range_min": port,
                "port_range_max": port}  # fmt: skip
        assert api.call("POST", rules, json={"security_group_rule": rule}).status_code == status


def test_compute_shows_the_same_of_security_groups(api: Api, admin: Api) -> None:
    compute = "/compute/v2.1"
    for given, expected in ((None, (10, 100)), (3, (3, 100))):
        if given:
            put(admin, security_group=given)
        quota = shown(api, f"{compute}/os-quota-sets/{MINE}")
        absolute = api.get(f"{compute}/limits").get_json()["limits"]["absolute"]
        assert (quota["security_groups"], quota["security_group_rules"]) == expected
        assert (absolute["maxSecurityGroups"], absolute["maxSecurityGroupRules"]) == expected
    elsewhere = admin.call("PUT", f"{compute}/os-quota-sets/{MINE}", json={"quota_set": {"security_groups": 4}})
    assert (elsewhere.status_code, "set it by Network's quotas" in elsewhere.text) == (400, True)


def test_where_tenants_make_no_networks_there_are_none(front: Front, rapi: FakeRapi) -> None:
    api = serve(replace(front, tenant_link=""), rapi).become("alice")
    assert [shown(api, f"{QUOTAS}/{MINE}")[name] for name in ("network", "subnet", "port")] == [0, 0, 500]
    with api.engine.begin() as connection:
        connection.execute(update(db.project).values(max_networks=3))
    assert shown(api, f"{QUOTAS}/{MINE}")["network"] == 3
