"""A volume's metadata: the tenant's own words about it, kept in its holder's tags."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify

from frontend.compute.quotas import check_metadata
from frontend.volume import schema_volume, volumeeffect, volumes, volumeview
from frontend.web import schema
from frontend.web.fault import BadRequest, NotFound


def list_all(volume_id: str) -> Response:
    """GET /volumes/ID/metadata."""
    return jsonify({"metadata": volumeview.metadata(volumes.need(volume_id))})


def update(volume_id: str) -> Response:
    """POST /volumes/ID/metadata: items that are added or changed."""
    items = _sent()
    row = volumes.need(volume_id)
    return _changed(row, {**row["metadata"], **items}, items)


def replace(volume_id: str) -> Response:
    """PUT /volumes/ID/metadata: all items that there are from now on."""
    items = _sent()
    row = volumes.need(volume_id)
    return _changed(row, items, {**dict.fromkeys(row["metadata"]), **items})


def show(volume_id: str, key: str) -> Response:
    """GET /volumes/ID/metadata/KEY."""
    return jsonify({"meta": {key: _value(volumeview.metadata(volumes.need(volume_id)), key)}})


def put(volume_id: str, key: str) -> Response:
    """PUT /volumes/ID/metadata/KEY: one item, which the body names as well."""
    item = schema.metadata({"metadata": schema.mapping(schema.body(), "meta")})
    if set(item) != {key}:
        raise BadRequest(f"meta: expected the one item {key!r:.80} that the address names, got {sorted(item)!s:.80}")
    row = volumes.need(volume_id)
    _changed(row, {**row["metadata"], **item}, item)
    return jsonify({"meta": item})


def delete(volume_id: str, key: str) -> tuple[str, int]:
    """DELETE /volumes/ID/metadata/KEY."""
    row = volumes.need(volume_id)
    _value(row["metadata"], key)
    volumeeffect.change(row, metadata={key: None})
    return "", 200


def _sent() -> dict[str, str]:
    sent = schema.body()
    schema.mapping(sent, "metadata")  # which here may not lack
    return schema_volume.metadata(sent)


def _changed(row: dict[str, Any], after: dict[str, str], changes: dict[str, Any]) -> Response:
    check_metadata(len(after))
    if changes:
        volumeeffect.change(row, metadata=changes)
    return jsonify({"metadata": after})


def _value(known: dict[str, str], name: str) -> str:
    if name not in known:
        raise NotFound("Metadata item was not found")
    return known[name]
