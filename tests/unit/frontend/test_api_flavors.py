"""Flavors: what a tenant sees of them, and what an administrator changes."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, select, update

from frontend.database import db
from tests.unit.frontend.admins import administrator
from tests.unit.frontend.conftest import COMPUTE, FOREIGN, HUGE, IMAGE, MINE, NET, SMALL, TINY, Api

FLAVORS = f"{COMPUTE}/flavors"


@pytest.fixture
def adam(nobody: Api) -> Api:
    return administrator(nobody)


def names(api: Api, query: str = "") -> list[str]:
    answer = api.get(FLAVORS + query)
    assert answer.status_code == 200, answer.text
    return [each["name"] for each in answer.json["flavors"]]  # type: ignore[index]


def hide(api: Api, *, but: str | None = None) -> None:
    """Make flavor `huge` one that is not public."""
    with api.engine.begin() as connection:
        connection.execute(update(db.flavor).where(db.flavor.c.id == HUGE).values(public=False))
        if but:
            connection.execute(insert(db.flavor_access).values(flavor_id=HUGE, project_id=but))


def act(api: Api, flavor: str, name: str, project: str, expect: int = 200) -> Any:
    answer = api.call("POST", f"{FLAVORS}/{flavor}/action", json={name: {"tenant": project}})
    assert answer.status_code == expect, answer.text
    return answer.json


def test_a_flavor_that_is_not_public_is_not_there_for_others(nobody: Api, adam: Api) -> None:
    alice, bob = nobody.become("alice"), nobody.become("bob", "foreign")
    hide(nobody, but=FOREIGN)
    assert names(alice) == ["tiny", "small"]
    assert names(alice, "?is_public=None") == ["tiny", "small"]
    assert names(alice, "?is_public=False") == []
    assert alice.get(f"{FLAVORS}/{HUGE}").text == alice.get(f"{FLAVORS}/{HUGE}-never").text.replace("-never", "")
    assert alice.get(f"{FLAVORS}/{HUGE}/os-extra_specs").status_code == 404
    server = {"name": "x", "flavorRef": HUGE, "imageRef": IMAGE, "networks": [{"uuid": NET}]}
    assert alice.call("POST", f"{COMPUTE}/servers", json={"server": server}).status_code == 400
    assert names(bob) == ["tiny", "huge", "small"]
    assert names(bob, "?is_public=false") == ["huge"]
    assert bob.get(f"{FLAVORS}/{HUGE}").json["flavor"]["os-flavor-access:is_public"] is False  # type: ignore[index]
    assert names(adam) == ["tiny", "small"]
    assert names(adam, "?is_public=0") == ["huge"]
    assert names(adam, "?is_public=None") == ["tiny", "huge", "small"]
    assert adam.get(f"{FLAVORS}/{HUGE}").status_code == 200


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?sort_key=name", ["huge", "small", "tiny"]),
        ("?sort_key=name&sort_dir=desc", ["tiny", "small", "huge"]),
        ("?sort_key=vcpus&sort_dir=desc", ["huge", "tiny", "small"]),
        ("?sort_key=flavorid", ["huge", "small", "tiny"]),
        ("?sort_dir=desc", ["small", "huge", "tiny"]),
        ("?sort_key=memory_mb&marker=f-tiny", ["huge", "small"]),
        ("?minRam=512&sort_key=root_gb&limit=1", ["huge"]),
    ],
)
def test_the_order(api: Api, query: str, expected: list[str]) -> None:
    assert names(api, query) == expected


@pytest.mark.parametrize("query", ["sort_key=password", "sort_dir=up", "is_public=maybe", "limit=-1", "minDisk=x"])
def test_what_cannot_be_asked(api: Api, query: str) -> None:
    assert api.get(f"{FLAVORS}?{query}").status_code == 400


def test_one_is_made_and_deleted(adam: Api, api: Api) -> None:
    sent = {"name": "large", "vcpus": 4, "ram": "4096", "disk": 20, "id": "auto", "swap": 0, "rxtx_factor": 1.0}
    answer = adam.call("POST", FLAVORS, json={"flavor": sent})
    assert answer.status_code == 200, answer.text
    flavor = answer.json["flavor"]  # type: ignore[index]
    assert (flavor["vcpus"], flavor["ram"], flavor["disk"], flavor["swap"]) == (4, 4096, 20, "")
    assert flavor["os-flavor-access:is_public"] is True
    assert api.get(f"{FLAVORS}/{flavor['id']}").json == {"flavor": flavor}
    assert adam.call("DELETE", f"{FLAVORS}/{flavor['id']}").status_code == 202
    assert api.get(f"{FLAVORS}/{flavor['id']}").status_code == 404
    assert adam.call("DELETE", f"{FLAVORS}/{flavor['id']}").status_code == 404


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"name": "small"}, 409),
        ({"id": SMALL}, 409),
        ({"name": None}, 400),
        ({"vcpus": 0}, 400),
        ({"vcpus": True}, 400),
        ({"ram": "many"}, 400),
        ({"ram": 2**31}, 400),
        ({"disk": -1}, 400),
        ({"disk": 1.5}, 400),
        ({"swap": 512}, 400),
        ({"OS-FLV-EXT-DATA:ephemeral": 1}, 400),
        ({"id": "a/b"}, 400),
        ({"id": "i" * 37}, 400),
        ({"os-flavor-access:is_public": "maybe"}, 400),
        ({"id": 77}, 200),
        ({"id": "", "os-flavor-access:is_public": "False"}, 200),
    ],
)
def test_what_a_new_one_may_be(adam: Api, changes: dict[str, Any], status: int) -> None:
    before = names(adam, "?is_public=None")
    sent = {"name": "new", "vcpus": 1, "ram": 512, "disk": 0, **changes}
    assert adam.call("POST", FLAVORS, json={"flavor": sent}).status_code == status
    assert len(names(adam, "?is_public=None")) == len(before) + (status == 200)


def test_projects_are_given_access(adam: Api, nobody: Api) -> None:
    hide(nobody)
    bob = nobody.become("bob", "foreign")
    access = f"{FLAVORS}/{HUGE}/os-flavor-access"
    assert adam.get(access).json == {"flavor_access": []}
    given = {"flavor_access": [{"flavor_id": HUGE, "tenant_id": FOREIGN}]}
    assert act(adam, HUGE, "addTenantAccess", FOREIGN) == given
    assert adam.get(access).json == given
    act(adam, HUGE, "addTenantAccess", FOREIGN, 409)
    act(adam, HUGE, "addTenantAccess", "never", 400)
    act(adam, HUGE, "shareWithAll", FOREIGN, 400)
    assert "huge" in names(bob)
    assert act(adam, HUGE, "removeTenantAccess", FOREIGN) == {"flavor_access": []}
    act(adam, HUGE, "removeTenantAccess", FOREIGN, 404)
    assert "huge" not in names(bob)
    act(adam, SMALL, "addTenantAccess", MINE, 409)
    act(adam, "f-never", "addTenantAccess", MINE, 404)
    assert adam.get(f"{FLAVORS}/{SMALL}/os-flavor-access").status_code == 404


def test_access_goes_with_the_flavor(adam: Api) -> None:
    hide(adam, but=FOREIGN)
    assert adam.call("DELETE", f"{FLAVORS}/{HUGE}").status_code == 202
    with adam.engine.connect() as connection:
        assert db.rows(connection, select(db.flavor_access)) == []


def test_extra_specs(adam: Api, api: Api) -> None:
    specs = f"{FLAVORS}/{TINY}/os-extra_specs"
    both = {"quota:disk": "100", "site hint": "north"}
    sent = {"quota:disk": 100, "site hint": "north"}
    assert adam.call("POST", specs, json={"extra_specs": sent}).json == {"extra_specs": both}
    assert adam.call("POST", specs, json={"extra_specs": {"more": "x"}}).json == {"extra_specs": {"more": "x"}}
    assert api.get(specs).json == {"extra_specs": {**both, "more": "x"}}
    assert adam.call("PUT", f"{specs}/more", json={"more": "y"}).json == {"more": "y"}
    assert api.get(f"{specs}/more").json == {"more": "y"}
    assert adam.call("DELETE", f"{specs}/more").status_code == 200
    assert api.get(f"{specs}/more").status_code == 404
    assert adam.call("DELETE", f"{specs}/more").status_code == 404
    assert api.get(specs).json == {"extra_specs": both}
    assert api.get(f"{FLAVORS}/{SMALL}/os-extra_specs").json == {"extra_specs": {}}


@pytest.mark.parametrize(
    "sent", [{"a/b": "x"}, {"": "x"}, {"a": None}, {"a": True}, {"a": {}}, {"a": "x" * 256}, {"a": "x\ny"}, None]
)
def test_what_an_extra_spec_may_be(adam: Api, api: Api, sent: Any) -> None:
    specs = f"{FLAVORS}/{TINY}/os-extra_specs"
    assert adam.call("POST", specs, json={"extra_specs": sent}).status_code == 400
    assert adam.call("PUT", f"{specs}/good", json={"other": "x"}).status_code == 400
    assert adam.call("POST", f"{FLAVORS}/f-never/os-extra_specs", json={"extra_specs": {"a": "b"}}).status_code == 404
    assert api.get(specs).json == {"extra_specs": {}}
