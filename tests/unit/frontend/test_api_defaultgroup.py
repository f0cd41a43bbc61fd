"""The project's group `default`: what networks and nodes mean by it, until the tenant changes it the first time."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from frontend.database import db
from frontend.network import netview
from frontend.settings import Firewall, Front, Settings
from ganeti_ext import groups, tags
from ganeti_ext.errors import RapiUnavailable
from tests.unit.frontend.conftest import COMPUTE, FOREIGN, IMAGE, MINE, NET, SMALL, Api, FakeRapi, serve
from tests.unit.frontend.test_api_owngroups import GROUPS, OLD_RULES, RULES, SSH, act, facts, group, rule, server

DEFAULT = netview.default_group_id(MINE)
KEY = f"@{DEFAULT[:8]}"


def default(api: Api) -> dict[str, Any]:
    (found,) = api.get(f"{GROUPS}?name=default").json["security_groups"]  # type: ignore[index]
    assert found["id"] == DEFAULT
    return found  # type: ignore[no-any-return]


def said(shown: dict[str, Any]) -> set[tuple[str, str, str | None, str | None]]:
    keys = ("direction", "ethertype", "protocol", "remote_group_id")
    return {tuple(each[key] for key in keys) for each in shown["security_group_rules"]}


def in_ganeti(api: Api) -> groups.Group | None:
    """What the tags say that were written."""
    written = [
        tag for method, path, _, query in api.rapi.calls if (method, path) == ("PUT", "tags") for tag in query["tag"]
    ]
    return groups.read(written)[DEFAULT[:8]].group


ANY = {("ingress", family, None, None) for family in ("IPv4", "IPv6")}
SENT = {("egress", family, None, None) for family in ("IPv4", "IPv6")}


def test_a_rule_that_is_added_makes_it_the_projects_own(api: Api) -> None:
    before = default(api)
    assert said(before) == ANY | SENT
    row, grouped = server(api), server(api, group(api)["id"])
    made = rule(api, DEFAULT, **SSH)
    after = default(api)
    assert said(after) == ANY | SENT | {("ingress", "IPv4", "tcp", None)}
    assert {each["id"] for each in after["security_group_rules"]} == {
        made["id"],
        *(each["id"] for each in before["security_group_rules"]),
    }
    assert [each["name"] for each in api.get(GROUPS).json["security_groups"]].count("default") == 1  # type: ignore[index]
    kept = in_ganeti(api)
    assert kept is not None
    assert (kept.ident, kept.name, len(kept.rules)) == (DEFAULT, "default", 5)
    assert facts(api, row) == {"firewall": KEY, "groups": DEFAULT}
    assert "firewall" in facts(api, grouped)
    assert facts(api, grouped)["firewall"] != KEY
    assert api.get(f"{COMPUTE}/servers/{row['id']}").json["server"]["security_groups"] == [{"name": "default"}]  # type: ignore[index]


def test_what_comes_of_itself_can_be_taken_away(api: Api) -> None:
    """As one does: anybody no more, the group's own members instead."""
    row = server(api)
    for each in default(api)["security_group_rules"]:
        if each["direction"] == "ingress":
            assert api.call("DELETE", f"{RULES}/{each['id']}").status_code == 204
    rule(api, DEFAULT, remote_group_id=DEFAULT)
    assert said(default(api)) == SENT | {("ingress", "IPv4", None, DEFAULT)}
    assert facts(api, row)["firewall"] == KEY
    sent = next(each for each in default(api)["security_group_rules"] if each["direction"] == "egress")
    assert api.call("DELETE", f"{RULES}/{sent['id']}").status_code == 409, "all may be sent"
    assert api.call("DELETE", f"{RULES}/never").status_code == 404


def test_a_rule_for_its_members_makes_it_known(api: Api) -> None:
    """In another group: nodes have to know who they are, and nothing else changes."""
    row, web = server(api), group(api)["id"]
    rule(api, web, remote_group_id=DEFAULT)
    assert said(default(api)) == ANY | SENT
    assert in_ganeti(api) is not None
    assert facts(api, row) == {"firewall": KEY, "groups": DEFAULT}
    act(api, row, "add", "web")
    assert facts(api, row)["firewall"] == "+".join(sorted((KEY, f"@{web[:8]}")))


def test_what_is_not_changed_is_as_it_was(api: Api) -> None:
    row = server(api)
    rule(api, group(api)["id"], **SSH)
    rule(api, DEFAULT, 404, remote_group_id="never")
    rule(api, DEFAULT, 400, protocol="bad")
    rule(api, DEFAULT, 409, direction="egress")
    assert facts(api, row) == {}
    assert in_default(api) == []


def in_default(api: Api) -> list[Any]:
    with api.engine.connect() as connection:
        return db.rows(connection, db.security_group.select().where(db.security_group.c.id == DEFAULT))


@pytest.mark.parametrize(
    "words", [{}, {"security_groups": [{"name": "default"}]}, {"security_groups": [{"name": DEFAULT}]}]
)
def test_new_servers_are_in_it(api: Api, words: dict[str, Any]) -> None:
    rule(api, DEFAULT, **SSH)
    api.rapi.calls.clear()
    new = {"name": "x", "flavorRef": SMALL, "imageRef": IMAGE, "networks": [{"uuid": NET}], **words}
    answer = api.call("POST", f"{COMPUTE}/servers", json={"server": new})
    assert answer.status_code == 202, answer.text
    (body,) = [call[2] for call in api.rapi.calls]
    made = tags.decode(body["tags"])
    assert (made["firewall"], made["groups"]) == (KEY, DEFAULT)
    rule(api, DEFAULT, protocol="udp")


def test_while_a_server_is_being_made_it_stays_as_it_is(api: Api) -> None:
    """Its tags are the old ones, and nobody could change them."""
    row = server(api)
    api.change(row["id"], status="BUILD")
    assert "is being built" in rule(api, DEFAULT, 409, **SSH)["words"]
    assert in_default(api) == []
    api.change(row["id"], status="ACTIVE")
    reserve = {"id": "0eeeeeee-0000-4000-8000-000000000000", "project_id": MINE, "due": 9e9, "ports": 1, "addresses": 0}
    with api.engine.begin() as connection:
        connection.execute(insert(db.reservation).values(reserve))
    assert reserve["id"] in rule(api, DEFAULT, 409, **SSH)["words"]
    with api.engine.begin() as connection:
        connection.execute(delete(db.reservation))
    rule(api, DEFAULT, **SSH)


def test_a_create_that_read_the_old_one_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from frontend.network import securitygroups  # noqa: PLC0415 (what is patched)

    rule(api, DEFAULT, **SSH)
    api.rapi.calls.clear()
    first_and_then = [lambda *_: {}, securitygroups.chosen]

    def chosen(*asked: Any) -> Any:
        return first_and_then.pop(0)(*asked)

    monkeypatch.setattr(securitygroups, "chosen", chosen)
    new = {"name": "x", "flavorRef": SMALL, "imageRef": IMAGE, "networks": [{"uuid": NET}]}
    answer = api.call("POST", f"{COMPUTE}/servers", json={"server": new})
    assert (answer.status_code, "try again" in answer.text, api.rapi.calls) == (409, True, [])


def test_a_server_leaves_it_and_comes_back(api: Api) -> None:
    row, other = server(api), server(api, "default", group(api)["id"])
    rule(api, DEFAULT, **SSH)
    assert facts(api, other)["groups"].split(",")[0] == DEFAULT
    act(api, other, "remove", "web")
    assert facts(api, other) == {"firewall": KEY, "groups": DEFAULT}
    act(api, row, "add", "default")
    assert facts(api, row) == {"firewall": KEY, "groups": DEFAULT}
    act(api, row, "remove", "default")
    assert facts(api, row) == {"firewall": "protected"}
    act(api, row, "remove", DEFAULT, 404)
    act(api, row, "add", DEFAULT)
    assert facts(api, row) == {"firewall": KEY, "groups": DEFAULT}


def test_what_ganeti_does_not_take_does_not_hold(api: Api) -> None:
    row = server(api)
    api.rapi.fails = RapiUnavailable("away")
    rule(api, DEFAULT, 503, **SSH)
    api.rapi.fails = None
    assert (in_default(api), facts(api, row), said(default(api))) == ([], {}, ANY | SENT)
    web = group(api)["id"]
    api.rapi.fails = RapiUnavailable("away")
    rule(api, web, 503, remote_group_id=DEFAULT)
    assert in_default(api) == []
    assert len(api.get(f"{GROUPS}/{web}").json["security_group"]["security_group_rules"]) == 2  # type: ignore[index]


def test_its_name_stays_and_so_does_it(api: Api) -> None:
    url = f"{GROUPS}/{DEFAULT}"
    for _ in range(2):
        assert api.call("PUT", url, json={"security_group": {"name": "other"}}).status_code == 409
        assert api.call("DELETE", url).status_code == 409
        answer = api.call("PUT", url, json={"security_group": {"name": "default", "description": "ours"}})
        assert (answer.status_code, default(api)["description"], said(default(api))) == (200, "ours", ANY | SENT)


def test_compute_changes_it_too(api: Api) -> None:
    row = server(api)
    sent = {"parent_group_id": DEFAULT, "ip_protocol": "tcp", "from_port": 22, "to_port": 22, "group_id": DEFAULT}
    answer = api.call("POST", OLD_RULES, json={"security_group_rule": sent})
    assert answer.status_code == 200, answer.text
    assert answer.json["security_group_rule"]["group"] == {"tenant_id": MINE, "name": "default"}  # type: ignore[index]
    assert facts(api, row)["firewall"] == KEY


def test_where_it_is_the_administrators_to_say(api: Api, front: Front, rapi: FakeRapi) -> None:
    """Of a profile of his own the rules are not known here; and networks that have one may differ from each other."""
    own = serve(front, rapi, Settings(front=front, firewall=Firewall(default="shop"))).become("alice")
    assert "administrator's firewall profile shop" in rule(own, DEFAULT, 403, **SSH)["words"]
    with api.engine.begin() as connection:
        connection.execute(update(db.network).values(tags=["ganeti-ext:firewall:limited"]))
    assert "has a firewall profile" in rule(api, DEFAULT, 403, **SSH)["words"]
    rule(api, group(api)["id"], 403, remote_group_id=DEFAULT)
    assert in_default(api) == []


def test_others_have_their_own(api: Api, nobody: Api) -> None:
    bob = nobody.become("bob", "foreign")
    theirs = bob.server(project_id=FOREIGN)
    rule(api, DEFAULT, **SSH)
    assert facts(bob, theirs) == {}
    rule(bob, DEFAULT, 404, **SSH)
    (shown,) = bob.get(f"{GROUPS}?name=default").json["security_groups"]  # type: ignore[index]
    assert said(shown) == ANY | SENT
