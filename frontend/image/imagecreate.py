"""POST /v2/images: an image without content, which is `queued` until it is sent or imported."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify
from sqlalchemy import insert, select

from frontend.compute import quotas
from frontend.database import db
from frontend.image import imagequota, imagestate, imagevalues, imageview
from frontend.image.imageprocess import Store
from frontend.image.imagestate import QUEUED
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Conflict, Forbidden

log = logging.getLogger(__name__)


def create() -> tuple[Response, int]:
    settings = context.services().settings
    if not settings.images.max_upload:
        raise Forbidden("Images cannot be uploaded here: ask the administrator to register one.")
    asked = schema.body()
    row = _row(asked)
    with context.database() as connection:
        if connection.execute(select(db.image.c.id).where(db.image.c.id == row["id"])).scalar() is not None:
            raise Conflict(f"Image ID {row['id']} already exists!")
        # What an administrator has put into the store, and nobody knows yet, is no tenant's to name his own.
        with imagestate.working(row["id"]):
            if asked.get("id") is not None and Store(settings.images.command).has(row["id"], None):
                raise Conflict(f"Image ID {row['id']} already exists!")
        imagequota.check(connection, row["owner_id"])
        connection.execute(insert(db.image).values(row))
        connection.commit()
    log.info("image %s: created by project %s", row["id"], row["owner_id"])
    shown = jsonify(imageview.shown({**row, "updated": None, "md5": None}))
    shown.headers["Location"] = f"{context.base()}/image/v2/images/{row['id']}"
    if settings.images.methods:
        shown.headers["OpenStack-image-import-methods"] = ",".join(settings.images.methods)
    return shown, 201


def _row(asked: Mapping[str, Any]) -> dict[str, Any]:
    columns, properties = _read(asked)
    quotas.check_metadata(len(properties))
    return {
        "id": _ident(schema.text(asked, "id", None)),
        "name": "",
        "owner_id": context.project_id(),
        "visibility": "shared",
        "size": 0,
        "sha256": "",
        "min_disk": 0,
        "min_ram": 0,
        "created": time.time(),
        "properties": properties,
        "status": QUEUED,
        "origin": None,
        "provider": context.services().settings.front.provider,
        "protected": False,
        "tags": [],
        "disk_format": None,
        "container_format": None,
        "hidden": False,
        **columns,
    }


def _read(asked: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Columns and properties. What is null is not there."""
    columns: dict[str, Any] = {}
    properties: dict[str, str] = {}
    for key, value in asked.items():
        if value is None or key == "id":
            continue
        found = imagevalues.column(key, value)
        if found:
            columns[found[0]] = found[1]
        else:
            properties[key] = imagevalues.check_property(key, value)
    return columns, properties


def _ident(wanted: str | None) -> str:
    try:
        return str(uuid.UUID(wanted)) if wanted is not None else str(uuid.uuid4())
    except ValueError as err:
        raise BadRequest(f"id: {wanted!r:.80} is no UUID") from err
