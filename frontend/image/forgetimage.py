"""Snapshots that nobody wants any more, of images and of volumes: out of sight, and removed (unwanted.py)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import update
from sqlalchemy.engine import Connection

from frontend.database import db
from frontend.effect import translate_image, unwanted
from frontend.effect.unwanted import DELETED, DELETING, Unwanted
from frontend.usage import meter
from frontend.web import context


def remove(image: Mapping[str, Any]) -> None:
    """Of an image with an origin of its own; who may do that, has been looked at."""
    with context.database() as connection:
        connection.execute(
            update(db.image).where(db.image.c.id == image["id"]).values(status=DELETED, updated=time.time())
        )
        touch_snapshot(connection, image)
        meter.of_image(connection, image["id"], time.time())
        connection.commit()
    unwanted.carry(context.services().engine, context.rapi(image), Unwanted.image(image))


def touch_snapshot(connection: Connection, image: Mapping[str, Any]) -> None:
    """Of a volume, that an image is which goes: it is written down anew, without the image (imagecare.py)."""
    column = db.volume_snapshot.c
    mine = column.id == translate_image.saved(image["origin"])
    connection.execute(update(db.volume_snapshot).where(mine).values(noted=None))


def remove_snapshot(row: Mapping[str, Any]) -> int | None:
    """Of a volume; it is shown as long as it is there. The last job's number, if there are any."""
    column = db.volume_snapshot.c
    values = {"status": DELETING, "fault": None, "updated": time.time()}
    with context.database() as connection:
        connection.execute(update(db.volume_snapshot).where(column.id == row["id"]).values(values))
        connection.commit()
    return unwanted.carry(context.services().engine, context.rapi(row), Unwanted.snapshot(row))
