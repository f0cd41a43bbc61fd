"""A front, an image store and a Ganeti, for a model of quotas of images.

Whatever fails, is lost, dies or comes in between, a project never has more images, or octets of them, than it may;
and when all of it is over, what counts is what is shown, and what is shown is what lies in the store.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import strategies as st
from hypothesis.stateful import invariant
from sqlalchemy import insert, select, update
from sqlalchemy.engine import Engine
from werkzeug.exceptions import ClientDisconnected

from frontend.database import db
from frontend.effect import lefttag, owed
from frontend.image import imagequota, savedimage
from frontend.image.imagecare import Care
from frontend.image.imagefetch import FetchError
from frontend.image.imageprocess import Store
from frontend.image.importer import Importer
from frontend.image.settings_images import Images
from frontend.quota import limits, reserved
from frontend.reconcile import difference_saved
from frontend.settings import Front, Settings
from frontend.update.rows import Rows
from tests.unit.frontend.conftest import GIB, MINE, Api, seed, serve
from tests.unit.frontend.images import IMAGES
from tests.unit.frontend.modelled import Ganeti
from tests.unit.frontend.mortal import Fate, Mortal, Works
from tests.unit.frontend.shelf import Content, Shelf
from tests.unit.frontend.test_begun import Killed
from tests.unit.frontend.test_quota_model import Queue

MOST, GIGABYTES, SNAPSHOTS_MOST = 4, 12, 3
WHICH = st.integers(0, 9)
Act = Callable[[], object]
_TABLES = (db.image, db.volume_snapshot)
# How a request goes: well, or its process dies at a step; for jobs, an answer is lost, or Ganeti is away; for content,
# the store fails, who sends it breaks off, or somebody else's request comes between two pieces of it.
FATES = st.one_of(
    st.none(),
    st.none(),
    st.tuples(st.just("dies"), st.integers(1, 40)),
    st.tuples(st.sampled_from(("lost", "away")), st.integers(1, 4)),
    st.tuples(st.just("fails"), st.integers(1, 3)),
    st.tuples(st.just("between"), st.integers(1, 3)),
    st.tuples(st.just("breaks"), st.integers(1, 3)),
)


class Hooked(Ganeti):
    """Its hook makes snapshots, and takes them away, when an instance is modified that is tagged so.

    A tag that is left over, as a chain broke off behind it, makes one that nobody wants, if the instance is modified
    before it is taken away (lefttag.py): these are not in `saved`.
    """

    def __init__(self, rapi: Queue, engine: Engine) -> None:
        super().__init__(rapi, engine)
        self._engine = engine
        self.saved: set[str] = set()

    def modify(self, name: str, body: Mapping[str, Any]) -> None:
        super().modify(name, body)
        for tag in self.instances[name].tags:
            ident = lefttag.ident(tag)
            if ident is not None and tag.startswith("ganeti-ext:forget:"):
                self.saved.discard(ident)
            elif ident is not None and self._is_wanted(ident):
                self.saved.add(ident)

    def _is_wanted(self, ident: str) -> bool:
        with self._engine.begin() as connection:
            found = [connection.execute(select(each.c.status).where(each.c.id == ident)).scalar() for each in _TABLES]
        return not set(found) <= {None, "deleted", "deleting"}


class Site(Mortal):
    def __init__(self) -> None:
        self.shelf = Shelf(self.step)
        super().__init__(Path(_seeded().name), Queue())
        self.ganeti = Hooked(self.rapi, db.connect_writer(self.url))
        self.rapi.step, self.rapi.has_run = self.step, self.ganeti.has_run
        self.late, self.before = itertools.count(1000, 1000), (0, 0)
        for patch in self.shelf.patches():
            self.patch(patch)
        self.patch(mock.patch("frontend.image.imagefetch.fetch", self.fetched))

    def served(self, front: Front) -> Api:
        staging = str(self.folder / "staging")
        self.settings = Settings(front=front, images=Images(max_upload=100 * GIB, staging=staging))
        return serve(front, self.rapi, self.settings)

    # What is asked.

    def ask(self, fate: Fate, works: Works, method: str, path: str, sent: Any = None) -> None:
        kind, number = fate or ("", 0)
        self.rapi.fate = fate if kind in ("lost", "away") else None
        self.shelf.fails = number if kind == "fails" else 0
        try:
            self.request(number if kind == "dies" else None, method, path, sent)
        finally:
            self.rapi.fate, self.rapi.deaf, self.shelf.fails = None, False, 0
        self.work(works)

    def send(self, fate: Fate, ident: str, tail: str, data: bytes, announced: bool, between: Act) -> None:
        """PUT the content of an image; `between` is what somebody else does."""
        kind, number = fate or ("", 0)

        def comes(at: int) -> None:
            self.step()
            if (kind, at) == ("breaks", number):
                raise ClientDisconnected
            if (kind, at) == ("between", number):
                between()

        content, headers = Content(data, comes), {"Content-Type": "application/octet-stream"}
        environ: dict[str, Any] = {"CONTENT_LENGTH": str(len(data))}
        if not announced:
            headers["Transfer-Encoding"] = "chunked"
            environ = {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
        self.shelf.fails = number if kind == "fails" else 0
        how = {"input_stream": content, "headers": headers, "environ_overrides": environ}
        try:
            self.request(number if kind == "dies" else None, "PUT", f"{IMAGES}/{ident}/{tail}", **how)
        finally:
            self.shelf.fails = 0

    def begin_import(self, fate: Fate, ident: str, uri: str | None = None) -> None:
        method = {"name": "web-download", "uri": uri} if uri else {"name": "glance-direct"}
        self.ask(fate, None, "POST", f"{IMAGES}/{ident}/import", {"method": method})

    def fetched(self, uri: str, *_: object) -> Any:
        """Of http://a.example/SIZE, which may break off."""
        size = int(uri.rpartition("/")[2])

        class Download:
            def __init__(self) -> None:
                self.size = None if size % 2 else size

            def __iter__(self) -> Iterator[bytes]:
                yield bytes(size)
                if size % 5 == 4:
                    raise FetchError("the download broke off")

            def close(self) -> None:
                """Nothing is open."""

        return Download()

    def imports(self, fate: Fate) -> None:
        """The importer's turn, which does one task."""
        kind, number = fate or ("", 0)
        self.left = number if kind == "dies" else None
        self.shelf.fails = number if kind == "fails" else 0
        try:
            importer = Importer(self.engine, self.settings)
            if (task := importer._claim()) is not None:
                importer.work(task)
        except Killed:
            self.engine.dispose()
        finally:
            self.left, self.dead, self.shelf.fails = None, False, 0

    def cares(self) -> None:
        Care(self.engine, self.settings, Store("")).work()

    def work(self, works: Works) -> None:
        """Some of the jobs fail; what is told of them comes in any order, and some of it twice."""
        if works is not None:
            shuffle, failing = works
            self.ganeti.fails = {self.ganeti._seen + number for number in failing}
            self.ganeti.run(random.Random(shuffle))

    # What there is.

    def rows(self, table: Any = db.image) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            found = db.rows(connection, select(table).order_by(table.c.created, table.c.id))
        return [row for row in found if row.get("owner_id", MINE) == MINE]

    def one(self, which: int, *statuses: str) -> str:
        """The id of one of the images that are so, or of none."""
        found = [row["id"] for row in self.rows() if not statuses or row["status"] in statuses]
        return str(found[which % len(found)]) if found else "0ddddddd-0000-4000-8000-00000000000f"

    def has(self, status: str) -> bool:
        return any(row["status"] == status for row in self.rows())

    def server(self) -> str:
        return str(self.rows(db.server)[0]["id"])

    def volume(self) -> str:
        return str(self.rows(db.volume)[0]["id"])

    def snapshot(self, which: int) -> str:
        found = [row["id"] for row in self.rows(db.volume_snapshot)]
        return str(found[which % len(found)]) if found else self.volume()

    def allow(self, **columns: int) -> None:
        self.before = self.used()
        with self.engine.begin() as connection:
            connection.execute(update(db.project).where(db.project.c.id == MINE).values(columns))

    def fill(self, but: int) -> None:
        """Leave room for so many octets."""
        ident, size = "0fffffff-0000-4000-8000-00000000000f", GIGABYTES * GIB - but
        self.shelf.images[ident] = size
        columns = {"id": ident, "name": "large", "owner_id": MINE, "visibility": "private", "size": size}
        more = {"sha256": "", "min_disk": 0, "min_ram": 0, "created": 1.0, "properties": {}, "protected": False}
        with self.engine.begin() as connection:
            connection.execute(insert(db.image).values({**columns, **more, "provider": "cow"}))

    def used(self) -> tuple[int, int]:
        with self.engine.connect() as connection:
            return imagequota.used(connection, MINE)

    @invariant()
    def no_more_is_there_than_may_be(self) -> None:
        """Nor does what is more, since it may be less, become any more."""
        now, rows = self.used(), [row for row in self.rows() if row["status"] != "deleted"]
        with self.engine.connect() as connection:
            most = limits.of(connection, MINE, ("images", "image_gigabytes"))
        allowed = (most["images"], most["image_gigabytes"] * GIB)
        assert all(there <= max(limit, before) for there, limit, before in zip(now, allowed, self.before, strict=True))
        self.before = now
        shown = self.api.get(IMAGES).get_json()["images"]
        assert {each["id"] for each in shown if each["owner"] == MINE} == {row["id"] for row in rows}
        assert now == (len(rows), sum(row["size"] for row in rows))
        staged = self.staged()
        for row in rows:
            assert row["status"] != "uploading" or row["size"] == staged.get(row["id"], row["size"])

    def staged(self) -> dict[str, int]:
        with contextlib.suppress(FileNotFoundError):
            found = os.scandir(self.folder / "staging")
            return {entry.name: entry.stat().st_size for entry in found if "." not in entry.name}
        return {}

    @invariant()
    def what_ganeti_has_is_somebodys(self) -> None:
        """As long as it is not removed."""
        assert self.ganeti.saved <= {row["id"] for table in _TABLES for row in self.rows(table)}

    def compare(self) -> None:
        """Of the reconciler what is about images."""
        found = difference_saved.differences(self.engine, self.rapi, time.time())
        with self.engine.begin() as connection:
            for each in found:
                savedimage.settle(Rows(connection, "gx-", time.time()), *difference_saved.verdict(each))
            for name, instance in self.ganeti.instances.items():
                for tag in lefttag.of_nobody(connection, name, instance.tags):
                    owed.promise_untag(connection, lefttag.ident(tag) or "", name, tag, time.time())
        self.rapi.tags = {name: sorted(instance.tags) for name, instance in self.ganeti.instances.items()}
        self.pays(next(self.late))

    def settle(self) -> None:
        """All jobs are over and told of, all imports done, and nobody is at anything any more."""
        for _ in range(4):
            self.later += 700.0
            self.work((0, set()))
            self.pays(next(self.late))
            self.imports(None)
            self.cares()
            self.compare()
        self.later += reserved.A_DAY
        self.api = self.api.become("alice")
        for _ in range(8):
            self.imports(None)
        self.cares()
        self.no_more_is_there_than_may_be()
        rows = self.rows()
        with self.engine.connect() as connection:
            assert db.rows(connection, select(db.owed).where(db.owed.c.what != "create")) == []
            tasks = db.rows(connection, select(db.image_task))
        assert {row["status"] for row in rows} <= {"queued", "uploading", "active", "killed"}
        assert {task["status"] for task in tasks} <= {"success", "failure"}
        stored = {row["id"]: row["size"] for row in rows if row["origin"] is None and row["status"] == "active"}
        assert self.shelf.images == stored
        assert set(self.staged()) == {row["id"] for row in rows if row["status"] == "uploading"}
        there = {row["id"] for row in rows if row["origin"] and row["status"] == "active"}
        there |= {row["id"] for row in self.rows(db.volume_snapshot) if row["status"] == "available"}
        assert there <= self.ganeti.saved
        self.what_ganeti_has_is_somebodys()


@functools.cache
def _seeded() -> tempfile.TemporaryDirectory[str]:
    """A database with a project that may have little, made once."""
    folder = tempfile.TemporaryDirectory()
    engine = db.connect(f"sqlite:///{folder.name}/front.db")
    seed(engine)
    most = {"max_images": MOST, "max_image_gigabytes": GIGABYTES, "max_snapshots": SNAPSHOTS_MOST}
    with engine.begin() as connection:
        connection.execute(update(db.project).where(db.project.c.id == MINE).values(most))
    engine.dispose()
    return folder
