"""Images that tenants upload, where the administrator lets them, and download again."""

from __future__ import annotations

import hashlib
import io
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from frontend.database import db
from frontend.image import images, imagestate
from frontend.settings import Front, Quota
from tests.unit.frontend import image_command
from tests.unit.frontend.conftest import COMPUTE, FOREIGN, GIB, IMAGE, MINE, SECRET_IMAGE, SMALL, FakeRapi
from tests.unit.frontend.images import DATA, IMAGES, MOST, NEW, Site, care, make, patch, send, shown, site

__all__ = ["site"]

QCOW2 = image_command.QCOW2 + DATA


def test_an_image_is_brought(site: Site) -> None:
    api = site.alice
    ident = make(api, min_ram=64, tags=["b", "a"], os_distro="plan9", hw_x=None)
    assert api.get(f"{IMAGES}/{ident}/file").status_code == 204
    assert send(api, ident).status_code == 204
    wanted = {
        "status": "active",
        "size": len(DATA),
        "virtual_size": len(DATA),
        "min_ram": 64,
        "tags": ["a", "b"],
        "os_distro": "plan9",
        "visibility": "shared",
        "disk_format": "raw",
        "container_format": "bare",
        "checksum": hashlib.md5(DATA).hexdigest(),
        "os_hash_algo": "sha256",
        "os_hash_value": hashlib.sha256(DATA).hexdigest(),
    }
    found = shown(api, ident)
    assert {key: found[key] for key in wanted} == wanted
    assert site.stored() == [f"{ident}.raw"]
    assert send(api, ident).status_code == 409
    answer = api.get(f"{IMAGES}/{ident}/file")
    assert (answer.status_code, answer.data, answer.mimetype) == (200, DATA, "application/octet-stream")
    assert answer.headers["Content-MD5"] == wanted["checksum"]
    assert answer.headers["Content-Length"] == str(len(DATA))
    assert api.call("DELETE", f"{IMAGES}/{ident}").status_code == 204
    assert (api.get(f"{IMAGES}/{ident}").status_code, site.stored(), site.row(ident)) == (404, [], None)


@pytest.mark.parametrize(("size", "code"), [(MOST, 204), (MOST + 1, 413)])
def test_what_comes_in_pieces_may_be_as_much_as_what_announces_its_size(site: Site, size: int, code: int) -> None:
    ident = make(site.alice)
    pieces = {"input_stream": io.BytesIO(bytes(size)), "environ_overrides": {"wsgi.input_terminated": True}}
    kind = {"Content-Type": "application/octet-stream", "Transfer-Encoding": "chunked"}
    assert site.alice.call("PUT", f"{IMAGES}/{ident}/file", headers=kind, **pieces).status_code == code
    assert shown(site.alice, ident)["status"] == ("active" if code == 204 else "queued")


def test_other_formats_become_raw(site: Site) -> None:
    ident = make(site.alice, disk_format="qcow2")
    assert shown(site.alice, ident)["disk_format"] == "qcow2"
    assert send(site.alice, ident, QCOW2).status_code == 204
    assert shown(site.alice, ident)["disk_format"] == "raw"
    assert site.alice.get(f"{IMAGES}/{ident}/file").data == DATA


def test_no_server_of_an_image_without_its_file_or_that_needs_more(site: Site) -> None:
    ident = make(site.alice, min_ram=513)
    body = {"server": {"name": "w", "imageRef": ident, "flavorRef": SMALL}}
    for _ in range(2):
        assert site.alice.call("POST", f"{COMPUTE}/servers", json=body).status_code == 400
        send(site.alice, ident)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"disk_format": "iso"}, 400),
        ({"container_format": "ova"}, 400),
        ({"visibility": "public"}, 403),
        ({"visibility": "all"}, 400),
        ({"min_disk": -1}, 400),
        ({"id": "x"}, 400),
        ({"id": IMAGE}, 409),
        ({"status": "active"}, 403),
        ({"checksum": "x"}, 403),
        ({"owner": FOREIGN}, 403),
        ({"os_glance_x": "1"}, 403),
        ({"location": "x"}, 403),
        ({"tags": "a"}, 400),
        ({"prop": 1}, 400),
        ({"prop": "x" * 4097}, 400),
        ({"p" * 256: "x"}, 400),
    ],
)
def test_what_cannot_be_asked_for(site: Site, more: dict[str, Any], code: int) -> None:
    assert site.alice.call("POST", IMAGES, json={**NEW, **more}).status_code == code


@pytest.mark.parametrize(
    ("asked", "data", "kind", "code"),
    [
        ("raw", QCOW2, "application/octet-stream", 400),
        ("qcow2", DATA, "application/octet-stream", 400),
        ("raw", b"", "application/octet-stream", 400),
        ("raw", b"raw", "application/json", 415),
        ("raw", bytes(MOST + 1), "application/octet-stream", 413),
        (None, DATA, "application/octet-stream", 400),
    ],
)
def test_what_is_no_image_leaves_nothing(site: Site, asked: str | None, data: bytes, kind: str, code: int) -> None:
    ident = make(site.alice, disk_format=asked)
    assert send(site.alice, ident, data, kind=kind).status_code == code
    assert (shown(site.alice, ident)["status"], site.stored()) == ("queued", [])
    patch(site.alice, ident, {"op": "replace", "path": "/disk_format", "value": "raw"})
    assert send(site.alice, ident, b"raw").status_code == 204


def pieces(data: bytes, between: Any = lambda: None) -> dict[str, Any]:
    """How a body is sent that announces no size; `between` is called before each piece."""

    class Body(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            between()
            return super().read(100)

        def readinto(self, buffer: Any, /) -> int:
            piece = self.read()
            buffer[: len(piece)] = piece
            return len(piece)

    headers = {"Content-Type": "application/octet-stream", "Transfer-Encoding": "chunked"}
    environ = {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    return {"input_stream": Body(data), "headers": headers, "environ_overrides": environ}


def test_what_waits_for_its_import_has_no_more_room_than_there_is(site: Site) -> None:
    """Of two that announce no size each may have all of it when it begins."""
    site.put("0fffffff-0000-4000-8000-00000000000f", size=1000 * GIB - 300)
    first, second = make(site.alice), make(site.alice)
    codes: list[int] = []

    def once() -> None:
        if not codes:
            codes.append(0)
            codes[0] = site.alice.call("PUT", f"{IMAGES}/{first}/stage", **pieces(bytes(200))).status_code

    answer = site.alice.call("PUT", f"{IMAGES}/{second}/stage", **pieces(bytes(200), once))
    assert (codes, answer.status_code) == ([204], 413)
    assert (shown(site.alice, second)["status"], shown(site.alice, first)["status"]) == ("queued", "uploading")
    assert os.listdir(site.settings.images.staging) == [first]
    assert site.alice.call("PUT", f"{IMAGES}/{second}/stage", **pieces(bytes(100))).status_code == 204


def test_one_that_is_deleted_as_its_upload_begins_leaves_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever deletes it has seen it before, and who sends it dies of that."""
    ident = make(site.alice)
    seen = images.need

    def need(image_id: str) -> dict[str, Any]:
        found = seen(image_id)
        with site.nobody.engine.begin() as connection:
            values = {"status": "saving", "lease": time.time() - 1}
            connection.execute(update(db.image).where(db.image.c.id == ident).values(values))
        (site.store / f"{ident}.raw").write_bytes(b"made, and not told")
        return found

    monkeypatch.setattr(images, "need", need)
    assert site.alice.call("DELETE", f"{IMAGES}/{ident}").status_code == 204
    care(site).work()
    assert (site.stored(), site.row(ident)) == ([], None)


def test_it_is_told_why(site: Site) -> None:
    ident = make(site.alice, disk_format="qcow2")
    assert "it is raw, and not qcow2" in send(site.alice, ident).text
    (site.store / "fails").touch()
    answer = send(site.alice, ident)
    assert (answer.status_code, "secret" in answer.text) == (503, False)
    assert shown(site.alice, ident)["status"] == "queued"


class Broken(io.BytesIO):
    """A client that goes away."""

    pieces = 0

    def read(self, _size: int | None = -1) -> bytes:
        self.pieces += 1
        if self.pieces > 1:
            raise ConnectionResetError("gone")
        return super().read(1000)

    def readinto(self, buffer: Any) -> int:
        piece = self.read()
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize("tail", ["file", "stage"])
def test_a_client_that_goes_away_leaves_nothing(site: Site, tail: str, tmp_path: Path) -> None:
    ident = make(site.alice)
    answer = site.alice.call(
        "PUT", f"{IMAGES}/{ident}/{tail}", input_stream=Broken(bytes(5000)),
        headers={"Content-Type": "application/octet-stream"},
    )  # fmt: skip
    assert answer.status_code >= 400
    assert (shown(site.alice, ident)["status"], site.stored()) == ("queued", [])
    assert list((tmp_path / "staging").glob("*")) == []
    assert send(site.alice, ident).status_code == 204


@pytest.mark.parametrize(("ident", "code"), [(IMAGE, 403), (SECRET_IMAGE, 404), ("none", 404)])
@pytest.mark.parametrize("tail", ["file", "stage"])
def test_only_to_ones_own(site: Site, ident: str, code: int, tail: str) -> None:
    assert send(site.alice, ident, b"raw", tail).status_code == code


def test_what_is_protected_stays(site: Site) -> None:
    ident = make(site.alice, protected=True)
    send(site.alice, ident)
    assert site.alice.call("DELETE", f"{IMAGES}/{ident}").status_code == 403
    assert site.stored() == [f"{ident}.raw"]


def test_not_where_nobody_may(front: Front, rapi: FakeRapi, tmp_path: Path) -> None:
    site = Site(front, rapi, tmp_path, max_upload=0)
    site.put("own", status="queued")
    assert site.alice.call("POST", IMAGES, json=NEW).status_code == 403
    assert send(site.alice, "own").status_code == 403
    assert site.alice.get("/image/v2/info/import").json["import-methods"]["value"] == []  # type: ignore[index]


def test_no_more_octets_than_the_quota(front: Front, rapi: FakeRapi, tmp_path: Path) -> None:
    site = Site(front, rapi, tmp_path, quota=Quota(image_gigabytes=1))
    ident, gone = make(site.alice), make(site.alice)
    site.put("large", size=(1 << 30) - 100)
    assert send(site.alice, ident).status_code == 413
    assert send(site.alice, ident, b"small").status_code == 204
    site.put("rest", size=100)
    assert send(site.alice, gone, b"x").status_code == 413
    assert site.alice.call("POST", IMAGES, json=NEW).status_code == 403
    usage = site.alice.get("/image/v2/info/usage").json["usage"]  # type: ignore[index]
    assert usage["image_size_total"] == {"limit": 1024, "usage": 1024}
    assert usage["image_count_total"]["usage"] == 4
    with site.nobody.engine.begin() as connection:
        values = {"max_images": 7, "max_image_gigabytes": -1}
        connection.execute(update(db.project).where(db.project.c.id == MINE).values(values))
    usage = site.alice.get("/image/v2/info/usage").json["usage"]  # type: ignore[index]
    assert [usage[key]["limit"] for key in ("image_count_total", "image_size_total")] == [7, -1], "its own"


def test_deleted_while_it_is_sent(site: Site) -> None:
    ident = make(site.alice)
    (site.store / "slow").touch()
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(send(site.alice, ident).status_code))
    thread.start()
    end = time.monotonic() + 10
    while not list(site.store.glob(".*")):  # the store has begun
        assert time.monotonic() < end
        time.sleep(0.01)
    assert shown(site.alice, ident)["status"] == "saving"
    assert site.alice.call("DELETE", f"{IMAGES}/{ident}").status_code == 204
    (site.store / "slow").unlink()
    thread.join()
    assert (answers, site.stored(), site.row(ident)) == ([204], [], None)


def test_a_deletion_that_fails_is_done_later(site: Site) -> None:
    ident = make(site.alice)
    send(site.alice, ident)
    (site.store / "fails").touch()
    assert site.alice.call("DELETE", f"{IMAGES}/{ident}").status_code == 204
    assert site.alice.get(f"{IMAGES}/{ident}").status_code == 404
    (site.store / "fails").unlink()
    assert site.stored() == [f"{ident}.raw"]
    care(site).work()
    assert (site.stored(), site.row(ident)) == ([], None)


def test_an_upload_whose_process_died_can_be_sent_again(site: Site) -> None:
    ident, other = make(site.alice), make(site.alice)
    for each, lease in ((ident, -1.0), (other, 60.0)):
        imagestate.turn(site.nobody.engine, each, "queued", "saving", lease=time.time() + lease)
        (site.store / f"{each}.raw").write_bytes(b"whole, and not told")
    care(site).work()
    assert (shown(site.alice, ident)["status"], shown(site.alice, other)["status"]) == ("queued", "saving")
    assert site.stored() == [f"{other}.raw"]
    assert send(site.alice, ident).status_code == 204


def test_what_nobody_knows_in_the_store_is_nobodys_to_take(site: Site) -> None:
    ident = "0aaaaaaa-0000-4000-8000-00000000000f"
    (site.store / f"{ident}.raw").write_bytes(b"an administrator's")
    assert site.alice.call("POST", IMAGES, json={**NEW, "id": ident}).status_code == 409
    with site.nobody.engine.begin() as connection:  # and if it comes there later
        other = make(site.alice)
        connection.execute(update(db.image).where(db.image.c.id == other).values(id=ident))
    assert send(site.alice, ident).status_code == 409
    assert site.alice.call("DELETE", f"{IMAGES}/{ident}").status_code == 204
    assert site.stored() == [f"{ident}.raw"]


@pytest.mark.parametrize("is_in", [False, True])
def test_an_upload_whose_last_transaction_failed_can_be_sent_again(
    site: Site, monkeypatch: pytest.MonkeyPatch, is_in: bool
) -> None:
    """Or, where only the word of its end was lost, is there."""
    ident, filled = make(site.alice), imagestate.filled

    def fails(*told: Any) -> bool:
        if is_in:
            filled(*told)
        raise OperationalError("COMMIT", {}, Exception("connection lost"))

    monkeypatch.setattr(imagestate, "filled", fails)
    assert send(site.alice, ident).status_code == 503
    monkeypatch.undo()
    assert site.stored() == ([f"{ident}.raw"] if is_in else [])
    assert shown(site.alice, ident)["status"] == ("active" if is_in else "queued")
    assert send(site.alice, ident).status_code == (409 if is_in else 204)
    assert site.stored() == [f"{ident}.raw"]
