"""/servers/ID/os-volume_attachments: which volumes a server has; given to it and taken from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify
from sqlalchemy import select

from frontend.compute import lock, servers
from frontend.database import db
from frontend.effect import effect
from frontend.volume import attachedvolumes, volumeeffect, volumestate
from frontend.web import context, schema
from frontend.web.fault import BadRequest, NotFound

Row = Mapping[str, Any]

# Of a server whose disks may change (nova/compute/api.py attach_volume).
_STATUSES = ("ACTIVE", "SHUTOFF", "VERIFY_RESIZE")
_ROOT = volumestate.device(0)


def list_all(server_id: str) -> Response:
    server = servers.need(server_id)
    return jsonify({"volumeAttachments": [_shown(row) for row in attachedvolumes.of_server(server["id"])]})


def show(server_id: str, volume_id: str) -> Response:
    return jsonify({"volumeAttachment": _shown(_need(server_id, volume_id))})


def attach(server_id: str) -> Response:
    """POST: the volume is `attaching` when this answers, and `in-use` when the guest has it."""
    sent = schema.mapping(schema.body(), "volumeAttachment")
    ident, device = schema.text(sent, "volumeId"), schema.text(sent, "device", None)
    server = servers.need(server_id)
    lock.check(server)
    row = _volume(ident)
    effect.check(server, "attach_volume", *_STATUSES)
    volumeeffect.check(row, "attach", volumestate.AVAILABLE)
    found = volumeeffect.attach(row, server, device=device)
    return jsonify({"volumeAttachment": _shown({**row, "server_id": server["id"], "device": found})})


def detach(server_id: str, volume_id: str) -> tuple[str, int]:
    """DELETE: 202, and the volume is `detaching` until its holder has it again."""
    server = servers.need(server_id)
    lock.check(server)
    row = _need(server_id, volume_id)
    effect.check(server, "detach_volume", *_STATUSES)
    if row["device"] == _ROOT:
        raise BadRequest("Cannot detach a root device volume")
    volumeeffect.check(row, "detach", volumestate.IN_USE)
    volumeeffect.detach(row, server)
    return "", 202


def swap(server_id: str, volume_id: str) -> tuple[str, int]:
    """PUT, for administrators: Ganeti copies no disk to another one while a guest writes to it."""
    sent = schema.mapping(schema.body(), "volumeAttachment")
    wanted = schema.text(sent, "volumeId")
    _need(server_id, volume_id, of_all=True)
    if wanted != volume_id:
        raise BadRequest(f"volumeId: volume {volume_id} cannot be swapped for {wanted:.80}; detach it and attach that")
    return "", 202


def _need(server_id: str, volume_id: str, *, of_all: bool = False) -> dict[str, Any]:
    server = servers.need(server_id, of_all=of_all)
    for row in attachedvolumes.of_server(server["id"]):
        if row["id"] == volume_id:
            return row
    raise NotFound(f"volume_id not found: {volume_id:.80}")


def _volume(ident: str) -> dict[str, Any]:
    """The caller's volume."""
    column = db.volume.c
    mine = (column.id == ident, column.project_id == context.project_id(), column.deleted.is_(None))
    with context.database() as connection:
        row = db.row(connection, select(db.volume).where(*mine))
    if row is None:
        raise NotFound(f"Volume {ident:.80} could not be found.")
    return row


def _shown(row: Row) -> dict[str, Any]:
    return {"id": row["id"], "volumeId": row["id"], "serverId": row["server_id"], "device": row["device"]}
