"""Image v2: which images a project has, may use, and may change."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify
from sqlalchemy import and_, bindparam, exists, or_, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.sql.expression import BindParameter, ColumnElement, Select

from frontend.database import db, turns
from frontend.image import forgetimage, imagestate, imageview
from frontend.image.imageprocess import Store
from frontend.image.imagestate import DELETED, FILLED, IMPORTING, SAVING
from frontend.usage import meter
from frontend.web import context
from frontend.web.fault import Conflict, Forbidden, NotFound


def find(connection: Connection, ident: str, project_id: str) -> dict[str, Any] | None:
    """An image that the project may use: everybody's, its own, or one that it was shown."""
    return db.row(connection, _FIND, which=ident, whose=project_id)


def usable(connection: Connection, project_id: str) -> list[dict[str, Any]]:
    """What a project's list of images has, the newest first: everybody's, its own, and those that it accepted."""
    column, member = db.image.c, db.image_member.c
    mine = (member.image_id == column.id, member.project_id == project_id, member.status == "accepted")
    listed = or_(
        column.visibility == "public",
        column.owner_id == project_id,
        and_(column.visibility == "shared", exists().where(*mine)),
    )
    query = select(db.image).where(listed, _there(), column.hidden.is_(False))
    return db.rows(connection, query.order_by(column.created.desc(), column.id))


def show(image_id: str) -> Response:
    return jsonify(imageview.shown(need(image_id)))


def delete(image_id: str) -> tuple[str, int]:
    """Also of one that is being saved or imported. Disks that were made of it stay whole."""
    remove(need_own(image_id, "delete"))
    return "", 204


def remove(image: Mapping[str, Any]) -> None:
    """Forbidden for what is protected."""
    if image["protected"]:
        raise Forbidden(f"Image {image['id']} is protected and cannot be deleted.")
    if image["origin"]:
        forgetimage.remove(image)
        return
    engine, settings = context.services().engine, context.services().settings.images
    column = db.image.c
    with engine.begin() as connection:
        # Whoever fills it finds out when he is done; he may have begun just now.
        turns.take(connection, image["owner_id"])
        status = connection.execute(select(column.status).where(column.id == image["id"]).with_for_update()).scalar()
        write = update(db.image).where(column.id == image["id"]).values(status=DELETED, updated=time.time())
        connection.execute(write)
        meter.of_image(connection, image["id"], time.time())
    imagestate.unstage(settings.staging, image["id"])
    if status in FILLED:
        imagestate.drop(engine, Store(settings.command), image)
    elif status not in (SAVING, IMPORTING):  # there is nothing in the store
        imagestate.forget_if_deleted(engine, image["id"])


def need(image_id: str) -> dict[str, Any]:
    """An image that the caller may use; an administrator, anybody's."""
    with context.database() as connection:
        if context.is_admin():
            row = db.row(connection, select(db.image).where(db.image.c.id == image_id, _there()))
        else:
            row = find(connection, image_id, context.project_id())
    if row is None:
        raise NotFound(f"No image found with ID {image_id}")
    return row


def need_own(image_id: str, verb: str) -> dict[str, Any]:
    """An image that the caller may change; Forbidden for one that he can only use."""
    row = need(image_id)
    if row["owner_id"] != context.project_id() and not context.is_admin():
        raise Forbidden(f"You are not permitted to {verb} image {image_id}: it is not your project's.")
    return row


def need_status(image: Mapping[str, Any], *statuses: str) -> None:
    """Conflict when it is in none of these."""
    if image["status"] not in statuses:
        raise Conflict(f"Image {image['id']} is {image['status']}, and has to be {' or '.join(statuses)}.")


def _there() -> ColumnElement[bool]:
    return db.image.c.status != DELETED


def _find() -> Select[Any]:
    column, member = db.image.c, db.image_member.c
    project: BindParameter[Any] = bindparam("whose")
    shown = exists().where(member.image_id == column.id, member.project_id == project)
    seen = or_(
        column.visibility.in_(("public", "community")),
        column.owner_id == project,
        and_(column.visibility == "shared", shown),
    )
    return select(db.image).where(column.id == bindparam("which"), _there(), seen)


_FIND = _find()
