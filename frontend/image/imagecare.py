"""What images need done besides imports: uploads that died, deletions that failed, facts beside images and snapshots.

All of it is found in the database, so that whoever died leaves nothing to be forgotten; done twice, none does harm.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Table, func, or_, select, update
from sqlalchemy.engine import Engine
from sqlalchemy.sql.expression import ColumnElement, Select

from frontend.database import db
from frontend.image import imagenotes, imagestate
from frontend.image.imageprocess import Store
from frontend.image.imagestate import DELETED, FILLED, IMPORTING, LEASE, QUEUED, SAVING, UPLOADING
from frontend.settings import Settings
from ganeti_ext.errors import ExtError

log = logging.getLogger(__name__)

_MOST = 20
_PAUSE = 60.0  # seconds without another try of what has failed
_OLD = 86400.0
_IMAGE, _SNAPSHOT = db.image.c, db.volume_snapshot.c
_THERE = ("available", "error_deleting")  # statuses of snapshots that the store has


Row = dict[str, Any]

# By table: what its rows are called, and what is written down of one.
_KINDS = {"image": ("image", imagenotes.of_image), "volume_snapshot": ("snapshot", imagenotes.of_snapshot)}


def _imported() -> Select[Any]:
    """The images that an importer is at, or was: it, or whoever takes the task up, puts an end to that first."""
    return select(db.image_task.c.image_id).where(db.image_task.c.status == "processing")


class Care:
    """`work` is to be called again and again."""

    def __init__(self, engine: Engine, settings: Settings, store: Store) -> None:
        self._engine, self._settings, self._store = engine, settings, store
        self._failed: dict[str, float] = {}  # by image, when

    def work(self) -> None:
        """All that is due."""
        now = time.time()
        self._failed = {ident: when for ident, when in self._failed.items() if when > now - _PAUSE}
        dead = _IMAGE.lease < now
        for image in self._rows(_IMAGE.status == SAVING, _IMAGE.origin.is_(None), dead):
            self._requeue(image, dead, self._clear)
        for image in self._rows(_IMAGE.status == UPLOADING, dead):
            self._requeue(image, dead, self._unstage)
        idle = (or_(_IMAGE.lease.is_(None), dead), _IMAGE.id.not_in(_imported()))
        for image in self._rows(_IMAGE.status == DELETED, _IMAGE.origin.is_(None), *idle):
            imagestate.drop(self._engine, self._store, image)
            self._failed[image["id"]] = now
        changed = _IMAGE.noted < func.coalesce(_IMAGE.updated, _IMAGE.created)
        for image in self._rows(_IMAGE.status.in_(FILLED), or_(_IMAGE.noted.is_(None), changed)):
            self._note(db.image, image)
        changed = or_(_SNAPSHOT.noted.is_(None), _SNAPSHOT.noted < _SNAPSHOT.updated)
        for snapshot in self._rows(_SNAPSHOT.status.in_(_THERE), changed, table=db.volume_snapshot):
            self._note(db.volume_snapshot, snapshot)
        self._clear_staging(now)

    def _requeue(self, image: Row, dead: ColumnElement[bool], clear: Callable[[Row], bool]) -> None:
        """An upload whose process is gone; if it only slept, it finds that the image is not its own any more."""
        ident, status, by = image["id"], image["status"], imagestate.filler()
        with self._engine.begin() as connection:
            write = update(db.image).where(_IMAGE.id == ident, _IMAGE.status == status, dead)
            if not connection.execute(write.values(filler=by, lease=time.time() + LEASE)).rowcount:
                return
        if clear(image):
            imagestate.turn(self._engine, ident, status, QUEUED, by)
            log.info("image %s: its upload broke off", ident)
        else:
            self._failed[ident] = time.time()
            imagestate.turn(self._engine, ident, status, status, by, lease=0.0)

    def _clear(self, image: Row) -> bool:
        return imagestate.cleared(self._store, image, "what is left of its upload")

    def _unstage(self, image: Row) -> bool:
        imagestate.unstage(self._settings.images.staging, image["id"])
        return True

    def _note(self, table: Table, row: Row) -> None:
        kind, facts = _KINDS[table.name]
        with self._engine.connect() as connection:
            note = facts(connection, row)
        try:
            self._store.note(note.name, note.provider, note.facts)
        except ExtError as err:
            self._failed[row["id"]] = time.time()
            log.warning("%s %s: its facts are not written down: %s", kind, row["id"], err)
            return
        with self._engine.begin() as connection:
            same = (table.c.id == row["id"], table.c.noted.is_not_distinct_from(row["noted"]))
            values = {"noted": row["updated"] or row["created"]}
            if not connection.execute(update(table).where(*same).values(values)).rowcount:
                # Something changed, or somebody wrote meanwhile, and older words may stand there now.
                connection.execute(update(table).where(table.c.id == row["id"]).values(noted=None))

    def _clear_staging(self, now: float) -> None:
        """What nobody waits for any more."""
        folder = self._settings.images.staging
        try:
            names = [entry.name for entry in os.scandir(folder) if entry.stat().st_mtime < now - _OLD]
        except FileNotFoundError:
            return
        wanted = {row["id"] for row in self._rows(_IMAGE.status.in_((UPLOADING, IMPORTING)), most=None)}
        for name in names:
            if name.partition(".")[0] not in wanted:
                imagestate.unstage(folder, name)

    def _rows(self, *conditions: ColumnElement[bool], most: int | None = _MOST, table: Table = db.image) -> list[Row]:
        query = select(table).where(*conditions, table.c.id.not_in(list(self._failed)))
        with self._engine.connect() as connection:
            return db.rows(connection, query.order_by(table.c.updated).limit(most))
