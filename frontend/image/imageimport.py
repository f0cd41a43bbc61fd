"""POST /v2/images/ID/import and what is told of it: stores, methods, tasks, room (Glance's interoperable import).

The import itself is ganeti-ext-importer's (importer.py): here it is only written down.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping
from typing import Any

from flask import Response, g, jsonify
from sqlalchemy import func, insert, select, update

from frontend.database import db
from frontend.image import imagequota, images, imageview
from frontend.image.imagefetch import FetchError, Rules
from frontend.image.imagestate import IMPORTING, QUEUED, UPLOADING
from frontend.image.imagevalues import CONTAINERS
from frontend.quota import limits
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Conflict, Forbidden

log = logging.getLogger(__name__)

DIRECT, WEB = "glance-direct", "web-download"
_BEFORE = {DIRECT: UPLOADING, WEB: QUEUED}
PENDING = "pending"


def start(image_id: str) -> tuple[str, int]:
    """202: a task of the image tells how it goes."""
    sent = schema.body()
    image = images.need_own(image_id, "import to")
    method = schema.mapping(sent, "method")
    name = schema.text(method, "name")
    _check(image, sent, method, name)
    with context.database() as connection:
        imagequota.room(connection, context.services().settings, image["owner_id"], image_id)
        now, column = time.time(), db.image.c
        mine = (column.id == image_id, column.status == _BEFORE[name])
        write = update(db.image).where(*mine).values(status=IMPORTING, updated=now, lease=None)
        if connection.execute(write).rowcount == 0:
            raise Conflict(f"Only images with status {_BEFORE[name]} are imported by {name}: {image['status']}.")
        row = {
            "id": str(uuid.uuid4()),
            "image_id": image_id,
            "project_id": image["owner_id"],
            "user_id": context.caller().user_id,
            "request_id": g.request_id,
            "input": {"image_id": image_id, "import_req": {"method": dict(method)}},
            "status": PENDING,
            "tries": 0,
            "created": now,
            "updated": now,
        }
        connection.execute(insert(db.image_task).values(row))
        connection.commit()
    log.info("image %s: import %s by %s", image_id, row["id"], name)
    return "", 202


def _check(image: Mapping[str, Any], sent: Mapping[str, Any], method: Mapping[str, Any], name: str) -> None:
    settings = context.services().settings
    if name not in settings.images.methods:
        raise BadRequest(f"method: {name!r:.80}: expected one of {' '.join(settings.images.methods) or '(none)'}")
    if image["owner_id"] is None:
        raise Forbidden(f"Image {image['id']} is of no project.")
    if image["disk_format"] is None or image["container_format"] not in CONTAINERS:
        raise BadRequest("'disk_format' and 'container_format' need to be set before import")
    for store in schema.items(sent, "stores"):
        if store != image["provider"]:
            raise BadRequest(f"stores: {store!r:.80}: expected {image['provider']!r}")
    if name == WEB:
        try:
            Rules.of(settings.images.import_hosts, settings.images.import_networks).check(
                schema.text(method, "uri", longest=2048)
            )
        except FetchError as err:
            raise BadRequest(str(err)) from err


def list_tasks(image_id: str) -> Response:
    """Imports that the owner asked for."""
    image = images.need(image_id)
    column = db.image_task.c
    query = select(db.image_task).where(column.image_id == image_id).order_by(column.created.desc())
    rows: list[dict[str, Any]] = []
    if image["owner_id"] == context.project_id() or context.is_admin():
        with context.database() as connection:
            rows = db.rows(connection, query)
    return jsonify({"tasks": [imageview.task(row) for row in rows]})


def show_methods() -> Response:
    value = context.services().settings.images.methods
    described = {"description": "Import methods available.", "type": "array", "value": value}
    return jsonify({"import-methods": described})


def show_stores() -> Response:
    """The one that tenants' images go to."""
    name = context.services().settings.front.provider
    store = {"id": name, "description": f"beside the disks of provider {name}", "default": "true"}
    return jsonify({"stores": [store]})


def show_usage() -> Response:
    """Octets are told in MiB, as Glance does."""
    column = db.image.c
    project = context.project_id()
    waiting = select(func.count()).where(column.owner_id == project, column.status.in_((UPLOADING, IMPORTING)))
    with context.database() as connection:
        count, octets = imagequota.used(connection, project)
        uploading = connection.execute(waiting).scalar_one()
        most = limits.of(connection, project, ("images", "image_gigabytes"))
    mebibytes = max(limits.UNLIMITED, most["image_gigabytes"] * 1024)
    shown = {
        "image_size_total": {"limit": mebibytes, "usage": octets >> 20},
        "image_count_total": {"limit": most["images"], "usage": count},
        "image_stage_total": {"limit": mebibytes, "usage": 0},
        "image_count_uploading": {"limit": most["images"], "usage": int(uploading)},
    }
    return jsonify({"usage": shown})
