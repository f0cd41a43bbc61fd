"""Images as Compute shows them (api-ref, "Images", up to microversion 2.35): what clients of before the Image service
still read, delete and name the metadata of.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import select, update

from frontend.compute import quotas
from frontend.database import db
from frontend.image import images
from frontend.web import context, paging, schema, when
from frontend.web.fault import BadRequest, NotFound
from frontend.web.view import links, stamp

log = logging.getLogger(__name__)

Row = Mapping[str, Any]

_STATUS = {
    **dict.fromkeys(("queued", "saving", "uploading", "importing"), "SAVING"),
    "active": "ACTIVE",
    "deactivated": "UNKNOWN",
    "deleted": "DELETED",
    "killed": "ERROR",
}
_PROGRESS = {"queued": 25, "saving": 50, "active": 100}  # nova/api/openstack/compute/views/images.py
# Where it comes from: not the tenant's to change.
_FACTS = frozenset(("image_type", "instance_uuid", "base_image_ref"))


def list_short() -> Response:
    return _list(_short)


def list_detail() -> Response:
    return _list(_shown)


def show(image_id: str) -> Response:
    return jsonify({"image": _shown(images.need(image_id), context.base())})


def delete(image_id: str) -> tuple[str, int]:
    return images.delete(image_id)


def list_metadata(image_id: str) -> Response:
    return jsonify({"metadata": _metadata(images.need(image_id))})


def add_metadata(image_id: str) -> Response:
    """POST .../metadata: these besides those that there are."""
    new = schema.metadata({"metadata": schema.mapping(schema.body(), "metadata")})
    return jsonify({"metadata": _change(image_id, lambda old: {**old, **new})})


def set_metadata(image_id: str) -> Response:
    """PUT .../metadata: these and no others."""
    new = schema.metadata({"metadata": schema.mapping(schema.body(), "metadata")})
    return jsonify({"metadata": _change(image_id, lambda _: new)})


def show_item(image_id: str, key: str) -> Response:
    found = _metadata(images.need(image_id))
    if key not in found:
        raise _no_item(key)
    return jsonify({"meta": {key: found[key]}})


def set_item(image_id: str, key: str) -> Response:
    sent = schema.mapping(schema.body(), "meta")
    if list(sent) != [key]:
        raise BadRequest(f"Request body and URI mismatch: expected {key[:80]!r} alone")
    new = schema.metadata({"metadata": sent})
    _change(image_id, lambda old: {**old, **new})
    return jsonify({"meta": new})


def remove_item(image_id: str, key: str) -> tuple[str, int]:
    def without(old: Mapping[str, str]) -> dict[str, str]:
        if key not in old:
            raise _no_item(key)
        return {name: value for name, value in old.items() if name != key}

    _change(image_id, without)
    return "", 204


def _list(shape: Callable[[Row, str], dict[str, Any]]) -> Response:
    with context.database() as connection:
        rows = [row for row in images.usable(connection, context.project_id()) if _is_wanted(row)]
    page, more = paging.cut(rows, paging.asked())
    answer: dict[str, Any] = {"images": [shape(row, context.base()) for row in page]}
    if found := paging.next_link(page, more):
        answer["images_links"] = found
    return jsonify(answer)


def _is_wanted(row: Row) -> bool:
    """By the query (nova/api/openstack/compute/images.py SUPPORTED_FILTERS)."""
    args, told = request.args, _metadata(row)
    texts = {
        "name": row["name"],
        "status": _status(row),
        "server": told.get("instance_uuid"),
        "type": told.get("image_type", "base"),
    }
    asked = {key: args[key] for key in texts if args.get(key)}
    if "server" in asked:  # an id, or the id that ends a URL
        asked["server"] = asked["server"].rstrip("/").rsplit("/", 1)[-1]
    if "status" in asked:
        asked["status"] = asked["status"].upper()
    for key, column in (("minDisk", "min_disk"), ("minRam", "min_ram")):
        if key in args and row[column] != paging.number(key):
            return False
    if "changes-since" in args and _updated(row) < when.seconds("changes-since", args["changes-since"]):
        return False
    return all(texts[key] == value for key, value in asked.items())


def _short(row: Row, base: str) -> dict[str, Any]:
    other = {
        "rel": "alternate",
        "type": "application/vnd.openstack.image",
        "href": f"{base}/image/v2/images/{row['id']}",
    }
    return {"id": row["id"], "name": row["name"], "links": [*links(base, "images", row["id"]), other]}


def _shown(row: Row, base: str) -> dict[str, Any]:
    told = _metadata(row)
    shown = {
        **_short(row, base),
        "status": _status(row),
        "progress": _PROGRESS.get(row["status"], 0),
        "minDisk": row["min_disk"],
        "minRam": row["min_ram"],
        "OS-EXT-IMG-SIZE:size": row["size"],
        "created": stamp(row["created"]),
        "updated": stamp(_updated(row)),
        "metadata": told,
    }
    if server := told.get("instance_uuid"):
        shown["server"] = {"id": server, "links": links(base, "servers", server)}
    return shown


def _status(row: Row) -> str:
    return _STATUS.get(row["status"], "UNKNOWN")


def _updated(row: Row) -> float:
    return float(row["updated"] or row["created"])


def _metadata(row: Row) -> dict[str, str]:
    return {key: str(value) for key, value in (row["properties"] or {}).items()}


def _change(image_id: str, change: Callable[[Mapping[str, str]], Mapping[str, str]]) -> dict[str, str]:
    """What an image of the project's own has then."""
    image = images.need_own(image_id, "change")
    column = db.image.c
    with context.database() as connection:
        row = db.row(connection, select(db.image).where(column.id == image_id).with_for_update())
        old = _metadata(row or image)
        facts = {key: value for key, value in old.items() if key in _FACTS}
        new = {**change(old), **facts}
        quotas.check_metadata(len(new))
        values = {"properties": new, "updated": time.time()}
        connection.execute(update(db.image).where(column.id == image_id).values(values))
        connection.commit()
    log.info("image %s: metadata changed", image_id)
    return new


def _no_item(key: str) -> NotFound:
    return NotFound(f"Metadata item {key[:80]} was not found")
