"""Security groups: firewall profiles, to read, and to be chosen for a server."""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import Any

import pytest

from frontend.network import grouprules, netview, securitygroups
from frontend.settings import Firewall, Front, Settings
from frontend.web.fault import BadRequest
from ganeti_ext import tags
from tests.unit.frontend.conftest import COMPUTE, FOREIGN, MINE, Api, FakeRapi, serve

NETWORK = "/network/v2.0"
SHIPPED = Path(__file__).parents[3] / "kvm_ifup/profiles"
NAMES = ["default", "unprotected", "limited", "ssh"]


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


def tagged(api: Api, row: dict[str, Any]) -> dict[str, str]:
    """What the calls so far have made of the instance's tags, which Ganeti then tells."""
    found = set(api.rapi.tags[row["instance"]])
    for method, _, _, query in api.rapi.calls:
        found = found | set(query["tag"]) if method == "PUT" else found - set(query["tag"])
    api.rapi.calls.clear()
    api.rapi.tags[row["instance"]] = sorted(found)
    facts = tags.decode(found)
    return {fact: facts[fact] for fact in ("firewall", "groups") if fact in facts}


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
    (ssh,) = [rule for rule in limited["rules"] if rule["from_port"] == 22 and "." in rule["ip_range"]["cidr"]]
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


def shipped(name: str) -> set[grouprules.Rule]:
    """What a shipped profile lets come, as rules of a group."""
    parser = configparser.ConfigParser()
    parser.read(SHIPPED / f"{name}.conf")
    if parser["profile"].get("new") == "accept":
        return {grouprules.Rule(family) for family in grouprules.FAMILIES}
    allowed = [parser[section] for section in parser.sections() if section.startswith("allow ")]
    return {rule for section in allowed for rule in _rules(section)}


def _rules(allow: configparser.SectionProxy) -> list[grouprules.Rule]:
    protocol, types = allow["protocol"], allow.get("types")
    assert types in (None, "echo-request")
    if protocol == "icmp":
        return [grouprules.Rule("IPv4", "icmp", 8 if types else None)]
    if protocol == "icmpv6":
        return [grouprules.Rule("IPv6", "ipv6-icmp", 128 if types else None)]
    families = {"ipv4": ("IPv4",), "ipv6": ("IPv6",)}.get(allow.get("family", ""), grouprules.FAMILIES)
    return [grouprules.Rule(family, protocol, int(allow["ports"]), int(allow["ports"])) for family in families]


@pytest.mark.parametrize("name", sorted(path.stem for path in SHIPPED.glob("*.conf")))
def test_the_rules_are_those_of_the_shipped_profiles(name: str) -> None:
    assert grouprules.PROFILES[name] == shipped(name)
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
    assert tagged(api, row) == {"firewall": "default+shop", "groups": "default,shop"}
    act(api, row, "remove", {"name": "default"})
    assert of(api, row) == ["shop"]
    by_hand = server(api, "shop+limited")
    assert of(api, by_hand) == ["shop", "limited"]


@pytest.mark.parametrize("said", ["limited", netview.group_id(MINE, "limited")])
def test_groups_of_a_server_add_up(api: Api, said: str) -> None:
    row = server(api)
    assert of(api, row) == ["default"]
    act(api, row, "add", {"name": said})
    assert tagged(api, row) == {"firewall": "default+limited", "groups": "default,limited"}
    assert of(api, row) == ["default", "limited"]
    act(api, row, "remove", {"name": "default"})
    assert tagged(api, row) == {"firewall": "limited"}
    assert of(api, row) == ["limited"]
    act(api, row, "remove", {"name": said})
    assert tagged(api, row) == {"firewall": "protected"}
    assert of(api, row) == []
    act(api, row, "remove", {"name": said}, 404)
    act(api, row, "add", {"name": "default"})
    assert tagged(api, row) == {}
    assert of(api, row) == ["default"]


@pytest.mark.parametrize(
    ("now", "verb", "argument", "status"),
    [
        ("limited", "add", {"name": "limited"}, 202),
        (None, "add", {"name": "default"}, 202),
        ("limited", "remove", {"name": "ssh"}, 404),
        ("limited", "remove", {"name": "default"}, 404),
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


def test_what_a_new_servers_groups_mean(api: Api) -> None:
    with api.client.application.app_context(), api.engine.connect() as connection:
        for wanted, facts in (
            ([], {}),
            (["default"], {}),
            (["limited"], {"firewall": "limited"}),
            ([netview.group_id(MINE, "limited"), "limited"], {"firewall": "limited"}),
            (["unprotected", "limited"], {"firewall": "limited+unprotected", "groups": "unprotected,limited"}),
        ):
            assert securitygroups.chosen(connection, wanted, MINE) == facts
        for refused, word in (
            ("web", "web"),
            ("protected", "not found"),
            (netview.group_id(FOREIGN, "ssh"), "not found"),
        ):
            with pytest.raises(BadRequest, match=word):
                securitygroups.chosen(connection, [refused], MINE)
