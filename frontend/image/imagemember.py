"""Members of shared images: the projects that an image is shown to, and what they say to it."""

from __future__ import annotations

import logging
import time
from typing import Any

from flask import Response, jsonify
from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection

from frontend.database import db
from frontend.image import images, imageview
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Conflict, Forbidden, NotFound, TooLarge

log = logging.getLogger(__name__)

_STATUSES = ("pending", "accepted", "rejected")
_MOST = 128  # glance.conf image_member_quota
_MEMBER = db.image_member.c


def list_all(image_id: str) -> Response:
    """The owner sees all of them, a member himself; what is not shared has none."""
    shown = [imageview.member(row) for row in _seen(images.need(image_id))]
    return jsonify({"members": shown, "schema": "/v2/schemas/members"})


def show(image_id: str, member_id: str) -> Response:
    return jsonify(imageview.member(_need(images.need(image_id), member_id)))


def add(image_id: str) -> Response:
    image = _own(image_id)
    member = schema.text(schema.body(), "member", longest=36)
    now = time.time()
    row = {"image_id": image_id, "project_id": member, "status": "pending", "created": now, "updated": now}
    with context.database() as connection:
        there = set(connection.execute(select(_MEMBER.project_id).where(_MEMBER.image_id == image_id)).scalars())
        if member in there:
            raise Conflict(f"Member {member} is duplicated for image {image_id}")
        if len(there) >= _MOST:
            raise TooLarge(f"The limit has been exceeded on the number of allowed image members: {_MOST}")
        connection.execute(insert(db.image_member).values(row))
        _touch(connection, image)
        connection.commit()
    log.info("image %s: shown to project %s", image_id, member)
    return jsonify(imageview.member(row))


def answer(image_id: str, member_id: str) -> Response:
    """PUT: the member itself says whether its lists are to have it."""
    status = schema.text(schema.body(), "status")
    image = _shared(image_id)
    row = _need(image, member_id)
    if member_id != context.project_id() and not context.is_admin():
        raise Forbidden(f"Only project {member_id} itself says whether it accepts image {image_id}.")
    if status not in _STATUSES:
        raise BadRequest(f"status: {status!r:.80}: expected one of {' '.join(_STATUSES)}")
    new = {"status": status, "updated": time.time()}
    with context.database() as connection:
        connection.execute(update(db.image_member).where(*_is(image_id, member_id)).values(new))
        _touch(connection, image)
        connection.commit()
    return jsonify(imageview.member({**row, **new}))


def remove(image_id: str, member_id: str) -> tuple[str, int]:
    """What he has made of it stays his."""
    image = _own(image_id)
    _need(image, member_id)
    with context.database() as connection:
        connection.execute(delete(db.image_member).where(*_is(image_id, member_id)))
        _touch(connection, image)
        connection.commit()
    log.info("image %s: no longer shown to project %s", image_id, member_id)
    return "", 204


def _shared(image_id: str) -> dict[str, Any]:
    image = images.need(image_id)
    if image["visibility"] != "shared":
        raise Forbidden("Only shared images have members.")
    return image


def _own(image_id: str) -> dict[str, Any]:
    images.need_own(image_id, "share")
    return _shared(image_id)


def _seen(image: dict[str, Any]) -> list[dict[str, Any]]:
    query = select(db.image_member).where(_MEMBER.image_id == image["id"])
    if image["visibility"] != "shared":  # it had them before, and may have again
        return []
    if image["owner_id"] != context.project_id() and not context.is_admin():
        query = query.where(_MEMBER.project_id == context.project_id())
    with context.database() as connection:
        return db.rows(connection, query.order_by(_MEMBER.created, _MEMBER.project_id))


def _need(image: dict[str, Any], member_id: str) -> dict[str, Any]:
    found = [row for row in _seen(image) if row["project_id"] == member_id]
    if not found:
        raise NotFound(f"Image {image['id']} has no such member.")
    return found[0]


def _is(image_id: str, member_id: str) -> tuple[Any, Any]:
    return _MEMBER.image_id == image_id, _MEMBER.project_id == member_id


def _touch(connection: Connection, image: dict[str, Any]) -> None:
    """So that it is written down again beside the image (imagecare.py)."""
    connection.execute(update(db.image).where(db.image.c.id == image["id"]).values(noted=-time.time()))
