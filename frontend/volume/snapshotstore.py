"""Snapshots of volumes: found, made and removed. Each is a snapshot of the provider's, which a hook makes."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection

from frontend.database import db
from frontend.effect import chain, translate_image
from frontend.effect import translate_volume as translate
from frontend.effect.chain import UnfinishedError
from frontend.effect.purpose import SNAPSHOT_VOLUME, Purpose
from frontend.effect.translate_image import Shot
from frontend.image import forgetimage
from frontend.volume import volumeeffect, volumename, volumequota
from frontend.web import context
from frontend.web.fault import BadRequest, Conflict, NotFound
from ganeti_ext.errors import ExtError

log = logging.getLogger(__name__)

Row = Mapping[str, Any]

CREATING, AVAILABLE, DELETING, ERROR, ERROR_DELETING = "creating", "available", "deleting", "error", "error_deleting"
STATUSES = (AVAILABLE, CREATING, DELETING, ERROR, ERROR_DELETING)
_REMOVABLE = (AVAILABLE, ERROR, ERROR_DELETING)


def need(snapshot_id: str) -> dict[str, Any]:
    """The caller's project's, or for an administrator anybody's; NotFound."""
    with context.database() as connection:
        row = db.row(connection, select(db.volume_snapshot).where(db.volume_snapshot.c.id == snapshot_id))
    if row is None or (row["project_id"] != context.project_id() and not context.is_admin()):
        raise NotFound(f"Snapshot {snapshot_id} could not be found.")
    return row


def of_volume(connection: Connection, volume_id: str) -> list[dict[str, Any]]:
    """The snapshots of a volume, the oldest first."""
    column = db.volume_snapshot.c
    query = select(db.volume_snapshot).where(column.volume_id == volume_id)
    return db.rows(connection, query.order_by(column.created, column.id))


def new(volume_id: str, size: int, name: str, provider: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """The row of a snapshot that is to be made for the caller: `size` in GiB, `provider` as translate_volume tells."""
    now = time.time()
    return {
        "id": str(uuid.uuid4()),
        "volume_id": volume_id,
        "project_id": context.project_id(),
        "user_id": context.caller().user_id,
        "name": name,
        "description": None,
        "size": size,
        "status": CREATING,
        "fault": None,
        "provider": provider["provider"],
        "pool": provider.get("pool"),
        "metadata": {},
        "created": now,
        "updated": now,
        "job": None,
        **more,
    }


def create(volume: Row, name: str, description: str | None, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Of a volume as it is now, also while a server has it; its state has been looked at."""
    kind = translate.provider(volume["type"])
    row = new(volume["id"], volume["size"], name, kind, description=description, metadata=dict(metadata))
    row |= {"project_id": volume["project_id"], "cluster": volume["cluster"]}
    instance, _ = volumeeffect.where(volume)
    with context.database() as connection:
        volumequota.check(connection, row["project_id"], {"snapshots": 1, "gigabytes": row["size"]})
        # First the row, so that whatever is told of the jobs finds it.
        connection.execute(insert(db.volume_snapshot).values(row))
        connection.commit()
    shot = Shot(row["id"], row["provider"], row["pool"], volumename.disk(volume["id"]))
    steps = translate_image.save_all(instance, [shot])
    try:
        jobs = chain.submit(context.rapi(volume), steps, Purpose(SNAPSHOT_VOLUME, row["id"]))
    except UnfinishedError:
        return row
    except ExtError:
        with context.database() as connection:
            drop(connection, row["id"])
            connection.commit()
        raise
    with context.database() as connection:
        keep_job(connection, [row["id"]], jobs[-1])
        connection.commit()
    log.info("snapshot %s of volume %s: jobs %s, on %s", row["id"], volume["id"], jobs, instance)
    return row


def remove(row: Row, *, force: bool = False) -> int | None:
    """The last job that does so; BadRequest in a state in which it cannot be; `force`: in whatever state."""
    if row["status"] not in _REMOVABLE and not force:
        raise BadRequest(
            f"Invalid snapshot: Snapshot {row['id']} status must be {' or '.join(_REMOVABLE)}, "
            f"but current status is: {row['status']}."
        )
    return forgetimage.remove_snapshot(row)


def change(row: Row, values: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of a row that is not on its way out; the row after."""
    column = db.volume_snapshot.c
    new_values = {**values, "updated": time.time()}
    with context.database() as connection:
        write = update(db.volume_snapshot).where(column.id == row["id"]).values(new_values)
        if not connection.execute(write).rowcount:
            raise Conflict(f"Snapshot {row['id']} has just been deleted.")
        connection.commit()
    return {**row, **new_values}


def keep_job(connection: Connection, idents: list[str], job: int) -> None:
    connection.execute(update(db.volume_snapshot).where(db.volume_snapshot.c.id.in_(idents)).values(job=job))


def drop(connection: Connection, *idents: str) -> None:
    """Of such that nothing is there of."""
    connection.execute(delete(db.volume_snapshot).where(db.volume_snapshot.c.id.in_(idents)))
