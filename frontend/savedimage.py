"""What messages of jobs tell of images that are saved, and of snapshots that are removed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, update

from frontend import db, purpose
from frontend.forgetimage import DELETED
from frontend.rows import Rows
from frontend.translate import MIB
from ganeti_ext import event

log = logging.getLogger(__name__)

_CARRIES = "OP_INSTANCE_SET_PARAMS"


def apply(rows: Rows, message: Mapping[str, Any]) -> bool:
    """Whether the message was the one that an image waited for; told again, it changes nothing."""
    known = purpose.of(message)
    if message["operation"] != _CARRIES or message["status"] not in event.FINAL or known is None:
        return False
    is_done = message["status"] == "success"
    if known.kind == purpose.SNAPSHOT:
        return _saved(rows, message, known.detail, is_done=is_done)
    return known.kind == purpose.FORGET and is_done and _forgotten(rows, known.detail)


def _saved(rows: Rows, message: Mapping[str, Any], ident: str, *, is_done: bool) -> bool:
    values: dict[str, Any] = {"status": "active" if is_done else "killed", "updated": rows.now}
    disks = message.get("instance_disks")
    if is_done and disks and isinstance(disks[0].get("size"), int):
        values["size"] = disks[0]["size"] * MIB
    mine = (db.image.c.id == ident, db.image.c.status == "saving")
    changed = rows.connection.execute(update(db.image).where(*mine).values(values)).rowcount > 0
    if changed:
        why = "" if is_done else f": {message.get('result')}"
        rows.after.append(lambda: log.info("image %s: %s%s", ident, values["status"], why))
    return changed


def _forgotten(rows: Rows, ident: str) -> bool:
    mine = (db.image.c.id == ident, db.image.c.status == DELETED)
    changed = rows.connection.execute(delete(db.image).where(*mine)).rowcount > 0
    if changed:
        rows.after.append(lambda: log.info("image %s: its snapshot is removed", ident))
    return changed
