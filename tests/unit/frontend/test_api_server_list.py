"""Whose servers a list shows, in which order, and by which filters."""

from __future__ import annotations

import itertools

import pytest

from tests.unit.frontend.admins import administrator
from tests.unit.frontend.conftest import COMPUTE, FOREIGN, MINE, Api
from tests.unit.frontend.test_api_servers import follow, names

SERVERS = f"{COMPUTE}/servers"


def labelled(api: Api, query: str, version: str = "2.26") -> list[str]:
    answer = api.get(f"{SERVERS}{query}", headers={"OpenStack-API-Version": f"compute {version}"})
    return sorted(each["name"] for each in answer.json["servers"])  # type: ignore[index]


def test_an_administrator_sees_all_if_he_asks(api: Api, nobody: Api) -> None:
    api.server(host="n1")
    theirs = api.server(project_id=FOREIGN, host="n2")["id"]
    api.server(deleted=5.0, updated=5.0)
    admin = administrator(nobody)
    assert names(admin) == ["web-0"]
    assert names(admin, f"?project_id={FOREIGN}") == ["web-0"]
    assert names(admin, "?all_tenants=1") == names(admin, "?all_tenants") == ["web-1", "web-0"]
    assert names(admin, f"?all_tenants=True&project_id={FOREIGN}") == ["web-1"]
    assert names(admin, f"?all_tenants=True&tenant_id={MINE}") == ["web-0"]
    assert names(admin, "?all_tenants=1&host=n2") == ["web-1"]
    assert names(admin, "?host=n2") == []
    assert names(admin, "?deleted=True") == names(admin, "?status=DELETED") == ["web-2"]
    assert names(admin, "?deleted=nonsense") == ["web-0"]
    assert names(admin, f"?all_tenants=1&marker={theirs}") == ["web-0"]
    assert admin.get(f"{SERVERS}?marker={theirs}").status_code == 400
    assert admin.get(f"{SERVERS}?all_tenants=perhaps").status_code == 400


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?all_tenants=1", "all projects"),
        ("?all_tenants", "all projects"),
        ("?status=DELETED", "Only administrators may list deleted instances"),
        ("?sort_key=host", "Only administrators can sort servers by host"),
    ],
)
def test_what_only_an_administrator_may_ask(api: Api, query: str, words: str) -> None:
    for path in (SERVERS, f"{SERVERS}/detail"):
        answer = api.get(path + query)
        assert answer.status_code == 403
        assert words in answer.json["forbidden"]["message"]  # type: ignore[index]


def test_what_others_ask_in_vain_is_ignored(api: Api) -> None:
    api.server(host="n1")
    api.server(deleted=5.0)
    query = f"?all_tenants=0&deleted=1&host=n9&project_id={FOREIGN}&key_name=x&description=y&soft_deleted=1&locked=1"
    assert names(api, query) == ["web-0"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?sort_key=display_name&sort_dir=asc", ["a", "b", "b", "c"]),
        ("?sort_key=display_name", ["c", "b", "b", "a"]),
        ("?sort_dir=asc", ["b", "a", "c", "b"]),
        ("?sort_key=created_at&sort_dir=desc", ["b", "c", "a", "b"]),
        ("?sort_key=vm_state&sort_key=display_name&sort_dir=asc", ["a", "c", "b", "b"]),
        ("?sort_key=vm_state&sort_key=display_name&sort_dir=asc&sort_dir=desc", ["c", "a", "b", "b"]),
        ("?sort_key=task_state&sort_key=uuid&sort_dir=asc", ["b", "a", "b", "c"]),
        ("?sort_key=key_name", ["b", "c", "a", "b"]),
    ],
)
def test_order(api: Api, query: str, expected: list[str]) -> None:
    for name, status, task in (("b", "SHUTOFF", None), ("a", "ACTIVE", None), ("c", "ACTIVE", "rebooting"),
                               ("b", "SHUTOFF", None)):  # fmt: skip
        api.server(name=name, status=status, task=task)
    assert names(api, query) == expected
    # And page by page each server comes once, in that order.
    assert list(itertools.chain(*follow(api, f"{SERVERS}/detail{query}&limit=1"))) == expected
    assert list(itertools.chain(*follow(api, f"{SERVERS}{query}&limit=3&name=."))) == expected


@pytest.mark.parametrize(
    "query", ["?sort_key=colour", "?sort_key=created_at&sort_dir=up", "?sort_dir=asc&sort_dir=asc", "?sort_key="]
)
def test_orders_that_there_are_not(api: Api, query: str) -> None:
    api.server()
    assert api.get(f"{SERVERS}{query}").status_code == 400


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?tags=red", ["both", "red"]),
        ("?tags=red,blue", ["both"]),
        ("?tags-any=red,blue", ["blue", "both", "red"]),
        ("?not-tags=red,blue", ["blue", "none", "red"]),
        ("?not-tags-any=red,blue", ["none"]),
        ("?tags=red&not-tags=blue", ["red"]),
        ("?tags=re", []),
    ],
)
def test_labels(api: Api, query: str, expected: list[str]) -> None:
    for name, said in (
        ("none", {}),
        ("red", {"label": "red"}),
        ("blue", {"label": "blue"}),
        ("both", {"label": "blue,red"}),
    ):
        api.server(name=name, facts=said)
    assert labelled(api, query) == expected
    assert labelled(api, query, "2.25") == ["blue", "both", "none", "red"]


def test_a_reservation_and_what_administrators_look_for(api: Api, nobody: Api) -> None:
    api.server(name="one", facts={"reservation": "r-1", "key": "laptop", "ip4": "192.0.2.1"}, task="rebooting")
    api.server(name="two", facts={"description": "mine"})
    assert names(api, "?reservation_id=r-1") == ["one"]
    assert names(api, "?reservation_id=r-2") == []
    admin = administrator(nobody)
    for query in ("key_name=laptop", "access_ip_v4=192.0.2.1", "task_state=rebooting"):
        assert names(admin, f"?{query}") == ["one"]
        assert names(api, f"?{query}") == ["two", "one"]
    assert names(admin, "?description=mine") == ["two"]
