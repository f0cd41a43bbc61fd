"""What messages of jobs tell of images that are saved, of snapshots of volumes, and of such that are removed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table, delete, select, update

from frontend.database import db
from frontend.effect import purpose
from frontend.effect.purpose import Purpose
from frontend.effect.translate import MIB
from frontend.effect.unwanted import DELETED
from frontend.image import imagedisks
from frontend.update import state
from frontend.update.rows import Rows
from frontend.usage import meter
from ganeti_ext import event

log = logging.getLogger(__name__)

_CARRIES = "OP_INSTANCE_SET_PARAMS"
# Ganeti goes on with a job when it cannot reach the node that is to run its hook (hooksmaster.py RunPhase).
_UNHEARD = "Communication failure to node"
_FAULT = 4096  # characters

SAVING, KILLED, ACTIVE = "saving", "killed", "active"
CREATING, AVAILABLE, DELETING, ERROR, ERROR_DELETING = "creating", "available", "deleting", "error", "error_deleting"


def apply(rows: Rows, message: Mapping[str, Any]) -> bool:
    """Whether the message was the one that an image or a snapshot waited for; told again, it changes nothing."""
    known = purpose.of(message)
    if message["operation"] != _CARRIES or message["status"] not in event.FINAL or known is None:
        return False
    why = None
    if message["status"] != "success":
        why = str(message.get("result") or f"job {message['order'][2]} ended as {message['status']}")
    elif _UNHEARD in str(message.get("logmsg") or ""):
        why = str(message["logmsg"])
    changed = settle(rows, known, why, message.get("instance_disks") or ())
    if changed:
        _meter(rows, known.detail, state.seconds(message["order"]))
    return changed


def _meter(rows: Rows, ident: str, at: float) -> None:
    """What counts of an image and its snapshots, or of a snapshot, from the job's end on."""
    meter.of_image(rows.connection, ident, at)
    image = db.row(rows.connection, select(db.image).where(db.image.c.id == ident))
    others = [row["id"] for row in imagedisks.snapshots(rows.connection, image)] if image else []
    meter.of_snapshots(rows.connection, [ident, *others], at)


def settle(rows: Rows, known: Purpose, why: str | None, disks: Any = ()) -> bool:
    """What was for this is over: well, or `why` not. `disks` are those of the instance, each of `size` MiB."""
    if known.kind == purpose.SNAPSHOT:
        return _saved(rows, known.detail, why, disks)
    if known.kind == purpose.UPLOAD_VOLUME:  # whose size was known
        return _saved(rows, known.detail, why, ())
    if known.kind == purpose.SNAPSHOT_VOLUME:
        return _made(rows, [known.detail], why)
    return known.kind == purpose.FORGET and _forgotten(rows, known.detail, why)


def _saved(rows: Rows, ident: str, why: str | None, disks: Any) -> bool:
    mine = (db.image.c.id == ident, db.image.c.status == SAVING)
    image = db.row(rows.connection, select(db.image).where(*mine))
    if image is None:
        return False
    values: dict[str, Any] = {"status": KILLED if why else ACTIVE, "updated": rows.now}
    if not why and disks and isinstance(disks[0].get("size"), int) and not imagedisks.is_from_volume(image):
        values["size"] = disks[0]["size"] * MIB
    rows.connection.execute(update(db.image).where(*mine).values(values))
    _tell(rows, "image", ident, values["status"], why)
    _made(rows, [row["id"] for row in imagedisks.snapshots(rows.connection, image)], why)
    return True


def _made(rows: Rows, idents: list[str], why: str | None) -> bool:
    values = {"status": ERROR if why else AVAILABLE, "fault": (why or "")[:_FAULT] or None, "updated": rows.now}
    return _change(rows, idents, CREATING, values, why)


def _forgotten(rows: Rows, ident: str, why: str | None) -> bool:
    if why:
        # What is left of an image, somebody tries again to remove (unwanted.py); of a snapshot, who it belongs to.
        values = {"status": ERROR_DELETING, "fault": why[:_FAULT], "updated": rows.now}
        return _change(rows, [ident], DELETING, values, why)
    gone = [_drop(rows, db.image, ident, DELETED), _drop(rows, db.volume_snapshot, ident, DELETING)]
    if any(gone):
        rows.after.append(lambda: log.info("snapshot %s is removed", ident))
    return any(gone)


def _change(rows: Rows, idents: list[str], status: str, values: dict[str, Any], why: str | None) -> bool:
    """Of the snapshots those that have this status."""
    column = db.volume_snapshot.c
    changed = 0
    for ident in idents:
        write = update(db.volume_snapshot).where(column.id == ident, column.status == status).values(values)
        if rows.connection.execute(write).rowcount:
            _tell(rows, "snapshot", ident, values["status"], why)
            changed += 1
    return changed > 0


def _drop(rows: Rows, table: Table, ident: str, status: str) -> bool:
    return rows.connection.execute(delete(table).where(table.c.id == ident, table.c.status == status)).rowcount > 0


def _tell(rows: Rows, what: str, ident: str, status: str, why: str | None) -> None:
    words = f": {why}" if why else ""
    rows.after.append(lambda: log.info("%s %s: %s%s", what, ident, status, words))
