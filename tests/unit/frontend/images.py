"""A front that takes images, with a store beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from frontend.database import db
from frontend.image.imagecare import Care
from frontend.image.imageprocess import Store
from frontend.image.settings_images import Images
from frontend.settings import Front, Quota, Settings
from tests.unit.frontend import image_command
from tests.unit.frontend.conftest import MINE, Api, FakeRapi, serve

IMAGES = "/image/v2/images"
NEW = {"name": "mine", "disk_format": "raw", "container_format": "bare"}
MOST = 200_000
DATA = b"\xeb\x3c" + bytes(120_000) + b"boot" * 500  # more than other bodies may have


class Site:
    """The API, its settings and its store's folder."""

    def __init__(self, front: Front, rapi: FakeRapi, folder: Path, quota: Quota | None = None, **more: Any) -> None:
        self.store = folder / "store"
        command = image_command.installed(self.store)
        given = {"max_upload": MOST, "staging": str(folder / "staging"), "importers": 2, **more}
        self.settings = Settings(front=front, quota=quota or Quota(), images=Images(command=str(command), **given))
        self.nobody = serve(front, rapi, self.settings)
        self.alice, self.bob = self.nobody.become("alice"), self.nobody.become("bob", "foreign")

    def stored(self) -> list[str]:
        """Names of images, and of what is left of imports."""
        return sorted(path.name for path in self.store.iterdir() if path.name != "calls" and path.suffix != ".json")

    def row(self, ident: str) -> dict[str, Any] | None:
        with self.nobody.engine.connect() as connection:
            return db.row(connection, select(db.image).where(db.image.c.id == ident))

    def put(self, ident: str, **changes: Any) -> str:
        """Put an active image's row in; of project `mine` unless changed."""
        row = {
            "id": ident,
            "name": "x",
            "owner_id": MINE,
            "visibility": "shared",
            "size": 5,
            "sha256": "",
            "min_disk": 0,
            "min_ram": 0,
            "created": 1.0,
            "properties": {},
            "protected": False,
            "provider": "cow",
            **changes,
        }
        with self.nobody.engine.begin() as connection:
            connection.execute(insert(db.image).values(row))
        return ident


@pytest.fixture
def site(front: Front, rapi: FakeRapi, tmp_path: Path) -> Site:
    return Site(front, rapi, tmp_path)


def make(api: Api, **more: Any) -> str:
    answer = api.call("POST", IMAGES, json={**NEW, **more})
    assert answer.status_code == 201, answer.text
    assert answer.json["status"] == "queued"  # type: ignore[index]
    return str(answer.json["id"])  # type: ignore[index]


def send(api: Api, ident: str, data: Any = DATA, tail: str = "file", kind: str = "application/octet-stream") -> Any:
    return api.call("PUT", f"{IMAGES}/{ident}/{tail}", data=data, headers={"Content-Type": kind})


def care(site: Site) -> Care:
    return Care(site.nobody.engine, site.settings, Store(site.settings.images.command))


def patch(api: Api, ident: str, *changes: Any, minor: int = 1) -> Any:
    kind = f"application/openstack-images-v2.{minor}-json-patch"
    return api.call("PATCH", f"{IMAGES}/{ident}", json=list(changes), headers={"Content-Type": kind})


def shown(api: Api, ident: str) -> dict[str, Any]:
    answer = api.get(f"{IMAGES}/{ident}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json  # type: ignore[assignment]
    return found


def listed(api: Api, query: str = "") -> list[str]:
    answer = api.get(f"{IMAGES}?{query}")
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json["images"]]  # type: ignore[index]
