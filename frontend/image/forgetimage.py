"""Snapshots that nobody wants any more, of images and of volumes: out of sight, and removed by a hook on a node.

What carries the removal is a job on an instance with a disk, whichever it is (translate_image.py). While there is none,
or Ganeti is away, the row stays as it is, and whoever makes or deletes an image or snapshot later tries once more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, case, or_, select, update

from frontend.database import db
from frontend.effect import chain, clusters, translate_image
from frontend.effect.purpose import FORGET, Purpose
from frontend.usage import meter
from frontend.web import context
from ganeti_ext.errors import ExtError

log = logging.getLogger(__name__)

DELETED, DELETING = "deleted", "deleting"
_AGAIN = 600.0  # seconds after which nobody is at it any more
_MOST = 3
_STANDING = ("ACTIVE", "SHUTOFF", "VERIFY_RESIZE")


class Unwanted(NamedTuple):
    """A snapshot; `near` is the server or volume that it is of, `before` the job that is to be over first."""

    ident: str
    provider: str
    pool: str | None
    project: str
    near: str
    before: int | None = None
    cluster: str = clusters.HOME


def remove(image: Mapping[str, Any]) -> None:
    """Of an image with an origin of its own; who may do that, has been looked at."""
    with context.database() as connection:
        connection.execute(
            update(db.image).where(db.image.c.id == image["id"]).values(status=DELETED, updated=time.time())
        )
        touch_snapshot(connection, image)
        meter.of_image(connection, image["id"], time.time())
        connection.commit()
    _keep_job(db.image, image["id"], carry(_of_image(image)))


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
    job = carry(_of_snapshot(row))
    _keep_job(db.volume_snapshot, row["id"], job)
    return job


def again() -> None:
    """Some of those that are left over."""
    # Whoever has the store removes what was uploaded there (imagestate.py).
    images = (db.image.c.status == DELETED, db.image.c.origin.is_not(None))
    for row in _left(db.image, *images):
        _keep_job(db.image, row["id"], carry(_of_image(row)))
    for row in _left(db.volume_snapshot, db.volume_snapshot.c.status == DELETING):
        _keep_job(db.volume_snapshot, row["id"], carry(_of_snapshot(row)))


def carry(unwanted: Unwanted) -> int | None:
    """The last of the jobs that remove it; None when there could be none."""
    ident = unwanted.ident
    with context.database() as connection:
        instance = _carrier(connection, unwanted)
    if instance is None:
        log.warning("snapshot %s: there is no instance now whose node could remove it", ident)
        return None
    steps = translate_image.forget(instance, unwanted.provider, ident, unwanted.pool)
    try:
        jobs = chain.submit(
            context.services().clusters.rapi(unwanted.cluster), steps, Purpose(FORGET, ident), unwanted.before
        )
    except ExtError as err:
        log.warning("snapshot %s: it is removed later: %s", ident, err)
        return None
    log.info("snapshot %s: it is removed by job %d, on %s", ident, jobs[1], instance)
    return jobs[-1]


def _of_image(row: Mapping[str, Any]) -> Unwanted:
    # An image of a server whose first disk is a volume has nothing of its own: then there is nothing to be removed.
    near = (row["properties"] or {}).get("instance_uuid", "")
    # What saves it is to be over; of what was active, nobody asks Ganeti any more.
    before = row["job"] if row["status"] == "saving" else None
    return Unwanted(row["id"], row["provider"], row.get("pool"), row["owner_id"], near, before, clusters.of(row))


def _of_snapshot(row: Mapping[str, Any]) -> Unwanted:
    before = row["job"] if row["status"] == "creating" else None
    return Unwanted(
        row["id"], row["provider"], row["pool"], row["project_id"], row["volume_id"], before, clusters.of(row)
    )


def _left(table: Table, *conditions: Any) -> list[dict[str, Any]]:
    column, now = table.c, time.time()
    with context.database() as connection:
        query = select(table).where(*conditions, or_(column.updated.is_(None), column.updated < now - _AGAIN))
        found = db.rows(connection, query.order_by(column.updated).limit(_MOST))
        connection.execute(update(table).where(column.id.in_([row["id"] for row in found])).values(updated=now))
        connection.commit()
    return found


def _keep_job(table: Table, ident: str, job: int | None) -> None:
    if job is None:
        return
    with context.database() as connection:
        connection.execute(update(table).where(table.c.id == ident).values(job=job))
        connection.commit()


def _carrier(connection: Connection, unwanted: Unwanted) -> str | None:
    """An instance that Ganeti has, on a node that answers: rather that which it is of, or one of the same project."""
    found: str | None = None
    # A volume that no server has is on its holder; one that has none of its disks carries nothing.
    servers = (db.server, db.server.c.status.in_(_STANDING))
    holders = (db.volume, db.volume.c.held.is_(True) & db.volume.c.status.in_(("available", "error")))
    for table, there in (servers, holders):
        column = table.c
        near = case((column.id == unwanted.near, 0), (column.project_id == unwanted.project, 1), else_=2)
        query = select(column.instance, near.label("near")).where(
            column.cluster == unwanted.cluster, column.deleted.is_(None), there
        )
        row = connection.execute(query.order_by(near, column.created).limit(1)).first()
        if row is not None and (found is None or row.near == 0):
            found = row.instance
    return found
