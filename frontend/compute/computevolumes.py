"""Volumes as Compute shows them (api-ref, "Volume extension", up to microversion 2.35), for clients of before the
Block Storage service.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify

from frontend.volume import schema_volume, volumelist, volumes, volumeview
from frontend.web import context, schema
from frontend.web.fault import BadRequest

Row = Mapping[str, Any]


def list_all() -> Response:
    """GET /os-volumes and /os-volumes/detail, which are the same."""
    with context.database() as connection:
        rows = volumelist.page(connection)
    return jsonify({"volumes": [_shown(row) for row in rows]})


def show(volume_id: str) -> Response:
    return jsonify({"volume": _shown(volumes.need(volume_id))})


def create() -> Response:
    """POST /os-volumes."""
    sent = schema.mapping(schema.body(), "volume")
    if sent.get("size") is None:
        raise BadRequest("size: is missing")
    return jsonify({"volume": _shown(volumes.made(schema_volume.create({"volume": sent})))})


def delete(volume_id: str) -> tuple[str, int]:
    volumes.remove(volumes.need(volume_id))
    return "", 202


def _shown(row: Row) -> dict[str, Any]:
    """Where no server has it, the list of attachments has one of nothing, as Nova's."""
    attached = [
        {"id": each["id"], "volumeId": each["volume_id"], "serverId": each["server_id"], "device": each["device"]}
        for each in volumeview.attachments(row)
    ]
    return {
        "id": row["id"],
        "displayName": row["name"] or None,
        "displayDescription": row["facts"].get("description"),
        "status": row["status"],
        "size": row["size"],
        "availabilityZone": volumeview.ZONE,
        "createdAt": volumeview.stamp(row["created"]),
        "volumeType": row["type"],
        "snapshotId": row["facts"].get("source_snapshot"),
        "metadata": volumeview.metadata(row),
        "attachments": attached or [{}],
    }
