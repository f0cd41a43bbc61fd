"""Attachments by Block Storage's own actions. Clients use Compute's os-volume_attachments; what these do is the same.

A reservation is a mark of the API's alone, which is gone when the next thing is told of the volume: Ganeti knows none.
"""

from __future__ import annotations

from typing import Any

from frontend.compute import lock, servers
from frontend.database import db
from frontend.effect import effect
from frontend.volume import schema_volume, volumeeffect, volumestate, volumeview
from frontend.volume.volumemark import mark
from frontend.web import context, schema
from frontend.web.fault import BadRequest

Row = dict[str, Any]

_SERVER_STATUSES = ("ACTIVE", "SHUTOFF")


def attach(row: Row, argument: Any) -> tuple[str, int]:
    """os-attach: to one of the caller's servers, as POST /servers/ID/os-volume_attachments."""
    sent = schema_volume.argument_of("os-attach", argument)
    if sent.get("host_name"):
        raise BadRequest("host_name: a volume is attached to servers alone")
    ident = schema.text(sent, "instance_uuid")
    device = schema.text(sent, "mountpoint", None)
    mode = schema.text(sent, "mode", "rw")
    if mode != "rw":
        raise BadRequest(f"Invalid volume attach mode: {mode!r:.80}: no server has disks that are only to be read")
    if not _is_reserved(row):
        volumeeffect.check(row, "attach", volumestate.AVAILABLE)
    server = servers.need(ident)
    lock.check(server)
    effect.check(server, "attach_volume", *_SERVER_STATUSES)
    volumeeffect.attach(row, server, device=device)
    return "", 202


def detach(row: Row, argument: Any) -> tuple[str, int]:
    """os-detach: from the server that has it; `attachment_id` may name the attachment."""
    sent = schema_volume.argument_of("os-detach", argument)
    named = schema.text(sent, "attachment_id", None)
    is_begun = row["status"] == volumestate.DETACHING and row["task"] is None
    if not is_begun:
        volumeeffect.check(row, "detach", volumestate.IN_USE)
    if named not in (None, volumeview.attachment_id(row), row["id"]):
        raise BadRequest(f"Invalid volume: Volume {row['id']} has no attachment {named:.80}.")
    server = servers.need(row["server_id"], of_all=context.is_admin())
    lock.check(server)
    effect.check(server, "detach_volume", *_SERVER_STATUSES)
    if row["device"] == volumestate.device(0):
        raise BadRequest(f"Invalid volume: Volume {row['id']} is the root device of server {server['id']}.")
    volumeeffect.detach(row, server)
    return "", 202


def force_detach(row: Row, argument: Any) -> tuple[str, int]:
    """os-force_detach: also of one that is `error` only because an administrator said so."""
    if row["status"] == volumestate.ERROR and row["server_id"] is not None:
        mark(row["id"], fault=None, status=volumestate.IN_USE)
        row = {**row, "fault": None, "status": volumestate.IN_USE}
    return detach(row, argument)


def reserve(row: Row, _: Any) -> tuple[str, int]:
    return _mark(row, "reserve", volumestate.AVAILABLE, volumestate.ATTACHING)


def unreserve(row: Row, _: Any) -> tuple[str, int]:
    """Of one that is not reserved nothing is changed, as in Cinder."""
    return _mark(row, "unreserve", volumestate.ATTACHING, volumestate.AVAILABLE) if _is_reserved(row) else ("", 202)


def begin_detaching(row: Row, _: Any) -> tuple[str, int]:
    return _mark(row, "begin detaching", volumestate.IN_USE, volumestate.DETACHING)


def roll_detaching(row: Row, _: Any) -> tuple[str, int]:
    if row["status"] != volumestate.DETACHING or row["task"] is not None:
        return "", 202
    return _mark(row, "roll detaching", volumestate.DETACHING, volumestate.IN_USE)


def _is_reserved(row: Row) -> bool:
    return bool(row["status"] == volumestate.ATTACHING and row["task"] is None)


def _mark(row: Row, verb: str, before: str, after: str) -> tuple[str, int]:
    column = db.volume.c
    volumeeffect.check(row, verb, before)
    if not mark(row["id"], column.status == before, column.task.is_(None), status=after):
        raise BadRequest(f"Invalid volume: Volume {row['id']} is in another status by now.")
    return "", 202
