"""Volumes: list, show, make, change and delete. What is read comes from the database alone."""

from __future__ import annotations

import json
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import delete as delete_from
from sqlalchemy import select, true

from frontend.compute import whichcluster, zones
from frontend.database import db
from frontend.volume import (
    schema_volume,
    snapshotstore,
    volumeeffect,
    volumelist,
    volumequota,
    volumesource,
    volumeview,
)
from frontend.volume.schema_volume import Wanted
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Forbidden, NotFound

_DELETABLE = ("available", "error", "error_deleting", "error_extending")
_FORCE = (3, 23)


def list_short() -> Response:
    return volumelist.answer(volumeview.short)


def list_detail() -> Response:
    return volumelist.answer(volumeview.detail)


def show(volume_id: str) -> Response:
    return jsonify({"volume": volumeview.detail(need(volume_id, of_all=context.is_admin()), volumeview.eye())})


def create() -> tuple[Response, int]:
    """POST /volumes."""
    row = made(schema_volume.create(schema.body()))
    return jsonify({"volume": volumeview.made_one(row, volumeview.eye())}), 202


def made(wanted: Wanted) -> dict[str, Any]:
    """A new volume, whose job Ganeti has accepted: its row."""
    source = volumesource.find(wanted)
    kind, size = volumesource.type_of(wanted, source), volumesource.size_of(wanted, source)
    project = context.project_id()
    with context.database() as connection:
        limits = [source.place] if source.place is not None else []
        zone = None if wanted.zone == volumeview.ZONE else wanted.zone
        try:
            cluster = whichcluster.pick(connection, zone, limits, near=True).cluster
        except zones.Unknown as err:
            raise BadRequest(f"Invalid input received: Availability zone '{wanted.zone}' is invalid.") from err
        volumequota.check(connection, project, {"volumes": 1, "gigabytes": size})
    image_meta = json.dumps(source.image_metadata, sort_keys=True) if source.image_metadata else None
    row = volumeeffect.new(
        name=wanted.name,
        size=size,
        kind=kind.name,
        given={"description": wanted.description, "image_meta": image_meta, **source.facts},
        metadata=wanted.metadata,
        cluster=cluster,
    )
    volumeeffect.create(row, source.origin, source=source.volume)
    return row


def change(volume_id: str) -> Response:
    """PUT /volumes/ID: name, description, metadata; what is not named stays."""
    sent = schema.mapping(schema.body(), "volume")
    row = need(volume_id)
    words = schema_volume.words(sent)
    given = {"description": words["description"] or None} if "description" in words else None
    wanted = schema_volume.metadata(sent) if sent.get("metadata") is not None else None
    items = None if wanted is None else {**dict.fromkeys(row["metadata"]), **wanted}
    if words or items is not None:
        volumeeffect.change(row, given, metadata=items, name=words.get("name"))
    return jsonify({"volume": volumeview.made_one(need(volume_id), volumeview.eye())})


def delete(volume_id: str) -> tuple[str, int]:
    """DELETE /volumes/ID; with `cascade` its snapshots go, too. An administrator deletes everybody's.

    From 3.23 an administrator may say `force`: in whatever status it is, but not while a server has it.
    """
    cascade = schema.flag(request.args, "cascade", default=False)
    force = context.version() >= _FORCE and schema.flag(request.args, "force", default=False)
    row = need(volume_id, of_all=context.is_admin())
    if force and not context.is_admin():
        raise Forbidden("Policy doesn't allow volume:force_delete to be performed.")
    remove(row, cascade=cascade, force=force)
    return "", 202


def remove(row: dict[str, Any], *, cascade: bool = False, force: bool = False) -> None:
    """BadRequest for one that something is done with, or that has snapshots. `force`: in whatever status it is."""
    if row["status"] == "deleting":
        return
    if row["server_id"] or (row["status"] not in _DELETABLE and not force):
        raise BadRequest(
            f"Invalid volume: Volume status must be {' or '.join(_DELETABLE)} and must not be attached or awaiting a "
            f"transfer, but it is {row['status']}."
        )
    with context.database() as connection:
        found = snapshotstore.of_volume(connection, row["id"])
    snapshots = [each for each in found if each["status"] != snapshotstore.DELETING]
    if snapshots and not cascade:
        raise BadRequest(f"Invalid volume: Volume {row['id']} still has {len(snapshots)} dependent snapshots.")
    jobs = [snapshotstore.remove(snapshot) for snapshot in snapshots]
    # The holder is what the snapshots are removed with, so it goes last.
    volumeeffect.delete(row, max((job for job in jobs if job is not None), default=None))
    with context.database() as connection:  # of one that is removed by force
        connection.execute(delete_from(db.volume_transfer).where(db.volume_transfer.c.volume_id == row["id"]))
        connection.commit()


def need(volume_id: str, *, of_all: bool = False) -> dict[str, Any]:
    """The caller's volume, or (`of_all`) anybody's. Another project's is as unknown as one that never was."""
    mine = true() if of_all else db.volume.c.project_id == context.project_id()
    query = select(db.volume).where(db.volume.c.id == volume_id, mine, db.volume.c.deleted.is_(None))
    with context.database() as connection:
        found = db.row(connection, query)
    if found is None:
        raise NotFound(f"Volume {volume_id[:80]} could not be found.")
    return found
