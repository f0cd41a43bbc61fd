"""Snapshots that nobody wants any more, of images and of volumes: removed by a hook on a node.

What carries the removal is a job on an instance with a disk, whichever it is (translate_image.py). While there is none,
or Ganeti is away, the row stays as it is, and the payer tries again (payer.py).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Table, case, or_, select, update
from sqlalchemy.engine import Connection, Engine

from frontend.database import db
from frontend.effect import chain, clusters, translate_image
from frontend.effect.purpose import FORGET, Purpose
from frontend.effect.remote import RemoteApi
from ganeti_ext.errors import ExtError

log = logging.getLogger(__name__)

DELETED, DELETING = "deleted", "deleting"
_AGAIN = 600.0  # seconds after which nobody is at it any more
_MOST = 3
_STANDING = ("ACTIVE", "SHUTOFF", "VERIFY_RESIZE")


class Unwanted(NamedTuple):
    """A snapshot; `near` is the server or volume that it is of, `before` the job that is to be over first."""

    table: Table
    ident: str
    provider: str
    pool: str | None
    project: str
    near: str
    before: int | None
    cluster: str

    @classmethod
    def image(cls, row: Mapping[str, Any]) -> Unwanted:
        # An image of a server whose first disk is a volume has nothing of its own: nothing is to be removed then.
        near = (row["properties"] or {}).get("instance_uuid", "")
        # What saves it is to be over; of what was active, nobody asks Ganeti any more.
        before = row["job"] if row["status"] == "saving" else None
        where = (row["provider"], row.get("pool"), row["owner_id"])
        return cls(db.image, row["id"], *where, near, before, clusters.of(row))

    @classmethod
    def snapshot(cls, row: Mapping[str, Any]) -> Unwanted:
        before = row["job"] if row["status"] == "creating" else None
        where = (row["provider"], row["pool"], row["project_id"])
        return cls(db.volume_snapshot, row["id"], *where, row["volume_id"], before, clusters.of(row))


def again(engine: Engine, rapi: RemoteApi, now: float) -> None:
    """Some of those of a cluster that are left over. SQLAlchemyError when the database does not work."""
    cluster = clusters.asked(rapi)
    # Whoever has the store removes what was uploaded there (imagestate.py).
    images = (db.image.c.status == DELETED, db.image.c.origin.is_not(None))
    for row in _left(engine, db.image, cluster, now, *images):
        carry(engine, rapi, Unwanted.image(row))
    for row in _left(engine, db.volume_snapshot, cluster, now, db.volume_snapshot.c.status == DELETING):
        carry(engine, rapi, Unwanted.snapshot(row))


def carry(engine: Engine, rapi: RemoteApi, unwanted: Unwanted) -> int | None:
    """The last of the jobs that remove it; None when there could be none."""
    ident = unwanted.ident
    with engine.begin() as connection:
        instance = _carrier(connection, unwanted)
    if instance is None:
        log.warning("snapshot %s: there is no instance now whose node could remove it", ident)
        return None
    steps = translate_image.forget(instance, unwanted.provider, ident, unwanted.pool)
    try:
        jobs = chain.submit(rapi, steps, Purpose(FORGET, ident), unwanted.before)
    except ExtError as err:
        log.warning("snapshot %s: it is removed later: %s", ident, err)
        return None
    log.info("snapshot %s: it is removed by job %d, on %s", ident, jobs[1], instance)
    with engine.begin() as connection:
        mine = unwanted.table.c.id == ident
        connection.execute(update(unwanted.table).where(mine).values(job=jobs[-1]))
    return jobs[-1]


def _left(engine: Engine, table: Table, cluster: str, now: float, *conditions: Any) -> list[dict[str, Any]]:
    column = table.c
    with engine.begin() as connection:
        old = or_(column.updated.is_(None), column.updated < now - _AGAIN)
        query = select(table).where(*conditions, old, column.cluster == cluster)
        found = db.rows(connection, query.order_by(column.updated).limit(_MOST))
        connection.execute(update(table).where(column.id.in_([row["id"] for row in found])).values(updated=now))
    return found


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
