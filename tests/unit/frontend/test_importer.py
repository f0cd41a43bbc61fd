"""Imports of images: asked for by the API, done by the importer, over its deaths and the tenant's deletions."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from frontend.database import db
from frontend.image import imagestate
from frontend.image.imageprocess import Store
from frontend.image.importer import Importer
from frontend.settings import Front
from tests.unit.frontend.conftest import IMAGE, MINE, SECRET_IMAGE, FakeRapi
from tests.unit.frontend.images import DATA, IMAGES, Site, make, send, shown
from tests.unit.frontend.test_imagefetch import find, port

__all__ = ["port"]


@pytest.fixture
def site(front: Front, rapi: FakeRapi, tmp_path: Path) -> Site:
    return Site(front, rapi, tmp_path, import_hosts=("*.example:*", "*.example"), import_networks=("127.0.0.0/8",))


def start(site: Site, ident: str, uri: str | None = None) -> Any:
    method = {"name": "web-download", "uri": uri} if uri else {"name": "glance-direct"}
    return site.alice.call("POST", f"{IMAGES}/{ident}/import", json={"method": method, "all_stores": True})


def work(site: Site) -> None:
    importer = Importer(site.nobody.engine, site.settings, find)
    importer.tick()
    importer.wait()


def tasks(site: Site, ident: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = site.alice.get(f"{IMAGES}/{ident}/tasks").json["tasks"]  # type: ignore[index]
    return found


def test_what_was_staged_is_imported(site: Site, tmp_path: Path) -> None:
    ident = make(site.alice)
    assert start(site, ident).status_code == 409
    assert send(site.alice, ident, tail="stage").status_code == 204
    assert (shown(site.alice, ident)["status"], site.stored()) == ("uploading", [])
    assert send(site.alice, ident).status_code == 409
    answer = start(site, ident)
    assert (answer.status_code, shown(site.alice, ident)["status"]) == (202, "importing")
    assert start(site, ident).status_code == 409
    work(site)
    assert shown(site.alice, ident)["status"] == "active"
    assert site.alice.get(f"{IMAGES}/{ident}/file").data == DATA
    (task,) = tasks(site, ident)
    assert (task["status"], task["request_id"]) == ("success", answer.headers["x-openstack-request-id"])
    assert task["input"]["import_req"]["method"] == {"name": "glance-direct"}
    assert list((tmp_path / "staging").iterdir()) == []


def test_a_download(site: Site, port: int) -> None:
    ident = make(site.alice)
    assert start(site, ident, f"http://a.example:{port}/moved").status_code == 202
    work(site)
    assert site.alice.get(f"{IMAGES}/{ident}/file").data == b"image"
    assert [task["status"] for task in tasks(site, ident)] == ["success"]


@pytest.mark.parametrize(
    ("path", "asked", "words"),
    [("/short", "raw", "broke off"), ("/image", "qcow2", "it is raw"), ("/inside", "raw", "no address")],
)
def test_an_import_that_fails_is_told_and_may_be_repeated(
    site: Site, port: int, path: str, asked: str, words: str
) -> None:
    ident = make(site.alice, disk_format=asked)
    assert start(site, ident, f"http://a.example:{port}{path}").status_code == 202
    work(site)
    assert (shown(site.alice, ident)["status"], site.stored()) == ("queued", [])
    (task,) = tasks(site, ident)
    assert task["status"] == "failure"
    assert words in task["message"]
    assert start(site, ident, f"http://a.example:{port}/image").status_code == 202


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ({"name": "copy-image"}, 400),
        ({"name": "web-download"}, 400),
        ({"name": "web-download", "uri": "file:///etc/passwd"}, 400),
        ({"name": "web-download", "uri": "http://elsewhere/x"}, 400),
        ({"name": "web-download", "uri": 5}, 400),
        ({}, 400),
    ],
)
def test_what_is_not_to_be_imported(site: Site, method: dict[str, Any], code: int) -> None:
    ident = make(site.alice)
    assert site.alice.call("POST", f"{IMAGES}/{ident}/import", json={"method": method}).status_code == code
    assert (shown(site.alice, ident)["status"], tasks(site, ident)) == ("queued", [])


@pytest.mark.parametrize(("ident", "code"), [(IMAGE, 403), (SECRET_IMAGE, 404), ("none", 404)])
def test_only_to_ones_own(site: Site, ident: str, code: int) -> None:
    assert start(site, ident).status_code == code


def died(site: Site, ident: str, tries: int) -> None:
    """An importer was at it, and is gone."""
    with site.nobody.engine.begin() as connection:
        values = {"status": "processing", "lease": time.time() - 1, "tries": tries}
        connection.execute(update(db.image_task).where(db.image_task.c.image_id == ident).values(values))


def test_an_import_that_was_under_way_is_begun_again(site: Site, port: int) -> None:
    ident = make(site.alice)
    start(site, ident, f"http://a.example:{port}/image")
    died(site, ident, 1)
    (site.store / f"{ident}.raw").write_bytes(b"made, and not told")
    work(site)
    assert shown(site.alice, ident)["status"] == "active"
    assert site.alice.get(f"{IMAGES}/{ident}/file").data == b"image"


def test_it_is_given_up_at_last(site: Site, port: int) -> None:
    ident = make(site.alice)
    start(site, ident, f"http://a.example:{port}/image")
    died(site, ident, 3)
    work(site)
    assert shown(site.alice, ident)["status"] == "queued"
    assert "again and again" in tasks(site, ident)[0]["message"]


def test_one_that_is_given_up_leaves_nothing_in_the_store(site: Site, port: int) -> None:
    """Those who died of it had brought it."""
    ident = make(site.alice)
    start(site, ident, f"http://a.example:{port}/image")
    died(site, ident, 3)
    (site.store / f"{ident}.raw").write_bytes(b"made, and not told")
    work(site)
    assert (shown(site.alice, ident)["status"], site.stored()) == ("queued", [])
    assert send(site.alice, ident).status_code == 204


def test_nor_when_the_store_does_not_work_at_that_moment(site: Site, port: int) -> None:
    ident = make(site.alice)
    start(site, ident, f"http://a.example:{port}/image")
    died(site, ident, 3)
    (site.store / f"{ident}.raw").write_bytes(b"made, and not told")
    (site.store / "fails").touch()
    work(site)
    assert (shown(site.alice, ident)["status"], tasks(site, ident)[0]["status"]) == ("saving", "failure")
    (site.store / "fails").unlink()
    work(site)
    assert (shown(site.alice, ident)["status"], site.stored()) == ("queued", [])


def test_nor_does_one_whose_image_was_deleted_meanwhile(site: Site, port: int) -> None:
    """Its row stays as long as somebody may bring it yet, and not live to hear that nobody wants it."""
    ident = make(site.alice)
    start(site, ident, f"http://a.example:{port}/image")
    with site.nobody.engine.begin() as connection:
        connection.execute(update(db.image_task).values(status="processing", lease=time.time() + 60))
    site.alice.call("DELETE", f"{IMAGES}/{ident}")
    work(site)
    assert site.row(ident) is not None
    (site.store / f"{ident}.raw").write_bytes(b"made, and not told")
    died(site, ident, 1)
    for _ in range(2):
        work(site)
    assert (site.stored(), site.row(ident)) == ([], None)


def test_what_another_importer_is_at_is_left_alone(site: Site, port: int) -> None:
    ident = make(site.alice)
    start(site, ident, f"http://a.example:{port}/image")
    with site.nobody.engine.begin() as connection:
        connection.execute(update(db.image_task).values(status="processing", lease=time.time() + 60))
    work(site)
    assert (shown(site.alice, ident)["status"], site.stored()) == ("importing", [])


def test_deleted_before_it_was_imported(site: Site, tmp_path: Path) -> None:
    ident = make(site.alice)
    send(site.alice, ident, tail="stage")
    start(site, ident)
    assert site.alice.call("DELETE", f"{IMAGES}/{ident}").status_code == 204
    assert site.alice.get(f"{IMAGES}/{ident}").status_code == 404
    work(site)
    work(site)
    assert (site.stored(), site.row(ident), list((tmp_path / "staging").iterdir())) == ([], None, [])


def test_a_store_that_does_not_work(site: Site) -> None:
    ident = make(site.alice)
    send(site.alice, ident, tail="stage")
    start(site, ident)
    (site.store / "fails").touch()
    work(site)
    (task,) = tasks(site, ident)
    assert (task["status"], "secret" in task["message"]) == ("failure", False)
    assert shown(site.alice, ident)["status"] == "queued"


def test_what_is_known_of_an_image_is_written_down_beside_it(site: Site) -> None:
    ident = make(site.alice, os_distro="plan9")
    send(site.alice, ident)
    work(site)
    path = site.store / f"{ident}.json"
    facts = json.loads(path.read_text())
    wanted = {"name": "mine", "owner": MINE, "owner_name": "mine", "visibility": "shared", "members": {}}
    assert {key: facts[key] for key in wanted} == wanted
    assert facts["properties"] == {"os_distro": "plan9"}
    calls = (site.store / "calls").read_text()
    work(site)
    assert (site.store / "calls").read_text() == calls  # once
    site.alice.call("POST", f"{IMAGES}/{ident}/members", json={"member": "p"})
    site.alice.call("PUT", f"{IMAGES}/{ident}/tags/t")
    work(site)
    facts = json.loads(path.read_text())
    assert (facts["members"], facts["tags"]) == ({"p": "pending"}, ["t"])


def test_one_who_slept_until_another_was_done_touches_nothing(
    site: Site, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ident = make(site.alice)
    start(site, ident, f"http://a.example:{port}/image")

    def sleeps(*told: Any) -> bool:
        monkeypatch.undo()
        with site.nobody.engine.begin() as connection:
            connection.execute(update(db.image_task).values(lease=time.time() - 1))
        work(site)
        assert shown(site.alice, ident)["status"] == "active"
        return imagestate.filled(*told)

    monkeypatch.setattr(imagestate, "filled", sleeps)
    work(site)
    assert (shown(site.alice, ident)["status"], site.stored()) == ("active", [f"{ident}.raw"])
    assert site.alice.get(f"{IMAGES}/{ident}/file").data == b"image"
    assert [task["status"] for task in tasks(site, ident)] == ["success"]


def test_nor_one_who_slept_before_he_brought_anything(site: Site, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ident = make(site.alice)
    start(site, ident, f"http://a.example:{port}/image")
    receive = Store.receive

    def sleeps(*told: Any) -> Any:
        monkeypatch.undo()
        with site.nobody.engine.begin() as connection:
            connection.execute(update(db.image_task).values(lease=time.time() - 1))
        work(site)
        return receive(*told)

    monkeypatch.setattr(Store, "receive", sleeps)
    work(site)
    assert (shown(site.alice, ident)["status"], site.stored()) == ("active", [f"{ident}.raw"])
    assert "remove" not in (site.store / "calls").read_text()
    assert [task["status"] for task in tasks(site, ident)] == ["success"]


def test_nor_does_one_whose_import_failed_while_another_is_at_it(site: Site) -> None:
    ident = make(site.alice)
    send(site.alice, ident, tail="stage")
    start(site, ident)
    first = Importer(site.nobody.engine, site.settings, find)
    task = first._claim()
    died(site, ident, 1)
    other = Importer(site.nobody.engine, site.settings, find)._claim()
    assert task is not None and other is not None
    (site.store / "fails").touch()
    first.work(task)
    (site.store / "fails").unlink()
    assert shown(site.alice, ident)["status"] == "importing"
    assert [each["status"] for each in tasks(site, ident)] == ["processing"]
    Importer(site.nobody.engine, site.settings, find).work(other)
    assert (shown(site.alice, ident)["status"], site.stored()) == ("active", [f"{ident}.raw"])
