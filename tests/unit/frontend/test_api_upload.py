"""Images that tenants upload, where the administrator lets them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from frontend.settings import Front, Images, Settings
from tests.unit.frontend.conftest import COMPUTE, IMAGE, SECRET_IMAGE, SMALL, Api, FakeRapi, serve

IMAGES = "/image/v2/images"
NEW = {"name": "mine", "disk_format": "raw", "container_format": "bare", "visibility": "private"}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "store/images").mkdir(parents=True)
    return tmp_path / "store/images"


@pytest.fixture
def api(front: Front, rapi: FakeRapi, store: Path) -> Api:
    """Of a front that takes uploads of 200,000 octets, which is more than other bodies may have."""
    settings = Settings(front=front, images=Images(str(store.parent), 200_000))
    return serve(front, rapi, settings).become("alice")


def make(api: Api, **more: Any) -> str:
    answer = api.call("POST", IMAGES, json={**NEW, **more})
    assert answer.status_code == 201, answer.text
    assert answer.json["status"] == "queued"  # type: ignore[index]
    return str(answer.json["id"])  # type: ignore[index]


def send(api: Api, ident: str, data: bytes, kind: str = "application/octet-stream") -> int:
    return api.call("PUT", f"{IMAGES}/{ident}/file", data=data, headers={"Content-Type": kind}).status_code


def test_an_image_is_brought(api: Api, store: Path) -> None:
    ident = make(api, min_ram=64, tags=["b", "a"], os_distro="plan9", hw_x=None)
    data = b"\xeb\x3c" + bytes(150_000)
    assert send(api, ident, data) == 204
    shown = api.get(f"{IMAGES}/{ident}").json
    wanted = {"status": "active", "size": len(data), "min_ram": 64, "tags": ["a", "b"], "os_distro": "plan9"}
    assert {key: shown[key] for key in wanted} == wanted  # type: ignore[index]
    assert [(path.name, path.read_bytes() == data) for path in store.iterdir()] == [(f"{ident}.raw", True)]
    assert send(api, ident, data) == 409
    assert api.call("DELETE", f"{IMAGES}/{ident}").status_code == 204
    assert (api.get(f"{IMAGES}/{ident}").status_code, list(store.iterdir())) == (404, [])


def test_no_server_of_an_image_without_its_file_or_that_needs_more(api: Api) -> None:
    ident = make(api, min_ram=513)
    body = {"server": {"name": "w", "imageRef": ident, "flavorRef": SMALL}}
    for _ in range(2):
        assert api.call("POST", f"{COMPUTE}/servers", json=body).status_code == 400
        send(api, ident, b"MBR" * 400)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"disk_format": "qcow2"}, 400),
        ({"container_format": "ova"}, 400),
        ({"visibility": "public"}, 400),
        ({"min_disk": -1}, 400),
        ({"id": "x"}, 400),
        ({"id": IMAGE}, 409),
        ({"status": "active"}, 403),
        ({"owner": "me"}, 403),
        ({"tags": "a"}, 400),
        ({"prop": 1}, 400),
    ],
)
def test_what_cannot_be_asked_for(api: Api, more: dict[str, Any], code: int) -> None:
    assert api.call("POST", IMAGES, json={**NEW, **more}).status_code == code


@pytest.mark.parametrize(
    ("data", "kind", "code"),
    [
        (b"QFI\xfb" + bytes(100), "application/octet-stream", 400),
        (b"", "application/octet-stream", 400),
        (b"raw", "application/json", 415),
        (bytes(200_001), "application/octet-stream", 413),
    ],
)
def test_what_is_no_image_leaves_nothing(api: Api, store: Path, data: bytes, kind: str, code: int) -> None:
    ident = make(api)
    assert send(api, ident, data, kind) == code
    assert api.get(f"{IMAGES}/{ident}").json["status"] == "queued"  # type: ignore[index]
    assert list(store.iterdir()) == []
    assert send(api, ident, b"raw") == 204


@pytest.mark.parametrize(("ident", "code"), [(IMAGE, 403), (SECRET_IMAGE, 404), ("none", 404)])
def test_only_to_ones_own(api: Api, ident: str, code: int) -> None:
    assert send(api, ident, b"raw") == code


def test_what_is_protected_stays(api: Api, store: Path) -> None:
    ident = make(api, protected=True)
    send(api, ident, b"raw")
    assert api.call("DELETE", f"{IMAGES}/{ident}").status_code == 403
    assert list(store.iterdir()) != []


@pytest.mark.parametrize(("most", "provider"), [(0, "cow"), (1000, "rbd")])
def test_not_where_nobody_may(front: Front, rapi: FakeRapi, store: Path, most: int, provider: str) -> None:
    changed = replace(front, provider=provider)
    api = serve(changed, rapi, Settings(front=changed, images=Images(str(store.parent), most))).become("alice")
    assert api.call("POST", IMAGES, json=NEW).status_code == 403
    assert send(api, IMAGE, b"raw") == 403
