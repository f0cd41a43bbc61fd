"""Images of servers that were deleted: out of sight at once, and their snapshots removed by a hook on a node.

What carries the removal is a job on an instance, whichever it is (translate_image.py). While there is none, or Ganeti
is away, the row stays with the status `deleted`, and whoever makes or deletes an image later tries once more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import case, select, update

from frontend import chain, context, db, translate_image
from frontend.purpose import FORGET, Purpose
from ganeti_ext.errors import ExtError

log = logging.getLogger(__name__)

DELETED = "deleted"
_AGAIN = 600.0  # seconds after which nobody is at it any more
_MOST = 3


def remove(image: Mapping[str, Any]) -> None:
    """Of an image with an origin of its own; who may do that, has been looked at."""
    with context.database() as connection:
        connection.execute(
            update(db.image).where(db.image.c.id == image["id"]).values(status=DELETED, updated=time.time())
        )
        connection.commit()
    _carry(image)


def again() -> None:
    """Some of those that are left over."""
    column, now = db.image.c, time.time()
    left = (column.status == DELETED, column.updated < now - _AGAIN)
    with context.database() as connection:
        found = db.rows(connection, select(db.image).where(*left).order_by(column.updated).limit(_MOST))
        idents = [row["id"] for row in found]
        connection.execute(update(db.image).where(column.id.in_(idents)).values(updated=now))
        connection.commit()
    for row in found:
        _carry(row)


def _carry(image: Mapping[str, Any]) -> None:
    instance = _carrier(image)
    if instance is None:
        log.warning("image %s: there is no instance now whose node could remove its snapshot", image["id"])
        return
    # What saves it is to be over; of what was active, nobody asks Ganeti any more.
    before = image["job"] if image["status"] == "saving" else None
    steps = translate_image.forget(instance, image["provider"], image["id"])
    try:
        jobs = chain.submit(context.services().rapi, steps, Purpose(FORGET, image["id"]), before)
    except ExtError as err:
        log.warning("image %s: its snapshot is removed later: %s", image["id"], err)
    else:
        log.info("image %s: its snapshot is removed by job %d, on %s", image["id"], jobs[1], instance)


def _carrier(image: Mapping[str, Any]) -> str | None:
    """An instance that Ganeti has, on a node that answers: rather that which it is of, or one of the same project."""
    column = db.server.c
    near = case(
        (column.id == (image["properties"] or {}).get("instance_uuid", ""), 0),
        (column.project_id == image["owner_id"], 1),
        else_=2,
    )
    known = (column.deleted.is_(None), column.status.in_(("ACTIVE", "SHUTOFF", "VERIFY_RESIZE")))
    with context.database() as connection:
        query = select(column.instance).where(*known).order_by(near, column.created).limit(1)
        instance: str | None = connection.execute(query).scalar()
    return instance
