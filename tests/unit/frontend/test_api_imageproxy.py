"""Images, as Compute shows them and changes what is said of them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert

from frontend.database import db
from frontend.settings import Front, Quota, Settings
from tests.unit.frontend.conftest import COMPUTE, IMAGE, MINE, SECRET_IMAGE, Api, FakeRapi, serve

IMAGES = f"{COMPUTE}/images"
SAVED = "0aaaaaaa-0000-4000-8000-000000000003"
SERVER = "0ddddddd-0000-4000-8000-00000000000d"
FACTS = {"image_type": "snapshot", "instance_uuid": SERVER}
SAID = {"os_version": "value1", "os_distro": "value2"}


def saved(api: Api, **changes: Any) -> None:
    """An image of the project's own, of a server."""
    row = {
        "id": SAVED,
        "name": "backup",
        "owner_id": MINE,
        "visibility": "private",
        "size": 1 << 30,
        "sha256": "",
        "min_disk": 5,
        "min_ram": 0,
        "created": 1_700_000_000.0,
        "updated": 1_700_000_060.0,
        "status": "active",
        "properties": {**FACTS, **SAID},
        "protected": False,
        "origin": "some",
        **changes,
    }
    with api.engine.begin() as connection:
        connection.execute(insert(db.image).values(row))


def ids(api: Api, query: str = "") -> set[str]:
    answer = api.get(IMAGES + query)
    assert answer.status_code == 200, answer.text
    return {each["id"] for each in answer.json["images"]}  # type: ignore[index]


def metadata(api: Api) -> dict[str, str]:
    found: dict[str, str] = api.get(f"{IMAGES}/{SAVED}/metadata").json["metadata"]  # type: ignore[index]
    assert found.items() >= FACTS.items()
    return {key: value for key, value in found.items() if key not in FACTS}


def test_an_image_is_shown(api: Api) -> None:
    saved(api)
    image = api.get(f"{IMAGES}/{SAVED}").json["image"]  # type: ignore[index]
    assert image == {
        "id": SAVED,
        "name": "backup",
        "status": "ACTIVE",
        "progress": 100,
        "minDisk": 5,
        "minRam": 0,
        "OS-EXT-IMG-SIZE:size": 1 << 30,
        "metadata": {**FACTS, **SAID},
        "created": "2023-11-14T22:13:20Z",
        "updated": "2023-11-14T22:14:20Z",
        "links": image["links"],
        "server": {"id": SERVER, "links": image["server"]["links"]},
    }
    assert [link["rel"] for link in image["links"]] == ["self", "bookmark", "alternate"]
    assert api.get(f"{IMAGES}/detail?name=backup").json == {"images": [image]}
    short = {key: image[key] for key in ("id", "name", "links")}
    assert api.get(f"{IMAGES}?name=backup").json == {"images": [short]}
    assert "server" not in api.get(f"{IMAGES}/{IMAGE}").json["image"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("status", "shown", "progress"),
    [("saving", "SAVING", 50), ("queued", "SAVING", 25), ("killed", "ERROR", 0), ("other", "UNKNOWN", 0)],
)
def test_its_status(api: Api, status: str, shown: str, progress: int) -> None:
    saved(api, status=status)
    image = api.get(f"{IMAGES}/{SAVED}").json["image"]  # type: ignore[index]
    assert (image["status"], image["progress"]) == (shown, progress)
    assert ids(api, f"?status={shown}") == {SAVED}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {IMAGE, SAVED}),
        ("?status=ACTIVE", {IMAGE, SAVED}),
        ("?status=SAVING", set()),
        ("?name=debian", {IMAGE}),
        ("?name=deb", set()),
        ("?type=snapshot", {SAVED}),
        ("?type=base", {IMAGE}),
        (f"?server={SERVER}", {SAVED}),
        (f"?server=http://api/compute/v2.1/servers/{SERVER}", {SAVED}),
        ("?server=other", set()),
        ("?minDisk=5", {SAVED}),
        ("?minRam=256", {IMAGE}),
        ("?changes-since=2023-11-14T22:14:20Z", {IMAGE, SAVED}),
        ("?changes-since=2023-11-14T22:14:21Z", {IMAGE}),
        ("?limit=0", set()),
    ],
)
def test_the_list_is_filtered(api: Api, query: str, found: set[str]) -> None:
    saved(api)
    assert ids(api, query) == found


def test_the_list_has_pages(api: Api) -> None:
    saved(api)
    first = api.get(f"{IMAGES}/detail?limit=1").json
    assert first is not None
    second = api.get(first["images_links"][0]["href"]).json
    assert second is not None
    assert [first["images"][0]["id"], second["images"][0]["id"]] == [IMAGE, SAVED]
    assert "images_links" not in second


@pytest.mark.parametrize("query", ["limit=-1", "marker=never", "changes-since=yesterday", "minDisk=x"])
def test_what_cannot_be_asked(api: Api, query: str) -> None:
    assert api.get(f"{IMAGES}?{query}").status_code == 400


def test_metadata_is_changed(api: Api) -> None:
    saved(api)
    url = f"{IMAGES}/{SAVED}/metadata"
    assert metadata(api) == SAID
    new = {"os_version": "alt1", "architecture": "x"}
    assert api.call("POST", url, json={"metadata": new}).json == {"metadata": {**FACTS, **SAID, **new}}
    assert metadata(api) == {**SAID, **new}
    assert api.call("PUT", url, json={"metadata": {"a": "b", "image_type": "mine"}}).status_code == 200
    assert metadata(api) == {"a": "b"}
    assert api.call("PUT", f"{url}/a", json={"meta": {"a": "c"}}).json == {"meta": {"a": "c"}}
    assert api.get(f"{url}/a").json == {"meta": {"a": "c"}}
    assert api.call("DELETE", f"{url}/a").status_code == 204
    assert api.call("DELETE", f"{url}/a").status_code == api.get(f"{url}/a").status_code == 404
    assert metadata(api) == {}
    assert ids(api, "?type=snapshot") == {SAVED}


@pytest.mark.parametrize(
    ("method", "tail", "sent"),
    [
        ("POST", "", {"metadata": {"a": None}}),
        ("POST", "", {"metadata": {"": "x"}}),
        ("POST", "", {"metadata": {"a": "x" * 256}}),
        ("PUT", "", {"metadata": None}),
        ("PUT", "", {}),
        ("PUT", "/a", {"meta": {"b": "x"}}),
        ("PUT", "/a", {"meta": {"a": "x", "b": "x"}}),
        ("PUT", "/a", {"meta": {"a": 5}}),
    ],
)
def test_what_metadata_may_be(api: Api, method: str, tail: str, sent: Any) -> None:
    saved(api)
    assert api.call(method, f"{IMAGES}/{SAVED}/metadata{tail}", json=sent).status_code == 400
    assert metadata(api) == SAID


def test_there_is_a_quota_of_items(front: Front, rapi: FakeRapi) -> None:
    api = serve(front, rapi, Settings(front=front, quota=Quota(metadata=5))).become("alice")
    saved(api)
    url = f"{IMAGES}/{SAVED}/metadata"
    assert api.call("POST", url, json={"metadata": {"a": "x", "b": "x"}}).status_code == 403
    assert metadata(api) == SAID
    assert api.call("POST", url, json={"metadata": {"a": "x"}}).status_code == 200


def test_what_is_not_the_projects_own(api: Api) -> None:
    before = api.get(f"{IMAGES}/{IMAGE}").json
    for ident, status in ((IMAGE, 403), (SECRET_IMAGE, 404), ("never", 404)):
        url = f"{IMAGES}/{ident}"
        calls = (
            ("POST", "/metadata", {"metadata": {"a": "b"}}),
            ("PUT", "/metadata", {"metadata": {"a": "b"}}),
            ("PUT", "/metadata/a", {"meta": {"a": "b"}}),
            ("DELETE", "/metadata/os_distro", None),
            ("DELETE", "", None),
        )
        for method, tail, sent in calls:
            assert api.call(method, url + tail, json=sent).status_code == status, (method, tail, ident)
    for tail in ("", "/metadata", "/metadata/a"):
        words = api.get(f"{IMAGES}/{SECRET_IMAGE}{tail}").text
        assert words == api.get(f"{IMAGES}/never{tail}").text.replace("never", SECRET_IMAGE)
    assert api.get(f"{IMAGES}/{IMAGE}").json == before
