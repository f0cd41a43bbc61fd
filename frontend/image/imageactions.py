"""POST /v2/images/ID/actions/..., PUT and DELETE .../tags/TAG."""

from __future__ import annotations

import logging
import time
from typing import Any

from sqlalchemy import select, update

from frontend.database import db
from frontend.image import images, imagestate, imagevalues
from frontend.web import context
from frontend.web.fault import NotFound

log = logging.getLogger(__name__)


def deactivate(image_id: str) -> tuple[str, int]:
    """Nobody but administrators downloads it then, and no server is made of it."""
    return _turn(image_id, imagestate.ACTIVE, imagestate.DEACTIVATED)


def reactivate(image_id: str) -> tuple[str, int]:
    return _turn(image_id, imagestate.DEACTIVATED, imagestate.ACTIVE)


def add_tag(image_id: str, tag: str) -> tuple[str, int]:
    return _tag(image_id, lambda old: imagevalues.tags([*old, tag]))


def remove_tag(image_id: str, tag: str) -> tuple[str, int]:
    def without(old: list[str]) -> list[str]:
        if tag not in old:
            raise NotFound(f"Tag {tag[:80]} was not found.")
        return [each for each in old if each != tag]

    return _tag(image_id, without)


def _turn(image_id: str, before: str, after: str) -> tuple[str, int]:
    image = images.need_own(image_id, "change")
    images.need_status(image, before, after)
    if imagestate.turn(context.services().engine, image_id, before, after):
        log.info("image %s: %s", image_id, after)
    return "", 204


def _tag(image_id: str, change: Any) -> tuple[str, int]:
    images.need_own(image_id, "tag")
    column = db.image.c
    with context.database() as connection:
        old = connection.execute(select(column.tags).where(column.id == image_id).with_for_update()).scalar() or []
        values = {"tags": change(old), "updated": time.time()}
        connection.execute(update(db.image).where(column.id == image_id).values(values))
        connection.commit()
    return "", 204
