"""Block Storage: snapshots of volumes (api-ref v3, "Volume snapshots")."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify

from frontend.compute import quotas
from frontend.volume import snapshotlist, snapshotstore, snapshotview, volumeeffect, volumes
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Forbidden, NotFound

log = logging.getLogger(__name__)

Row = Mapping[str, Any]

_AT_REST, _FORCED = ("available",), ("available", "in-use")


def list_short() -> Response:
    return snapshotlist.answer(snapshotview.short)


def list_detail() -> Response:
    return snapshotlist.answer(snapshotview.detail)


def show(snapshot_id: str) -> Response:
    return jsonify({"snapshot": snapshotview.detail(snapshotstore.need(snapshot_id))})


def create() -> tuple[Response, int]:
    """POST /snapshots; of a volume that a server has with `force` alone."""
    asked = schema.mapping(schema.body(), "snapshot")
    force = schema.flag(asked, "force", default=False)
    name, description, metadata = words(asked, "name"), words(asked, "description"), schema.metadata(asked)
    quotas.check_metadata(len(metadata))
    if asked.get("volume_id", "") is None:  # as Cinder, for which that is an id like any other
        raise NotFound("Volume None could not be found.")
    volume = volumes.need(schema.text(asked, "volume_id"))
    volumeeffect.check(volume, "snapshot", *(_FORCED if force else _AT_REST))
    row = snapshotstore.create(volume, name or "", description, metadata)
    return jsonify({"snapshot": snapshotview.made_one(row)}), 202


def change(snapshot_id: str) -> Response:
    """PUT /snapshots/ID: its name and description."""
    row = snapshotstore.need(snapshot_id)
    asked = schema.mapping(schema.body(), "snapshot")
    values: dict[str, Any] = {key: words(asked, key) for key in ("name", "description") if key in asked}
    if not values:
        raise BadRequest("snapshot: expected a name or a description")
    if "name" in values:
        values["name"] = values["name"] or ""
    return jsonify({"snapshot": snapshotview.made_one(snapshotstore.change(row, values))})


def delete(snapshot_id: str) -> tuple[str, int]:
    """Volumes that were made of it live on."""
    snapshotstore.remove(snapshotstore.need(snapshot_id))
    return "", 202


def act(snapshot_id: str) -> tuple[str, int]:
    """POST /snapshots/ID/action: what administrators may do."""
    verb, argument = schema.action(schema.body())
    if verb not in _ACTIONS:
        raise BadRequest(f"There is no such action: {verb!r:.80}")
    row = snapshotstore.need(snapshot_id)
    if not context.is_admin():
        raise Forbidden(f"Policy doesn't allow volume_extension:snapshot_admin_actions:{verb} to be performed.")
    _ACTIONS[verb](row, argument)
    return "", 202


def _reset_status(row: Row, argument: object) -> None:
    """What the front believes of it, nothing more."""
    status = schema.text(schema.mapping({"os-reset_status": argument}, "os-reset_status"), "status").lower()
    if status not in snapshotstore.STATUSES:
        raise BadRequest(f"status: expected one of {', '.join(snapshotstore.STATUSES)}, got {status!r:.80}")
    snapshotstore.change(row, {"status": status, "fault": None})
    log.info("snapshot %s: its status was reset to %s", row["id"], status)


def _force_delete(row: Row, _: object) -> None:
    snapshotstore.remove(row, force=True)


_ACTIONS = {"os-reset_status": _reset_status, "os-force_delete": _force_delete}


def words(where: Mapping[str, Any], key: str) -> str | None:
    """A name or a description, which may be empty."""
    value = where.get(key)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    return schema.text(where, key)


# Its metadata: the tenant's own words, which nobody but the front keeps.


def list_metadata(snapshot_id: str) -> Response:
    return jsonify({"metadata": snapshotstore.need(snapshot_id)["metadata"]})


def add_metadata(snapshot_id: str) -> Response:
    """POST: items that are added or changed."""
    row = snapshotstore.need(snapshot_id)
    return _kept(row, {**row["metadata"], **_sent("metadata")})


def set_metadata(snapshot_id: str) -> Response:
    """PUT: all items that there are from now on."""
    return _kept(snapshotstore.need(snapshot_id), _sent("metadata"))


def show_item(snapshot_id: str, key: str) -> Response:
    return jsonify({"meta": {key: _item(snapshotstore.need(snapshot_id), key)}})


def set_item(snapshot_id: str, key: str) -> Response:
    row, item = snapshotstore.need(snapshot_id), _sent("meta")
    if set(item) != {key}:
        raise BadRequest(f"meta: expected the one item {key!r:.80} that the address names, got {sorted(item)!s:.80}")
    _kept(row, {**row["metadata"], **item})
    return jsonify({"meta": item})


def remove_item(snapshot_id: str, key: str) -> tuple[str, int]:
    row = snapshotstore.need(snapshot_id)
    _item(row, key)
    _kept(row, {name: value for name, value in row["metadata"].items() if name != key})
    return "", 200


def _sent(key: str) -> dict[str, str]:
    return schema.metadata({"metadata": schema.mapping(schema.body(), key)})


def _kept(row: Row, metadata: dict[str, str]) -> Response:
    quotas.check_metadata(len(metadata))
    return jsonify({"metadata": snapshotstore.change(row, {"metadata": metadata})["metadata"]})


def _item(row: Row, key: str) -> str:
    if key not in row["metadata"]:
        raise NotFound(f"Snapshot {row['id']} has no metadata with key {key[:80]}.")
    return str(row["metadata"][key])
