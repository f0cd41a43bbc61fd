"""Security groups that tenants make: what they may say, and for whom."""

from __future__ import annotations

from typing import Any

import pytest

from frontend.network import netview
from frontend.settings import Front, Quota, Settings
from ganeti_ext import groups, tags
from tests.unit.frontend.conftest import COMPUTE, IMAGE, MINE, NET, SMALL, Api, FakeRapi, serve

GROUPS, RULES = "/network/v2.0/security-groups", "/network/v2.0/security-group-rules"
OLD, OLD_RULES = f"{COMPUTE}/os-security-groups", f"{COMPUTE}/os-security-group-rules"
SSH: dict[str, Any] = {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}
LOGIN: tuple[dict[str, Any], ...] = (SSH, {"protocol": "icmp"}, {"protocol": "icmp", "ethertype": "IPv6"})


def group(api: Api, name: str = "web", expect: int = 201, **more: Any) -> dict[str, Any]:
    answer = api.call("POST", GROUPS, json={"security_group": {"name": name, **more}})
    assert answer.status_code == expect, answer.text
    found: dict[str, Any] = answer.json.get("security_group", {})  # type: ignore[union-attr]
    return found


def rule(api: Api, ident: str, expect: int = 201, **wanted: Any) -> dict[str, Any]:
    sent = {"security_group_id": ident, "direction": "ingress", **wanted}
    answer = api.call("POST", RULES, json={"security_group_rule": sent})
    assert answer.status_code == expect, answer.text
    found: dict[str, Any] = answer.json.get("security_group_rule", {"words": answer.text})  # type: ignore[union-attr]
    return found


def server(api: Api, *groups: str) -> dict[str, Any]:
    """A server's row in groups as a create makes it, and its instance's tags beside it."""
    said = {"firewall": "protected", "groups": ",".join(groups)} if groups else {}
    row = api.server(facts=said)
    api.rapi.tags[row["instance"]] = tags.encode({"project": MINE, **said})
    return row


def facts(api: Api, row: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = api.row(row["id"])["facts"]
    return found


def act(api: Api, row: dict[str, Any], verb: str, name: str, expect: int = 202) -> None:
    answer = api.call("POST", f"{COMPUTE}/servers/{row['id']}/action", json={f"{verb}SecurityGroup": {"name": name}})
    assert answer.status_code == expect, answer.text


def test_one_is_made_changed_and_deleted(api: Api) -> None:
    made = group(api, " web ", description="of the shop")
    assert (made["name"], made["description"], made["project_id"]) == (" web ", "of the shop", MINE)
    sent = [(each["direction"], each["ethertype"], each["protocol"]) for each in made["security_group_rules"]]
    assert sent == [("egress", "IPv4", None), ("egress", "IPv6", None)]
    assert len({each["id"] for each in made["security_group_rules"]}) == 2
    assert api.get(f"{GROUPS}/{made['id']}").json == {"security_group": made}
    assert api.get(f"{GROUPS}?name= web ").json == {"security_groups": [made]}
    assert [each["name"] for each in api.get(GROUPS).json["security_groups"]][-1] == " web "  # type: ignore[index]
    new = api.call("PUT", f"{GROUPS}/{made['id']}", json={"security_group": {"name": "shop"}}).json
    assert new is not None
    assert (new["security_group"]["name"], new["security_group"]["description"]) == ("shop", "of the shop")
    assert api.call("DELETE", f"{GROUPS}/{made['id']}").status_code == 204
    assert api.get(f"{GROUPS}/{made['id']}").status_code == 404
    assert made["id"] not in api.get(RULES).text
    assert api.call("DELETE", f"{GROUPS}/{made['id']}").status_code == 404


def test_rules_are_made_shown_and_deleted(api: Api) -> None:
    ident = group(api)["id"]
    made = rule(api, ident, **SSH, remote_ip_prefix="10.2.3.124/24", description="us")
    keys = ("direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "description")
    assert tuple(made[key] for key in keys) == ("ingress", "IPv4", "tcp", 22, 22, "10.2.3.124/24", "us")
    assert api.get(f"{RULES}/{made['id']}").json == {"security_group_rule": made}
    assert made in api.get(f"{GROUPS}/{ident}").json["security_group"]["security_group_rules"]  # type: ignore[index]
    assert int(rule(api, ident, protocol=17)["protocol"]) == 17
    bulk = [{"security_group_id": ident, "direction": "ingress", "protocol": name} for name in ("tcp", "sctp")]
    answer = api.call("POST", RULES, json={"security_group_rules": bulk})
    assert (answer.status_code, len(answer.json["security_group_rules"])) == (201, 2)  # type: ignore[index]
    assert api.call("DELETE", f"{RULES}/{made['id']}").status_code == 204
    assert (
        api.get(f"{RULES}/{made['id']}").status_code == api.call("DELETE", f"{RULES}/{made['id']}").status_code == 404
    )


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        ({"protocol": "bad"}, "not supported"),
        ({"protocol": 256}, "not supported"),
        ({"direction": "up"}, "direction"),
        ({"ethertype": "IPv5"}, "ethertype"),
        ({"protocol": "tcp", "port_range_min": -16, "port_range_max": 80}, "Invalid value for port -16"),
        ({"protocol": "tcp", "port_range_min": 80, "port_range_max": 79}, "port_range_min must be <= port_range_max"),
        ({"protocol": "tcp", "port_range_min": 80, "port_range_max": 65536}, "Invalid value for port 65536"),
        ({"protocol": "tcp", "port_range_max": 6}, "port_range_min must be <= port_range_max"),
        ({"protocol": "icmp", "port_range_min": 1, "port_range_max": 256}, "Invalid value for ICMP code"),
        ({"protocol": "icmp", "port_range_max": 6}, "ICMP type (port-range-min) is missing"),
        ({"protocol": "icmp", "port_range_min": 300}, "Invalid value for ICMP type"),
        ({"protocol": "gre", "port_range_min": 1, "port_range_max": 2}, "Ports"),
        ({"port_range_min": 1, "port_range_max": 2}, "Ports"),
        ({"remote_ip_prefix": "192.168.1./24"}, "no network"),
        ({"remote_ip_prefix": "192.168.1.1/33"}, "no network"),
        ({"remote_ip_prefix": "256"}, "no network"),
        ({"remote_ip_prefix": "fd00::/64"}, "Conflicting value ethertype"),
        ({"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": "x"}, "Only remote_ip_prefix or remote_group_id"),
    ],
)
def test_what_a_rule_may_be(api: Api, wanted: dict[str, Any], word: str) -> None:
    ident = group(api)["id"]
    assert word in rule(api, ident, 400, **wanted)["words"].replace("\\u003c", "<")
    assert len(api.get(f"{GROUPS}/{ident}").json["security_group"]["security_group_rules"]) == 2  # type: ignore[index]


def test_what_is_there_already(api: Api) -> None:
    ident = group(api)["id"]
    rule(api, ident, **SSH)
    for again in (SSH, {**SSH, "protocol": "6"}, {**SSH, "remote_ip_prefix": "0.0.0.0/0"}):
        assert "Security group rule already exists" in rule(api, ident, 409, **again)["words"]
    rule(api, ident, 409, direction="egress")
    rule(api, ident, 404, remote_group_id="never")
    rule(api, "never", 404)
    rule(api, netview.group_id(MINE, "limited"), 403)
    group(api, "default", 409)
    group(api, "limited", 409)
    group(api, "", 400)
    assert api.call("PUT", f"{GROUPS}/{ident}", json={"security_group": {"name": "default"}}).status_code == 409
    for name, status in (("default", 409), ("limited", 403)):
        assert api.call("DELETE", f"{GROUPS}/{netview.group_id(MINE, name)}").status_code == status


def test_its_servers_are_tagged_with_it(api: Api) -> None:
    ident = group(api)["id"]
    for wanted in LOGIN:
        for direction in ("ingress", "egress"):
            rule(api, ident, **{**wanted, "direction": direction})
    row = server(api)
    act(api, row, "remove", "default")
    act(api, row, "add", "web")
    assert facts(api, row) == {"firewall": f"@{ident[:8]}", "groups": ident}
    assert f"ganeti-ext:firewall:@{ident[:8]}" in api.rapi.calls[-2][3]["tag"]
    shown = api.get(f"{COMPUTE}/servers/{row['id']}").json["server"]  # type: ignore[index]
    assert shown["security_groups"] == [{"name": "web"}]
    (port,) = api.get(f"/network/v2.0/ports?device_id={row['id']}").json["ports"]  # type: ignore[index]
    assert port["security_groups"] == [ident]
    (listed,) = api.get(f"{COMPUTE}/servers/{row['id']}/os-security-groups").json["security_groups"]  # type: ignore[index]
    assert listed["id"] == ident
    act(api, row, "remove", ident)
    assert facts(api, row) == {"firewall": "protected"}
    assert "security_groups" not in api.get(f"{COMPUTE}/servers/{row['id']}").json["server"]  # type: ignore[index]


def test_a_new_server_is_in_it(api: Api) -> None:
    ident = group(api)["id"]
    api.rapi.calls.clear()
    new = {
        "name": "x",
        "flavorRef": SMALL,
        "imageRef": IMAGE,
        "networks": [{"uuid": NET}],
        "security_groups": [{"name": "web"}, {"name": "ssh"}],
    }
    answer = api.call("POST", f"{COMPUTE}/servers", json={"server": new})
    assert answer.status_code == 202, answer.text
    (body,) = [call[2] for call in api.rapi.calls]
    said = tags.decode(body["tags"])
    assert (said["firewall"], said["groups"]) == (f"@{ident[:8]}+ssh", f"{ident},ssh")
    shown = api.get(f"{COMPUTE}/servers/detail").json["servers"][0]["security_groups"]  # type: ignore[index]
    assert shown == [{"name": "web"}, {"name": "ssh"}]
    rule(api, group(api, "odd")["id"], protocol="dccp", port_range_min=1, port_range_max=2)
    new["security_groups"] = [{"name": "odd"}]
    api.rapi.calls.clear()
    answer = api.call("POST", f"{COMPUTE}/servers", json={"server": new})
    assert (answer.status_code, "not of dccp" in answer.text, api.rapi.calls) == (409, True, [])


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        ({"remote_group_id": netview.group_id(MINE, "ssh")}, "the members of the project's own groups alone"),
        ({"protocol": "dccp", "port_range_min": 1, "port_range_max": 2}, "ports of sctp, tcp, udp, not of dccp"),
        ({"protocol": "udplite", "port_range_min": 1, "port_range_max": 2}, "not of udplite"),
        ({"protocol": "ah", "ethertype": "IPv6"}, "an extension header"),
        ({"protocol": "44", "ethertype": "IPv6"}, "an extension header"),
        ({"protocol": "icmpv6"}, "icmpv6 is not of IPv4"),
    ],
)
def test_what_no_node_can_keep_to_is_no_servers(api: Api, wanted: dict[str, Any], word: str) -> None:
    odd, used = group(api, "odd")["id"], group(api, "used")["id"]
    row, other = server(api), server(api, used)
    before = facts(api, row)
    rule(api, odd, **wanted)
    act(api, row, "add", "odd", 409)
    assert facts(api, row) == before
    assert word in rule(api, used, 409, **wanted)["words"]
    assert len(api.get(f"{GROUPS}/{used}").json["security_group"]["security_group_rules"]) == 2  # type: ignore[index]
    assert facts(api, other)["groups"] == used


def test_the_members_of_a_group_may_come(api: Api) -> None:
    """Of its own, of another's; in Ganeti's tags, and as Compute tells of it."""
    web, db = group(api)["id"], group(api, "db")["id"]
    row = server(api, web)
    made = rule(api, web, remote_group_id=web, protocol="tcp")
    other = rule(api, db, remote_group_id=web, ethertype="IPv6")
    assert (made["remote_group_id"], made["remote_ip_prefix"]) == (web, None)
    written = [tag for verb, *_, query in api.rapi.calls if verb == "PUT" for tag in query["tag"]]
    assert groups.named(written) == {web[:8]}
    assert [each.group for each in groups.read(written)[web[:8]].group.rules] == [None, None, web]  # type: ignore[union-attr]
    act(api, row, "add", "db")
    assert facts(api, row)["firewall"] == "+".join(sorted((f"@{web[:8]}", f"@{db[:8]}")))
    assert "Security group rule already exists" in rule(api, web, 409, remote_group_id=web, protocol="tcp")["words"]
    (shown,) = api.get(f"{OLD}/{web}").json["security_group"]["rules"]  # type: ignore[index]
    assert (shown["group"], shown["ip_range"]) == ({"tenant_id": MINE, "name": "web"}, {})
    assert api.call("DELETE", f"{RULES}/{other['id']}").status_code == 204


def test_all_may_be_sent(api: Api) -> None:
    silent, used = group(api, "silent"), group(api, "used")
    for each in silent["security_group_rules"]:
        assert api.call("DELETE", f"{RULES}/{each['id']}").status_code == 204
    row = server(api, used["id"])
    act(api, row, "add", "silent")  # the other group's rules add up with its own
    act(api, row, "remove", "used", 409)
    answer = api.call("DELETE", f"{RULES}/{used['security_group_rules'][0]['id']}")
    assert (answer.status_code, "all egress of IPv4" in answer.text) == (409, True)


def test_a_server_has_room_for_some(api: Api) -> None:
    row = server(api)
    for name in ("limited", "ssh", "unprotected", *(group(api, f"g{number}")["id"] for number in range(7))):
        act(api, row, "add", name)
    act(api, row, "add", group(api, "eighth")["id"], 409)
    assert len(f"ganeti-ext:firewall:{facts(api, row)['firewall']}") <= 128


def test_what_names_a_profile_names_the_group_from_now_on(api: Api) -> None:
    """A server of an older release's."""
    ident = group(api)["id"]
    row = server(api, ident)
    rule(api, ident, **SSH)
    assert facts(api, row)["firewall"] == f"@{ident[:8]}"


def test_a_group_in_use_stays(api: Api) -> None:
    ident = group(api)["id"]
    row = server(api, "default", ident)
    assert api.call("DELETE", f"{GROUPS}/{ident}").status_code == 409
    assert api.call("DELETE", f"{OLD}/{ident}").status_code == 400
    api.change(row["id"], deleted=1.0)
    assert api.call("DELETE", f"{OLD}/{ident}").status_code == 202


def test_compute_makes_them_too(api: Api) -> None:
    answer = api.call("POST", OLD, json={"security_group": {"name": "old", "description": "d"}})
    made = answer.json["security_group"]  # type: ignore[index]
    assert (answer.status_code, made["rules"]) == (200, [])
    assert set(made) == {"id", "name", "description", "tenant_id", "rules"}
    assert api.get(f"{OLD}/{made['id']}").json == {"security_group": made}
    sent = {"parent_group_id": made["id"], "ip_protocol": "tcp", "from_port": 22, "to_port": 22}
    answer = api.call("POST", OLD_RULES, json={"security_group_rule": sent})
    new = answer.json["security_group_rule"]  # type: ignore[index]
    assert (answer.status_code, new) == (200, {**sent, "id": new["id"], "group": {}, "ip_range": {"cidr": "0.0.0.0/0"}})
    assert api.call("POST", OLD_RULES, json={"security_group_rule": sent}).status_code == 400
    ping = {**sent, "ip_protocol": "icmp", "from_port": -1, "to_port": -1, "cidr": "10.2.3.124/24"}
    answer = api.call("POST", OLD_RULES, json={"security_group_rule": ping})
    assert answer.json["security_group_rule"]["ip_range"] == {"cidr": "10.2.3.124/24"}  # type: ignore[index]
    named = {**sent, "group_id": group(api, "peer")["id"]}
    answer = api.call("POST", OLD_RULES, json={"security_group_rule": named})
    assert answer.json["security_group_rule"]["group"] == {"tenant_id": MINE, "name": "peer"}  # type: ignore[index]
    api.call("DELETE", f"{OLD}/{named['group_id']}")
    rules = api.get(f"{OLD}/{made['id']}").json["security_group"]["rules"]  # type: ignore[index]
    assert [each["ip_protocol"] for each in rules] == ["tcp", "icmp"]
    assert api.call("DELETE", f"{OLD_RULES}/{new['id']}").status_code == 202
    for parent, status in (("name", 400), (True, 400), (47498928, 404), ("0abcdef0-9999-4999-8999-999999999999", 404)):
        bad = {**sent, "parent_group_id": parent}
        assert api.call("POST", OLD_RULES, json={"security_group_rule": bad}).status_code == status
    changed = api.call("PUT", f"{OLD}/{made['id']}", json={"security_group": {"name": "new", "description": "e"}})
    assert changed.json["security_group"]["name"] == "new"  # type: ignore[index]


def test_others_groups_are_not_there(api: Api, nobody: Api) -> None:
    bob = nobody.become("bob", "foreign")
    made = group(bob, "theirs")
    one = made["security_group_rules"][0]["id"]
    assert "theirs" not in api.get(GROUPS).text + api.get(OLD).text
    for method, base, ident, sent in (
        ("GET", GROUPS, made["id"], None),
        ("PUT", GROUPS, made["id"], {"security_group": {"name": "x"}}),
        ("DELETE", GROUPS, made["id"], None),
        ("GET", OLD, made["id"], None),
        ("DELETE", OLD, made["id"], None),
        ("GET", RULES, one, None),
        ("DELETE", RULES, one, None),
    ):
        answer = api.call(method, f"{base}/{ident}", json=sent)
        assert answer.status_code == 404
        assert answer.text == api.call(method, f"{base}/never", json=sent).text.replace("never", ident)
    rule(api, made["id"], 404)
    rule(api, group(api)["id"], 404, remote_group_id=made["id"])
    act(api, server(api), "add", "theirs", 404)
    assert bob.get(f"{GROUPS}/{made['id']}").json == {"security_group": made}


def test_a_blank_id_names_nothing(api: Api) -> None:
    for url in (GROUPS, RULES, OLD, OLD_RULES):
        assert api.call("DELETE", f"{url}/").status_code == 404
        assert api.call("DELETE", url).status_code == 405


def test_there_are_quotas(front: Front, rapi: FakeRapi) -> None:
    quota = Quota(security_groups=1, security_group_rules=3)
    api = serve(front, rapi, Settings(front=front, quota=quota)).become("alice")
    ident = group(api)["id"]
    group(api, "more", 409)
    assert api.call("POST", OLD, json={"security_group": {"name": "more"}}).status_code == 403
    rule(api, ident, **SSH)
    assert "Quota" in rule(api, ident, 409, protocol="icmp")["words"]


def test_names_that_repeat_have_to_be_told_apart(api: Api) -> None:
    first, second = group(api)["id"], group(api)["id"]
    row = server(api)
    act(api, row, "add", "web", 400)
    act(api, row, "add", second)
    assert facts(api, row)["groups"] == f"default,{second}"
    assert first not in facts(api, row)["groups"]
