"""A volume's metadata: the tenant's own words about it, kept in its holder's tags."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from flask import Response, jsonify, request

from frontend.compute.quotas import check_metadata
from frontend.volume import schema_volume, volumeeffect, volumes, volumeview
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Fault, NotFound

_TAGGED = (3, 15)


class PreconditionFailed(Fault):
    http_status = 412


def list_all(volume_id: str) -> Response:
    """GET /volumes/ID/metadata; from 3.15 with an ETag."""
    found = volumeview.metadata(volumes.need(volume_id))
    answer = jsonify({"metadata": found})
    if context.version() >= _TAGGED:
        answer.set_etag(_etag(found))
    return answer


def update(volume_id: str) -> Response:
    """POST /volumes/ID/metadata: items that are added or changed."""
    items = _sent()
    row = volumes.need(volume_id)
    return _changed(row, {**row["metadata"], **items}, items)


def replace(volume_id: str) -> Response:
    """PUT /volumes/ID/metadata: all items that there are from now on; from 3.15 as long as If-Match holds."""
    items = _sent()
    row = volumes.need(volume_id)
    _check_match(row)
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
    _check_match(row)
    _changed(row, {**row["metadata"], **item}, item)
    return jsonify({"meta": item})


def delete(volume_id: str, key: str) -> tuple[str, int]:
    """DELETE /volumes/ID/metadata/KEY."""
    row = volumes.need(volume_id)
    _value(row["metadata"], key)
    volumeeffect.change(row, metadata={key: None})
    return "", 200


def _check_match(row: dict[str, Any]) -> None:
    """Whoever saw other metadata than there are does not overwrite them (412)."""
    if context.version() >= _TAGGED and request.if_match and _etag(volumeview.metadata(row)) not in request.if_match:
        raise PreconditionFailed(f"The metadata of volume {row['id']} are not those that If-Match names.")


def _etag(found: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:32]


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
