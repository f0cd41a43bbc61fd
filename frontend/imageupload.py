"""POST /v2/images and PUT /v2/images/ID/file: images that tenants bring."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import insert, select, update

from frontend import context, db, images, imagestore, imageview, schema
from frontend.fault import BadMediaType, BadRequest, Conflict, Forbidden

_TAG = 255  # characters
_OWN = ("id", "name", "visibility", "disk_format", "container_format", "min_disk", "min_ram", "tags", "protected")
# What is said of an image, and cannot be asked for.
_READ_ONLY = frozenset((
    *("owner", "status", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value", "created_at"),
    *("updated_at", "self", "file", "schema", "os_hidden"),
))  # fmt: skip


def create() -> tuple[Response, int]:
    """The image is `queued` until its file is there."""
    imagestore.check()
    row = _row(schema.body())
    images.check_quota(row["owner_id"])
    with context.database() as connection:
        if connection.execute(select(db.image.c.id).where(db.image.c.id == row["id"])).scalar() is not None:
            raise Conflict(f"Image ID {row['id']} already exists!")
        connection.execute(insert(db.image).values(row))
        connection.commit()
    shown = jsonify(imageview.shown({**row, "updated": None}))
    shown.headers["Location"] = f"{context.base()}/image/v2/images/{row['id']}"
    return shown, 201


def upload(image_id: str) -> tuple[str, int]:
    imagestore.check()
    image = images.need(image_id)
    if image["owner_id"] != context.project_id():
        raise Forbidden(f"You are not permitted to upload to image {image_id}: it is not your project's.")
    if request.mimetype != "application/octet-stream":
        raise BadMediaType(f"Content-Type {request.mimetype!r}: expected application/octet-stream")
    with contextlib.suppress(AttributeError):  # before Flask 3.1 max_body holds for files, too
        request.max_content_length = context.services().settings.images.max_upload
    if not _turn(image_id, "queued", "saving"):
        raise Conflict(f"Image {image_id} has a file already, or is getting one (status {image['status']}).")
    try:
        stored = imagestore.fill(image_id, request.stream)
    except BaseException:
        _turn(image_id, "saving", "queued")
        raise
    _turn(image_id, "saving", "active", size=stored.size, sha256=stored.sha256)
    return "", 204


def _turn(ident: str, before: str, after: str, **values: Any) -> bool:
    """From one status to another, unless it is in neither: of two at once, one does it."""
    with context.database() as connection:
        mine = (db.image.c.id == ident, db.image.c.status == before)
        write = update(db.image).where(*mine).values(status=after, updated=time.time(), **values)
        changed = connection.execute(write).rowcount > 0
        connection.commit()
    return changed


def _row(asked: Mapping[str, Any]) -> dict[str, Any]:
    for key in asked.keys() & _READ_ONLY:
        raise Forbidden(f"Attribute '{key}' is read-only.")
    for key, known in (("disk_format", "raw"), ("container_format", "bare"), ("visibility", "private")):
        value = schema.text(asked, key, known)
        # An image is shared with those who are told its id by nobody: what is shared is private until somebody can.
        if value != known and (key, value) != ("visibility", "shared"):
            raise BadRequest(f"{key}: {value!r}: only {known!r} is possible")
    return {
        "id": _ident(schema.text(asked, "id", None)),
        "name": schema.text(asked, "name", ""),
        "owner_id": context.project_id(),
        "visibility": "private",
        "size": 0,
        "sha256": "",
        "min_disk": schema.number(asked, "min_disk", 0, 0, 1 << 20),
        "min_ram": schema.number(asked, "min_ram", 0, 0, 1 << 30),
        "created": time.time(),
        "properties": _properties(asked),
        "status": "queued",
        "origin": None,
        "provider": "cow",
        "protected": schema.flag(asked, "protected", default=False),
        "tags": sorted({schema.text({"tags": tag}, "tags", longest=_TAG) for tag in schema.items(asked, "tags")}),
    }


def _ident(wanted: str | None) -> str:
    try:
        return str(uuid.UUID(wanted)) if wanted is not None else str(uuid.uuid4())
    except ValueError as err:
        raise BadRequest(f"id: {wanted!r:.80} is no UUID") from err


def _properties(asked: Mapping[str, Any]) -> dict[str, str]:
    """All other keys. What is null is not there."""
    found = {key: value for key, value in asked.items() if key not in _OWN and value is not None}
    return schema.metadata({"metadata": found})
