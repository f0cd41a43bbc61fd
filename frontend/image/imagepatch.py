"""PATCH /v2/images/ID: JSON patches of one level, in both of Glance's dialects (api-ref, "HTTP PATCH method")."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from flask import Response, jsonify, request
from sqlalchemy import select, update

from frontend.compute import quotas
from frontend.database import db
from frontend.image import images, imagevalues, imageview
from frontend.image.imagestate import QUEUED
from frontend.usage import meter
from frontend.web import context, schema
from frontend.web.fault import BadMediaType, BadRequest, Conflict, Forbidden, NotFound

log = logging.getLogger(__name__)

V20, V21 = (f"application/openstack-images-v2.{minor}-json-patch" for minor in (0, 1))
_VERBS = ("add", "replace", "remove")
_QUEUED_ONLY = ("disk_format", "container_format")


class Change(NamedTuple):
    verb: str
    key: str
    value: Any


def change(image_id: str) -> Response:
    changes = _changes()
    images.need_own(image_id, "change")
    column = db.image.c
    with context.database() as connection:
        row = db.row(connection, select(db.image).where(column.id == image_id).with_for_update())
        if row is None:
            raise NotFound(f"No image found with ID {image_id}")
        new = dict(row)
        for one in changes:
            _apply(new, one)
        values = {key: value for key, value in new.items() if value != row[key]}
        if values:
            quotas.check_metadata(len(new["properties"]))
            values["updated"] = new["updated"] = time.time()
            connection.execute(update(db.image).where(column.id == image_id).values(values))
            meter.of_image(connection, image_id, time.time())
            connection.commit()
            log.info("image %s: changed: %s", image_id, " ".join(sorted(values)))
    return jsonify(imageview.shown(new))


def _apply(row: dict[str, Any], one: Change) -> None:
    if one.verb == "remove":
        _remove(row, one.key)
        return
    if one.key in _QUEUED_ONLY and row["status"] != QUEUED:
        raise Forbidden(f"Attribute '{one.key}' can be only replaced for a queued image.")
    found = imagevalues.column(one.key, one.value)
    if found is not None:
        row[found[0]] = found[1]
        return
    properties = row["properties"] or {}
    if one.verb == "replace" and one.key not in properties:
        raise Conflict(f"Property {one.key[:80]} does not exist.")
    row["properties"] = {**properties, one.key: imagevalues.check_property(one.key, one.value)}


def _remove(row: dict[str, Any], key: str) -> None:
    if imagevalues.is_own(key):
        raise Forbidden(f"Property {key} may not be removed.")
    if key not in (row["properties"] or {}):
        raise Conflict(f"Property {key[:80]} does not exist.")
    row["properties"] = {name: value for name, value in row["properties"].items() if name != key}


def _changes() -> list[Change]:
    if request.mimetype not in (V20, V21):
        raise BadMediaType(f"Content-Type {request.mimetype!r}: expected {V21} or {V20}")
    found = schema.parsed()
    if not isinstance(found, list):
        raise BadRequest("Request body must be a JSON array of operation objects.")
    return [_change(schema.member("operations", one)) for one in found]


def _change(one: Mapping[str, Any]) -> Change:
    if request.mimetype == V21:
        verb, path = one.get("op"), one.get("path")
    else:
        named = [name for name in _VERBS if name in one]
        verb, path = (named[0], one[named[0]]) if len(named) == 1 else (None, None)
    if verb not in _VERBS:
        raise BadRequest(f"Operations must be one of {' '.join(_VERBS)}, got {json.dumps(one)[:80]}")
    if verb != "remove" and "value" not in one:
        raise BadRequest(f"Operation {verb!r} requires a member named 'value'.")
    return Change(str(verb), _key(path), one.get("value"))


def _key(path: object) -> str:
    """The key that a JSON pointer of one level names (RFC 6901)."""
    if not isinstance(path, str) or not path.startswith("/") or not path[1:]:
        raise BadRequest(f"Pointer {json.dumps(path)[:80]} does not start with '/' or names nothing.")
    if "/" in path[1:]:
        raise BadRequest(f"Pointer {path[:80]!r}: what stands in an attribute cannot be changed by itself.")
    return path[1:].replace("~1", "/").replace("~0", "~")
