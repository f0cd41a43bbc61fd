"""Volumes given from one project to another: offered with a key, which is told once and kept as its SHA-256."""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
import uuid
from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import delete as delete_from
from sqlalchemy import insert, select, true, update
from sqlalchemy.engine import Connection

from frontend.database import db
from frontend.volume import snapshotstore, volumeeffect, volumequota, volumes, volumestate
from frontend.volume.volumemark import mark_in
from frontend.volume.volumeview import Eye, eye, links, stamp
from frontend.web import context, paging, schema
from frontend.web.fault import BadRequest, NotFound
from ganeti_ext.errors import ExtError

log = logging.getLogger(__name__)

Row = Mapping[str, Any]

_TRANSFER = db.volume_transfer.c
# One whose volume was removed in Ganeti is none.
_LIVE = _TRANSFER.volume_id.in_(select(db.volume.c.id).where(db.volume.c.deleted.is_(None)))


def list_short() -> Response:
    """GET /os-volume-transfer, and /volume-transfers: what the project offers."""
    return _list(detailed=False)


def list_detail() -> Response:
    return _list(detailed=True)


def show(transfer_id: str) -> Response:
    return jsonify({"transfer": _detail(_need(transfer_id), eye())})


def create() -> tuple[Response, int]:
    """POST: only of a volume that nobody uses and that has no snapshots. The key stands in this answer alone."""
    sent = schema.mapping(schema.body(), "transfer")
    row = volumes.need(schema.text(sent, "volume_id"))
    name = schema.text(sent, "name") if sent.get("name") else ""
    volumeeffect.check(row, "be transferred", volumestate.AVAILABLE)
    key = secrets.token_hex(16)
    offer = {
        "id": str(uuid.uuid4()),
        "volume_id": row["id"],
        "project_id": row["project_id"],
        "name": name,
        "key_hash": _hash(key),
        "no_snapshots": False,
        "created": time.time(),
    }
    column = db.volume.c
    free = (column.status == volumestate.AVAILABLE, column.task.is_(None))
    with context.database() as connection:
        if snapshotstore.of_volume(connection, row["id"]):
            raise BadRequest(f"Invalid volume: Volume {row['id']} has snapshots, which cannot be given away with it.")
        if not mark_in(connection, row["id"], *free, task=volumestate.OFFERED, status=volumestate.OFFERED):
            raise BadRequest(f"Invalid volume: Volume {row['id']} is in another status by now.")
        connection.execute(insert(db.volume_transfer).values(offer))
        connection.commit()
    log.info("volume %s: offered to whoever has the key of transfer %s", row["id"], offer["id"])
    return jsonify({"transfer": {**_detail(offer, eye()), "auth_key": key}}), 202


def accept(transfer_id: str) -> tuple[Response, int]:
    """POST .../ID/accept: with a wrong key there is no such transfer. Its tags in Ganeti say who has it now."""
    key = schema.text(schema.mapping(schema.body(), "accept"), "auth_key")
    with context.database() as connection:
        query = select(db.volume_transfer).where(_TRANSFER.id == transfer_id, _TRANSFER.key_hash == _hash(key))
        offer = db.row(connection, query)
        if offer is None:
            raise _unknown(transfer_id)
        row = volumes.need(offer["volume_id"], of_all=True)
        volumequota.check(connection, context.project_id(), {"volumes": 1, "gigabytes": row["size"]})
        # Only one who accepts finds the row that is taken away.
        if not connection.execute(delete_from(db.volume_transfer).where(_TRANSFER.id == transfer_id)).rowcount:
            raise _unknown(transfer_id)
        _give(connection, row["id"], context.project_id(), context.caller().user_id)  # counts as his from here on
        connection.commit()
    try:
        volumeeffect.change(row, {"project": context.project_id(), "user": context.caller().user_id})
    except ExtError:
        with context.database() as connection:
            connection.execute(insert(db.volume_transfer).values(offer))
            _give(connection, row["id"], row["project_id"], row["user_id"])
            connection.commit()
        raise
    with context.database() as connection:
        _free(connection, row["id"])
        connection.commit()
    log.info("volume %s: given from project %s to %s", row["id"], offer["project_id"], context.project_id())
    return jsonify({"transfer": _short(offer, eye())}), 202


def delete(transfer_id: str) -> tuple[str, int]:
    """DELETE: the offer is taken back."""
    offer = _need(transfer_id)
    with context.database() as connection:
        connection.execute(delete_from(db.volume_transfer).where(_TRANSFER.id == transfer_id))
        _free(connection, offer["volume_id"])
        connection.commit()
    log.info("volume %s: not offered any more", offer["volume_id"])
    return "", 202


def _give(connection: Connection, volume_id: str, project_id: str, user_id: str) -> None:
    """Whose it is says Ganeti: if who does this dies before its tags say so, too, the next comparison takes it back."""
    values = {"project_id": project_id, "user_id": user_id}
    connection.execute(update(db.volume).where(db.volume.c.id == volume_id).values(values))


def _free(connection: Connection, volume_id: str) -> None:
    """Who dies before he does that leaves a mark that the next comparison takes away."""
    marked = db.volume.c.task == volumestate.OFFERED
    mark_in(connection, volume_id, marked, task=None, status=volumestate.AVAILABLE)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _list(*, detailed: bool) -> Response:
    everybody = context.is_admin() and schema.flag(request.args, "all_tenants", default=False)
    mine = true() if everybody else _TRANSFER.project_id == context.project_id()
    with context.database() as connection:
        query = select(db.volume_transfer).where(mine, _LIVE).order_by(_TRANSFER.created, _TRANSFER.id)
        rows = db.rows(connection, query)
    page, _ = paging.cut(rows[paging.number("offset") :], paging.asked())
    shape = _detail if detailed else _short
    return jsonify({"transfers": [shape(row, eye()) for row in page]})


def _need(transfer_id: str) -> dict[str, Any]:
    """What the caller's project offers, or for an administrator anybody's."""
    mine = true() if context.is_admin() else _TRANSFER.project_id == context.project_id()
    with context.database() as connection:
        found = db.row(connection, select(db.volume_transfer).where(_TRANSFER.id == transfer_id, mine, _LIVE))
    if found is None:
        raise _unknown(transfer_id)
    return found


def _unknown(transfer_id: str) -> NotFound:
    return NotFound(f"Transfer {transfer_id[:80]} could not be found.")


def _short(row: Row, seen: Eye) -> dict[str, Any]:
    return {
        "id": row["id"],
        "volume_id": row["volume_id"],
        "name": row["name"] or None,
        "links": links(seen, "volume-transfers", row["id"]),
    }


def _detail(row: Row, seen: Eye) -> dict[str, Any]:
    return {**_short(row, seen), "created_at": stamp(row["created"])}
