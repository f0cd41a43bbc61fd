"""What owners change of their images: patches, tags, deactivation."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.frontend.admins import administrator
from tests.unit.frontend.conftest import COMPUTE, FOREIGN, IMAGE, MINE, SECRET_IMAGE, SMALL
from tests.unit.frontend.images import DATA, IMAGES, Site, listed, make, patch, send, shown, site

__all__ = ["site"]


def test_a_patch(site: Site) -> None:
    ident = make(site.alice, os_distro="plan9", old="x")
    answer = patch(
        site.alice,
        ident,
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "add", "path": "/a~1b~0c", "value": "d"},
        {"op": "replace", "path": "/os_distro", "value": "debian"},
        {"op": "remove", "path": "/old"},
        {"op": "replace", "path": "/tags", "value": ["t2", "t1"]},
        {"op": "add", "path": "/min_ram", "value": 7},
        {"op": "replace", "path": "/protected", "value": True},
        {"op": "replace", "path": "/visibility", "value": "community"},
        {"op": "replace", "path": "/disk_format", "value": "vmdk"},
    )
    assert answer.status_code == 200, answer.text
    wanted = {
        "name": "new",
        "a/b~c": "d",
        "os_distro": "debian",
        "tags": ["t1", "t2"],
        "min_ram": 7,
        "protected": True,
        "visibility": "community",
        "disk_format": "vmdk",
    }
    for found in (answer.json, shown(site.alice, ident)):
        assert {key: found[key] for key in wanted} == wanted
        assert "old" not in found
    assert site.alice.call("DELETE", f"{IMAGES}/{ident}").status_code == 403
    assert patch(site.alice, ident, {"replace": "/protected", "value": False}, minor=0).status_code == 200
    assert patch(site.alice, ident, {"add": "/x", "value": "y"}, {"remove": "/x"}, minor=0).status_code == 200
    assert site.alice.call("DELETE", f"{IMAGES}/{ident}").status_code == 204


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"op": "replace", "path": "/status", "value": "active"}, 403),
        ({"op": "replace", "path": "/id", "value": "x"}, 403),
        ({"op": "replace", "path": "/size", "value": 5}, 403),
        ({"op": "replace", "path": "/owner", "value": FOREIGN}, 403),
        ({"op": "replace", "path": "/visibility", "value": "public"}, 403),
        ({"op": "replace", "path": "/visibility", "value": None}, 400),
        ({"op": "add", "path": "/os_glance_foo", "value": "x"}, 403),
        ({"op": "remove", "path": "/name"}, 403),
        ({"op": "remove", "path": "/never"}, 409),
        ({"op": "replace", "path": "/never", "value": "x"}, 409),
        ({"op": "add", "path": "/locations/-", "value": {}}, 400),
        ({"op": "add", "path": "/locations", "value": []}, 403),
        ({"op": "add", "path": "/x"}, 400),
        ({"op": "add", "path": "/x", "value": 5}, 400),
        ({"op": "add", "path": "x", "value": "y"}, 400),
        ({"op": "add", "path": "/", "value": "y"}, 400),
        ({"op": "add", "path": 5, "value": "y"}, 400),
        ({"op": "move", "path": "/x", "from": "/y"}, 400),
        ({"op": [], "path": "/x"}, 400),
        ({"op": "replace", "path": "/min_disk", "value": "x"}, 400),
        ({"op": "replace", "path": "/disk_format", "value": "iso"}, 400),
        ({"op": "replace", "path": "/tags", "value": ["x" * 256]}, 400),
        ({"op": "replace", "path": "/tags", "value": [str(n) for n in range(129)]}, 400),
        ("x", 400),
    ],
)
def test_what_a_patch_may_not(site: Site, change: Any, code: int) -> None:
    ident = make(site.alice)
    before = shown(site.alice, ident)
    assert patch(site.alice, ident, {"op": "replace", "path": "/name", "value": "new"}, change).status_code == code
    assert shown(site.alice, ident) == before


def test_a_patch_of_another_kind(site: Site) -> None:
    ident = make(site.alice)
    assert site.alice.call("PATCH", f"{IMAGES}/{ident}", json=[]).status_code == 415
    kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    for sent in (b"{}", b"[", b"\xff"):
        assert site.alice.call("PATCH", f"{IMAGES}/{ident}", data=sent, headers=kind).status_code == 400


def test_formats_are_changed_before_there_is_content_alone(site: Site) -> None:
    ident = make(site.alice)
    send(site.alice, ident)
    assert patch(site.alice, ident, {"op": "replace", "path": "/disk_format", "value": "qcow2"}).status_code == 403
    assert patch(site.alice, ident, {"op": "replace", "path": "/name", "value": ""}).status_code == 200


@pytest.mark.parametrize(("ident", "code"), [(IMAGE, 403), (SECRET_IMAGE, 404), ("none", 404)])
def test_only_ones_own(site: Site, ident: str, code: int) -> None:
    api = site.alice
    assert patch(api, ident, {"op": "replace", "path": "/name", "value": "x"}).status_code == code
    for verb in ("deactivate", "reactivate"):
        assert api.call("POST", f"{IMAGES}/{ident}/actions/{verb}").status_code == code
    for method in ("PUT", "DELETE"):
        assert api.call(method, f"{IMAGES}/{ident}/tags/x").status_code == code


def test_tags(site: Site) -> None:
    ident = make(site.alice)
    for tag in ("b", "a", "b"):
        assert site.alice.call("PUT", f"{IMAGES}/{ident}/tags/{tag}").status_code == 204
    assert shown(site.alice, ident)["tags"] == ["a", "b"]
    assert site.alice.call("DELETE", f"{IMAGES}/{ident}/tags/a").status_code == 204
    assert site.alice.call("DELETE", f"{IMAGES}/{ident}/tags/a").status_code == 404
    assert shown(site.alice, ident)["tags"] == ["b"]


def test_deactivated(site: Site) -> None:
    api = site.alice
    ident = make(api)
    assert api.call("POST", f"{IMAGES}/{ident}/actions/deactivate").status_code == 409
    send(api, ident)
    body = {"server": {"name": "w", "imageRef": ident, "flavorRef": SMALL}}
    for _ in range(2):
        assert api.call("POST", f"{IMAGES}/{ident}/actions/deactivate").status_code == 204
    found = shown(api, ident)
    assert (found["status"], found["size"]) == ("deactivated", len(DATA))
    assert api.get(f"{IMAGES}/{ident}/file").status_code == 403
    assert api.call("POST", f"{COMPUTE}/servers", json=body).status_code == 400
    assert api.call("POST", f"{IMAGES}/{ident}/actions/reactivate").status_code == 204
    assert api.get(f"{IMAGES}/{ident}/file").data == DATA
    assert api.call("POST", f"{COMPUTE}/servers", json=body).status_code == 202


def test_an_administrator_sees_and_changes_everybodys(site: Site) -> None:
    adam = administrator(site.nobody)
    ident = site.put("theirs", owner_id=FOREIGN, visibility="private")
    assert listed(adam) == [IMAGE]
    assert set(listed(adam, f"owner={FOREIGN}")) == {ident, SECRET_IMAGE}
    assert set(listed(adam, "visibility=all")) == {ident, SECRET_IMAGE, IMAGE}
    assert listed(site.alice, "visibility=all") == [IMAGE]
    assert patch(adam, ident, {"op": "replace", "path": "/visibility", "value": "public"}).status_code == 200
    assert set(listed(site.alice)) == {IMAGE, ident}
    assert patch(adam, ident, {"op": "replace", "path": "/owner", "value": MINE}).status_code == 200
    assert shown(site.alice, ident)["owner"] == MINE
    assert adam.call("DELETE", f"{IMAGES}/{ident}").status_code == 204


def test_schemas_and_what_there_is(site: Site) -> None:
    for name in ("image", "images", "member", "members"):
        assert site.alice.get(f"/image/v2/schemas/{name}").json["name"] == name  # type: ignore[index]
    (store,) = site.alice.get("/image/v2/info/stores").json["stores"]  # type: ignore[index]
    assert (store["id"], store["default"]) == ("cow", "true")
    methods = site.alice.get("/image/v2/info/import").json["import-methods"]["value"]  # type: ignore[index]
    assert methods == ["glance-direct", "web-download"]
