"""Security groups: firewall profiles, to read, and to be chosen for a server."""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import Any

import pytest

from frontend import groupview, netview, securitygroups
from frontend.fault import BadRequest
from frontend.settings import Firewall, Front, Settings
from ganeti_ext import tags
from tests.unit.frontend.conftest import COMPUTE, FOREIGN, MINE, Api, FakeRapi, serve

NETWORK = "/network/v2.0"
SHIPPED = Path(__file__).parents[3] / "kvm_ifup/profiles"
NAMES = ["default", "unprotected", "limited"]


def groups(api: Api) -> dict[str, Any]:
    found = api.get(f"{NETWORK}/security-groups").json["security_groups"]  # type: ignore[index]
    return {group["name"]: group for group in found}


def ingress(group: dict[str, Any]) -> list[tuple[Any, ...]]:
    keys = ("ethertype", "protocol", "port_range_min", "port_range_max")
    rules = [rule for rule in group["security_group_rules"] if rule["direction"] == "ingress"]
    return [tuple(rule[key] for key in keys) for rule in rules]


def server(api: Api, profile: str | None = None, **more: Any) -> dict[str, Any]:
    """A server's row, and its instance's tags beside it."""
    said = {"firewall": profile} if profile else {}
    row = api.server(facts=said, **more)
    api.rapi.tags[row["instance"]] = [*tags.encode({"project": MINE, **said})]
    return row


def act(api: Api, row: dict[str, Any], verb: str, argument: Any, expect: int = 202) -> str:
    answer = api.call("POST", f"{COMPUTE}/servers/{row['id']}/action", json={f"{verb}SecurityGroup": argument})
    assert answer.status_code == expect, answer.text
    return answer.text


def of(api: Api, row: dict[str, Any]) -> list[str]:
    found = api.get(f"{COMPUTE}/servers/{row['id']}/os-security-groups").json["security_groups"]  # type: ignore[index]
    (port,) = api.get(f"{NETWORK}/ports?device_id={row['id']}").json["ports"]  # type: ignore[index]
    assert [group["id"] for group in found] == port["security_groups"]
    return [group["name"] for group in found]


def test_the_profiles_are_groups(api: Api, nobody: Api) -> None:
    found = groups(api)
    assert list(found) == NAMES
    assert ingress(found["default"]) == ingress(found["unprotected"])
    rules = api.get(f"{NETWORK}/security-group-rules").json["security_group_rules"]  # type: ignore[index]
    assert rules == [rule for group in found.values() for rule in group["security_group_rules"]]
    assert len({rule["id"] for rule in rules}) == len(rules)
    limited = found["limited"]
    assert api.get(f"{NETWORK}/security-groups/{limited['id']}").json == {"security_group": limited}
    assert api.get(f"{NETWORK}/security-groups?name=limited").json == {"security_groups": [limited]}
    one = limited["security_group_rules"][0]
    assert api.get(f"{NETWORK}/security-group-rules/{one['id']}").json == {"security_group_rule": one}
    assert [rule["direction"] for rule in limited["security_group_rules"][:2]] == ["egress", "egress"]
    bob = nobody.become("bob", "foreign")
    assert bob.get(f"{NETWORK}/security-groups/{limited['id']}").status_code == 404
    assert not {group["id"] for group in groups(bob).values()} & {group["id"] for group in found.values()}


def test_compute_shows_them_in_its_own_form(api: Api) -> None:
    found = {group["name"]: group for group in api.get(f"{COMPUTE}/os-security-groups").json["security_groups"]}  # type: ignore[index]
    assert list(found) == NAMES
    limited = found["limited"]
    assert set(limited) == {"id", "name", "description", "tenant_id", "rules"}
    ssh = limited["rules"][0]
    assert ssh == {
        "id": ssh["id"],
        "parent_group_id": limited["id"],
        "ip_protocol": "tcp",
        "from_port": 22,
        "to_port": 22,
        "ip_range": {"cidr": "0.0.0.0/0"},
        "group": {},
    }
    assert api.get(f"{COMPUTE}/os-security-groups/{limited['id']}").json == {"security_group": limited}
    assert api.get(f"{COMPUTE}/os-security-groups/limited").status_code == 404


def shipped(name: str) -> set[tuple[Any, ...]]:
    """What a shipped profile lets come, as rules of a group."""
    parser = configparser.ConfigParser()
    parser.read(SHIPPED / f"{name}.conf")
    if parser["profile"].get("new") == "accept":
        return {(family, None, None, None) for family in ("IPv4", "IPv6")}
    found: set[tuple[Any, ...]] = set()
    for section in parser.sections():
        if not section.startswith("allow "):
            continue
        protocol, ports, types = (parser[section].get(key) for key in ("protocol", "ports", "types"))
        if types:
            assert types == "echo-request"
            ping = {"icmp": ("IPv4", "icmp", 8, None), "icmpv6": ("IPv6", "ipv6-icmp", 128, None)}
            found.add(ping[str(protocol)])
        else:
            found |= {(family, protocol, int(str(ports)), int(str(ports))) for family in ("IPv4", "IPv6")}
    return found


@pytest.mark.parametrize("name", sorted(path.stem for path in SHIPPED.glob("*.conf")))
def test_the_rules_are_those_of_the_shipped_profiles(name: str) -> None:
    assert set(ingress(groupview.group(MINE, name, "unprotected"))) == shipped(name)
    assert name in (*Firewall().profiles, netview.NO_GROUP)


def test_an_administrators_own_profile(front: Front, rapi: FakeRapi) -> None:
    firewall = Firewall(profiles=("shop", "limited"), default="limited")
    api = serve(front, rapi, Settings(front=front, firewall=firewall)).become("alice")
    found = groups(api)
    assert list(found) == ["default", "shop", "limited"]
    assert "shop" in found["shop"]["description"]
    assert ingress(found["shop"]) == []
    assert ingress(found["default"]) == ingress(found["limited"])
    row = server(api)
    act(api, row, "add", {"name": "shop"})
    assert of(api, row) == ["shop"]


@pytest.mark.parametrize("said", ["limited", netview.group_id(MINE, "limited")])
def test_a_server_gets_a_profile_and_loses_it(api: Api, said: str) -> None:
    row = server(api)
    assert of(api, row) == ["default"]
    act(api, row, "add", {"name": said})
    ((method, path, _, query),) = api.rapi.calls
    assert (method, path) == ("PUT", f"instances/{row['instance']}/tags")
    assert query["tag"] == ["ganeti-ext:firewall:limited"]
    assert of(api, row) == ["limited"]
    api.rapi.tags[row["instance"]].append("ganeti-ext:firewall:limited")
    act(api, row, "remove", {"name": said})
    assert [(call[0], call[3]["tag"]) for call in api.rapi.calls[1:]] == [
        ("PUT", ["ganeti-ext:firewall:protected"]),
        ("DELETE", ["ganeti-ext:firewall:limited"]),
    ]
    assert of(api, row) == []


def test_the_default_group_goes_and_comes(api: Api) -> None:
    row = server(api)
    act(api, row, "remove", {"name": "default"})
    assert api.rapi.calls[-1][3]["tag"] == ["ganeti-ext:firewall:protected"]
    assert of(api, row) == []
    act(api, row, "remove", {"name": "default"}, 404)
    api.rapi.tags[row["instance"]].append("ganeti-ext:firewall:protected")
    act(api, row, "add", {"name": "default"})
    assert (api.rapi.calls[-1][0], api.rapi.calls[-1][3]["tag"]) == ("DELETE", ["ganeti-ext:firewall:protected"])
    assert of(api, row) == ["default"]


@pytest.mark.parametrize(
    ("now", "verb", "argument", "status"),
    [
        ("limited", "add", {"name": "limited"}, 202),
        ("limited", "add", {"name": "default"}, 202),
        (None, "add", {"name": "default"}, 202),
        ("limited", "add", {"name": "unprotected"}, 409),
        ("limited", "remove", {"name": "unprotected"}, 404),
        ("limited", "remove", {"name": "default"}, 202),
        ("protected", "remove", {"name": "limited"}, 404),
        (None, "add", {"name": "protected"}, 404),
        (None, "add", {"name": "web"}, 404),
        (None, "add", {"name": netview.group_id(FOREIGN, "limited")}, 404),
        (None, "add", {}, 400),
        (None, "add", "limited", 400),
        (None, "remove", None, 400),
    ],
)
def test_what_changes_nothing(api: Api, now: str | None, verb: str, argument: Any, status: int) -> None:
    row = server(api, now)
    act(api, row, verb, argument, status)
    assert api.rapi.calls == []
    assert of(api, row) == ([] if now == "protected" else [now or "default"])


def test_another_projects_server_gets_none(api: Api) -> None:
    row = server(api, project_id=FOREIGN)
    words = act(api, row, "add", {"name": "limited"}, 404)
    assert words == act(api, {"id": "never"}, "add", {"name": "limited"}, 404).replace("never", row["id"])


def test_what_a_new_servers_groups_mean(front: Front, api: Api) -> None:
    with api.client.application.app_context():
        for wanted, profile in (
            ([], None),
            (["default"], None),
            (["limited"], "limited"),
            (["default", netview.group_id(MINE, "limited"), "limited"], "limited"),
        ):
            assert securitygroups.chosen(wanted, MINE) == profile
        for refused, word in (
            (["limited", "unprotected"], "choose one"),
            (["protected"], "not found"),
            (["web"], "web"),
            ([netview.group_id(FOREIGN, "limited")], "not found"),
        ):
            with pytest.raises(BadRequest, match=word):
                securitygroups.chosen(refused, MINE)


@pytest.mark.parametrize("base", [f"{NETWORK}/security-group", f"{COMPUTE}/os-security-group"])
def test_groups_and_rules_are_not_the_tenants(api: Api, base: str) -> None:
    found = groups(api)
    rule = found["limited"]["security_group_rules"][0]["id"]
    expected = [
        ("POST", "s", 403),
        ("POST", "-rules", 403),
        ("PUT", f"s/{found['limited']['id']}", 403),
        ("DELETE", f"s/{found['limited']['id']}", 403),
        ("DELETE", f"s/{found['default']['id']}", 400),
        ("DELETE", "s/never", 404),
        ("DELETE", f"-rules/{rule}", 403),
        ("DELETE", "-rules/never", 404),
    ]
    for method, path, status in expected:
        answer = api.call(method, base + path, json={})
        assert answer.status_code == status, (method, path, answer.text)
    assert "administrator" in api.call("POST", f"{base}s", json={}).text
    assert groups(api) == found
