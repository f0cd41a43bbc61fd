"""What images need done besides imports: uploads that died, deletions that failed, facts beside the images.

All of it is found in the database, so that whoever died leaves nothing to be forgotten; done twice, none does harm.
"""

from __future__ import annotations

import logging
import os
import time
from typing import Any

from sqlalchemy import ColumnElement, Engine, func, or_, select, update

from frontend.database import db
from frontend.image import imagefacts, imagestate
from frontend.image.imageprocess import Store
from frontend.image.imagestate import DELETED, FILLED, IMPORTING, QUEUED, SAVING, UPLOADING
from frontend.settings import Settings
from ganeti_ext.errors import ExtError

log = logging.getLogger(__name__)

_MOST = 20
_PAUSE = 60.0  # seconds without another try of what has failed
_OLD = 86400.0
_IMAGE = db.image.c


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
            self._requeue(image, dead)
        for image in self._rows(_IMAGE.status == UPLOADING, dead):
            imagestate.unstage(self._settings.images.staging, image["id"])
            imagestate.turn(self._engine, image["id"], UPLOADING, QUEUED)
        for image in self._rows(_IMAGE.status == DELETED, _IMAGE.origin.is_(None), or_(_IMAGE.lease.is_(None), dead)):
            imagestate.drop(self._engine, self._store, image)
            self._failed[image["id"]] = now
        changed = _IMAGE.noted < func.coalesce(_IMAGE.updated, _IMAGE.created)
        for image in self._rows(_IMAGE.status.in_(FILLED), or_(_IMAGE.noted.is_(None), changed)):
            self._note(image)
        self._clear_staging(now)

    def _requeue(self, image: dict[str, Any], dead: ColumnElement[bool]) -> None:
        """An upload whose process is gone."""
        try:
            self._store.remove(image["id"], image["provider"])
        except ExtError as err:
            self._failed[image["id"]] = time.time()
            log.error("image %s: what is left of its upload stays for now: %s", image["id"], err)
            return
        with self._engine.begin() as connection:
            mine = (_IMAGE.id == image["id"], _IMAGE.status == SAVING, dead)
            connection.execute(update(db.image).where(*mine).values(status=QUEUED, lease=None, updated=time.time()))
        log.info("image %s: its upload broke off", image["id"])

    def _note(self, image: dict[str, Any]) -> None:
        member = db.image_member.c
        with self._engine.connect() as connection:
            members = db.rows(connection, select(db.image_member).where(member.image_id == image["id"]))
            owner = connection.execute(select(db.project.c.name).where(db.project.c.id == image["owner_id"])).scalar()
        try:
            name = imagestate.stored_as(image)
            self._store.note(name, image["provider"], imagefacts.of(image, owner, members))
        except ExtError as err:
            self._failed[image["id"]] = time.time()
            log.warning("image %s: its facts are not written down: %s", image["id"], err)
            return
        with self._engine.begin() as connection:
            # Unless its members changed meanwhile.
            same = (_IMAGE.id == image["id"], _IMAGE.noted.is_not_distinct_from(image["noted"]))
            values = {"noted": image["updated"] or image["created"]}
            connection.execute(update(db.image).where(*same).values(values))

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

    def _rows(self, *conditions: ColumnElement[bool], most: int | None = _MOST) -> list[dict[str, Any]]:
        query = select(db.image).where(*conditions, _IMAGE.id.not_in(list(self._failed)))
        with self._engine.connect() as connection:
            return db.rows(connection, query.order_by(_IMAGE.updated).limit(most))
