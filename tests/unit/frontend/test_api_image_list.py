"""Which images lists have, by filters and in which order; and whom images are shown to."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from frontend.settings import Front
from tests.unit.frontend.conftest import COMPUTE, FOREIGN, IMAGE, MINE, SECRET_IMAGE, SMALL, Api, FakeRapi
from tests.unit.frontend.images import IMAGES, Site, listed, make, patch, shown, site

__all__ = ["site"]

MEMBERS = f"{IMAGES}/{{}}/members"


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory, seeded: Path) -> Api:
    """Who has several images; none of the tests with it changes one."""
    folder = tmp_path_factory.mktemp("crowd")
    shutil.copy(seeded, folder / "front.db")
    site = Site(Front(database=f"sqlite:///{folder}/front.db", secret_file=f"{folder}/secret"), FakeRapi(), folder)
    three(site)
    return site.alice


def three(site: Site) -> None:
    for number, name in enumerate(("b", "a", "c")):
        site.put(name, name=f"n-{name}", size=100 * (number + 1), created=1000.0 + number, tags=["t", f"t{number}"],
                 properties={"os_distro": name}, protected=name == "a", min_ram=number, md5=name * 32)  # fmt: skip
    site.put("h", hidden=True)
    site.put("q", status="queued", disk_format="qcow2", size=0, created=999.0)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("visibility=shared", "cabq"),
        ("visibility=shared&os_hidden=True", "h"),
        ("os_hidden=true", "h"),
        ("name=n-a", "a"),
        ("name=in:n-a,n-b", "ab"),
        ("id=in:a,c", "ca"),
        ("id=a", "a"),
        ("status=queued", "q"),
        ("status=in:queued,saving", "q"),
        ("disk_format=qcow2", "q"),
        ("disk_format=raw&visibility=shared", "cab"),
        ("container_format=ova", ""),
        ("size=200", "a"),
        ("size_min=150&size_max=250", "a"),
        ("size_min=150&visibility=shared", "ca"),
        ("min_ram=1", "a"),
        ("protected=true&visibility=shared", "a"),
        ("tag=t", "cab"),
        ("tag=t&tag=t1", "a"),
        ("os_distro=c", "c"),
        ("never=c", ""),
        (f"checksum={'b' * 32}", "b"),
        ("created_at=1970-01-01T00:16:41Z", "a"),
        ("created_at=gte:1970-01-01T00:16:41Z&visibility=shared", "ca"),
        ("updated_at=lt:1970-01-01T00:16:41Z", "bq"),
        (f"owner={MINE}", "cabq"),
        (f"owner={FOREIGN}", ""),
        ("visibility=private", ""),
        ("tag=t&sort=size:desc", "cab"),
        ("tag=t&sort=size:asc", "bac"),
        ("tag=t&sort=name", "cba"),
        ("tag=t&sort_key=name&sort_dir=asc", "abc"),
        ("tag=t&sort_key=min_disk&sort_key=name&sort_dir=asc&sort_dir=desc", "cba"),
        ("tag=t&sort_dir=asc", "bac"),
        ("tag=t&limit=2", "ca"),
        ("tag=t&marker=a", "b"),
        ("limit=0", ""),
    ],
)
def test_the_list(crowd: Api, query: str, found: str) -> None:
    assert listed(crowd, query) == list(found)


@pytest.mark.parametrize(
    "query",
    [
        "visibility=none", "member_status=none", "size=x", "size_min=-1", "sort=never", "sort=name:up", "sort_dir=up",
        "sort=name&sort_key=name", "sort_key=name&sort_dir=asc&sort_dir=asc", "created_at=gt:yesterday",
        "protected=perhaps", "limit=x", "marker=never", f"marker={SECRET_IMAGE}",
    ],
)  # fmt: skip
def test_what_cannot_be_asked(crowd: Api, query: str) -> None:
    assert crowd.get(f"{IMAGES}?{query}").status_code == 400


def test_an_image_without_an_id_is_none(crowd: Api) -> None:
    for method in ("GET", "DELETE"):
        assert crowd.call(method, f"{IMAGES}/").status_code == 404


def share(site: Site, ident: str, member: str = FOREIGN) -> Any:
    return site.alice.call("POST", MEMBERS.format(ident), json={"member": member})


def say(api: Api, ident: str, status: str, member: str = FOREIGN) -> Any:
    return api.call("PUT", f"{MEMBERS.format(ident)}/{member}", json={"status": status})


def test_shared_accepted_and_rejected(site: Site) -> None:
    ident, bob = make(site.alice), site.bob
    assert bob.get(f"{IMAGES}/{ident}").status_code == 404
    answer = share(site, ident)
    assert answer.status_code == 200
    wanted = {"image_id": ident, "member_id": FOREIGN, "status": "pending", "schema": "/v2/schemas/member"}
    assert {key: answer.json[key] for key in wanted} == wanted
    assert share(site, ident).status_code == 409
    assert shown(bob, ident)["owner"] == MINE
    assert (ident in listed(bob), ident in listed(bob, "member_status=pending")) == (False, True)
    assert say(site.alice, ident, "accepted").status_code == 403
    assert say(bob, ident, "perhaps").status_code == 400
    assert say(bob, ident, "accepted").json["status"] == "accepted"
    assert ident in listed(bob)
    assert listed(bob, "visibility=shared") == [ident]
    assert listed(bob, "visibility=shared&member_status=rejected") == []
    assert ident in listed(bob, "member_status=all")
    members = site.alice.get(MEMBERS.format(ident)).json["members"]  # type: ignore[index]
    assert [(each["member_id"], each["status"]) for each in members] == [(FOREIGN, "accepted")]
    assert say(bob, ident, "rejected").status_code == 200
    assert ident not in listed(bob)
    assert site.alice.call("DELETE", f"{MEMBERS.format(ident)}/{FOREIGN}").status_code == 204
    assert site.alice.call("DELETE", f"{MEMBERS.format(ident)}/{FOREIGN}").status_code == 404
    assert bob.get(f"{IMAGES}/{ident}").status_code == 404


def test_a_member_uses_it_and_changes_nothing(site: Site) -> None:
    ident = site.put("1", size=5)
    body = {"server": {"name": "w", "imageRef": ident, "flavorRef": SMALL}}
    assert site.bob.call("POST", f"{COMPUTE}/servers", json=body).status_code == 400
    share(site, ident)
    share(site, ident, "third")
    assert site.bob.call("POST", f"{COMPUTE}/servers", json=body).status_code == 202
    assert patch(site.bob, ident, {"op": "replace", "path": "/name", "value": "x"}).status_code == 403
    assert site.bob.call("DELETE", f"{IMAGES}/{ident}").status_code == 403
    assert site.bob.call("POST", MEMBERS.format(ident), json={"member": "x"}).status_code == 403
    assert site.bob.call("DELETE", f"{MEMBERS.format(ident)}/{FOREIGN}").status_code == 403
    # Of the other members he knows nothing.
    assert "third" not in site.bob.get(MEMBERS.format(ident)).text
    assert site.bob.get(f"{MEMBERS.format(ident)}/third").status_code == 404
    assert say(site.bob, ident, "accepted", "third").status_code == 404


@pytest.mark.parametrize("visibility", ["private", "community", "public"])
def test_only_shared_images_have_members(site: Site, visibility: str) -> None:
    ident = site.put("1", visibility=visibility)
    assert share(site, ident).status_code == 403
    assert site.alice.get(MEMBERS.format(ident)).json["members"] == []  # type: ignore[index]
    assert say(site.bob, ident, "accepted").status_code == (404 if visibility == "private" else 403)


def test_private_again_it_is_hidden_from_members(site: Site) -> None:
    ident = make(site.alice)
    share(site, ident)
    say(site.bob, ident, "accepted")
    patch(site.alice, ident, {"op": "replace", "path": "/visibility", "value": "private"})
    assert site.bob.get(f"{IMAGES}/{ident}").status_code == 404
    assert ident not in listed(site.bob, "visibility=all&member_status=all")


def test_community_images_are_for_those_who_look(site: Site) -> None:
    ident = site.put("1", visibility="community")
    assert ident in listed(site.alice)
    assert ident not in listed(site.bob)
    for query in ("visibility=community", "visibility=all", f"owner={MINE}"):
        assert ident in listed(site.bob, query)
    assert shown(site.bob, ident)["visibility"] == "community"
    body = {"server": {"name": "w", "imageRef": ident, "flavorRef": SMALL}}
    assert site.bob.call("POST", f"{COMPUTE}/servers", json=body).status_code == 202
    assert IMAGE in listed(site.bob)


def test_there_is_a_limit_of_members(site: Site) -> None:
    ident = make(site.alice)
    for number in range(128):
        assert share(site, ident, f"p{number}").status_code == 200
    assert share(site, ident).status_code == 413
    for body in ({}, {"member": ""}, {"member": "x" * 37}, {"member": 5}):
        assert site.alice.call("POST", MEMBERS.format(ident), json=body).status_code == 400
