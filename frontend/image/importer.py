"""Does the imports that tenants asked for, and what else images need done: see imagecare.py.

A task is taken with a lease, which is renewed as long as its thread lives. If this process dies, another one, or itself
when it is back, takes the task up again when the lease has run out, and begins from the start: what was not whole has
left nothing. After a few such ends it is given up, and the tenant is told.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import and_, or_, select, update
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.expression import ColumnElement

from frontend.database import db
from frontend.image import imagefetch, imagequota, imagestate
from frontend.image.imagecare import Care
from frontend.image.imagefetch import FetchError, Rules
from frontend.image.imageimport import DIRECT, PENDING
from frontend.image.imageprocess import Exists, Refused, Store, Stored, Wanted
from frontend.image.imagestate import FILLED, IMPORTING, LEASE, QUEUED, SAVING, LostError
from frontend.settings import Settings
from frontend.web.fault import Fault
from ganeti_ext.errors import ExtError

log = logging.getLogger(__name__)

PROCESSING, SUCCESS, FAILURE = "processing", "success", "failure"
_TRIES = 3
_AGAIN = 20.0
_BROKEN = "The image store does not work now. Try again later, or ask the administrator."

Row = Mapping[str, Any]


class Importer:
    """Several may work on one database. `tick` is to be called every PERIOD seconds."""

    PERIOD = 1.0

    def __init__(self, engine: Engine, settings: Settings, find: imagefetch.Resolve = imagefetch.resolve) -> None:
        self._engine, self._settings, self._find = engine, settings, find
        self._store = Store(settings.images.command)
        self._care = Care(engine, settings, self._store)
        self._threads: list[threading.Thread] = []

    def tick(self) -> None:
        """Begin what is to be done, in threads."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if not any(thread.name == "care" for thread in self._threads):
            self._begin("care", self._care.work)
        try:
            while len(self._threads) <= self._settings.images.importers:
                task = self._claim()
                if task is None:
                    return
                self._begin(f"import {task['id']}", functools.partial(self.work, task))
        except SQLAlchemyError as err:
            log.error("database: %s", str(err).split("\n", 1)[0])

    def wait(self) -> None:
        """Until all that was begun is done."""
        for thread in self._threads:
            thread.join()

    def _begin(self, name: str, act: Callable[[], None]) -> None:
        def run() -> None:
            try:
                act()
            except SQLAlchemyError as err:
                log.error("%s: database: %s; again later", name, str(err).split("\n", 1)[0])

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _claim(self) -> Row | None:
        column, now = db.image_task.c, time.time()
        due = or_(column.status == PENDING, and_(column.status == PROCESSING, column.lease < now))
        with self._engine.begin() as connection:
            query = select(db.image_task).where(due).order_by(column.created).limit(1).with_for_update(skip_locked=True)
            row = db.row(connection, query)
            if row is None:
                return None
            new = {"status": PROCESSING, "lease": now + LEASE, "tries": row["tries"] + 1, "updated": now}
            connection.execute(update(db.image_task).where(column.id == row["id"]).values(new))
            by, mine = imagestate.filler(), (db.image.c.id == row["image_id"], db.image.c.status == IMPORTING)
            connection.execute(update(db.image).where(*mine).values(filler=by))
        return {**row, **new, "filler": by}

    def work(self, task: Row) -> None:
        """One task to its end. SQLAlchemyError when the database does not work: the task is taken up again later."""
        with self._engine.begin() as connection:
            image = db.row(connection, select(db.image).where(db.image.c.id == task["image_id"]))
        is_brought = task["tries"] > 1  # perhaps, by somebody who did not live to say so
        if image is None or image["status"] != IMPORTING:
            is_done = image is not None and image["status"] in FILLED
            self._end(task, *((SUCCESS, None) if is_done else (FAILURE, "The image was deleted.")))
            return
        image["filler"] = task["filler"]
        try:
            if task["tries"] > _TRIES:
                raise FetchError("The import was interrupted again and again.")
            with imagestate.repeated(lambda: self._renew(task), _AGAIN):
                stored = self._import(task, image)
                is_brought = True
                room = functools.partial(imagequota.left, quota=self._settings.quota)
                imagestate.filled(self._engine, self._store, image, IMPORTING, stored, room)
        except LostError as err:
            log.warning("import %s: %s", task["id"], err)
        except (Refused, FetchError, Fault) as err:
            self._fail(task, image, str(err), is_brought)
        except (ExtError, OSError) as err:
            log.error("image %s: import %s: %s", image["id"], task["id"], err)
            self._fail(task, image, _BROKEN, is_brought)
        else:
            imagestate.unstage(self._settings.images.staging, image["id"])
            self._end(task, SUCCESS, None)

    def _import(self, task: Row, image: Row) -> Stored:
        with self._engine.begin() as connection:
            most = imagequota.room(connection, self._settings, image["owner_id"], image["id"])
        wanted = Wanted(image["id"], image["disk_format"], image["provider"], most)
        try:
            return self._bring(task, wanted)
        except Exists:  # made by a process that did not live to say so, or by one that took the task up since
            imagestate.is_deleted(self._engine, image, IMPORTING)
            self._store.remove(image["id"], image["provider"])
            return self._bring(task, wanted)

    def _bring(self, task: Row, wanted: Wanted) -> Stored:
        method, settings = task["input"]["import_req"]["method"], self._settings.images
        if method["name"] == DIRECT:
            path = imagestate.staged(settings.staging, wanted.ident)
            if not os.path.exists(path):
                raise FetchError("What was uploaded is not there any more: upload it again.")
            return self._store.take(wanted, path, lambda _: None)
        rules = Rules.of(settings.import_hosts, settings.import_networks)
        download = imagefetch.fetch(method["uri"], rules, settings.import_seconds, self._find)
        with contextlib.closing(download), self._store.receive(wanted._replace(size=download.size)) as receiver:
            for chunk in download:
                receiver.write(chunk)
            return receiver.finish()

    def _renew(self, task: Row) -> None:
        column = db.image_task.c
        with self._engine.begin() as connection:
            mine = (*_as_taken(task), column.status == PROCESSING)
            connection.execute(update(db.image_task).where(*mine).values(lease=time.time() + LEASE))

    def _fail(self, task: Row, image: Row, why: str, is_brought: bool) -> None:
        """The image waits for content again; where some is in the store, and stays for now, imagecare.py sees to it."""
        log.info("image %s: import %s failed: %s", image["id"], task["id"], why)
        ident, by = image["id"], image["filler"]
        # Not what another has brought, who took the task up. One that was deleted is imagecare.py's.
        if imagestate.turn(self._engine, ident, IMPORTING, SAVING, by, lease=time.time() + LEASE):
            imagestate.unstage(self._settings.images.staging, ident)
            if is_brought and not imagestate.cleared(self._store, image, "what is left of its import"):
                imagestate.turn(self._engine, ident, SAVING, SAVING, by, lease=0.0)
            else:
                imagestate.turn(self._engine, ident, SAVING, QUEUED, by)
        self._end(task, FAILURE, why)

    def _end(self, task: Row, status: str, why: str | None) -> None:
        with self._engine.begin() as connection:
            values = {"status": status, "message": why, "updated": time.time(), "lease": None}
            connection.execute(update(db.image_task).where(*_as_taken(task)).values(values))


def _as_taken(task: Row) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """The task's row, unless another importer has taken it up since."""
    return db.image_task.c.id == task["id"], db.image_task.c.tries == task["tries"]
