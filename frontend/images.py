"""Image v2: public images and the project's own. What tenants make are images of servers (createimage.py)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from frontend import context, db, forgetimage, imagestore, imageview, paging
from frontend.fault import BadRequest, Forbidden, NotFound


def find(connection: Connection, ident: str, project_id: str) -> dict[str, Any] | None:
    """An image that the project may use."""
    return db.row(connection, select(db.image).where(db.image.c.id == ident, _visible(project_id)))


def usable(connection: Connection, project_id: str) -> list[dict[str, Any]]:
    """The images that the project may use, the newest first."""
    query = select(db.image).where(_visible(project_id))
    return db.rows(connection, query.order_by(db.image.c.created.desc(), db.image.c.id))


def list_images() -> Response:
    with context.database() as connection:
        shown = [imageview.shown(row) for row in usable(connection, context.project_id())]
    page, more = paging.cut([image for image in shown if _wanted(image)], paging.asked())
    answer: dict[str, Any] = {
        "images": page,
        "first": "/v2/images",
        "schema": "/v2/schemas/images",
    }
    if more and page:
        answer["next"] = paging.next_path(page[-1]["id"]).removeprefix("/image")
    return jsonify(answer)


def show(image_id: str) -> Response:
    return jsonify(imageview.shown(need(image_id)))


def delete(image_id: str) -> tuple[str, int]:
    """Also of one that is being saved. What is in the image store goes by ganeti-ext-manage alone."""
    remove(need(image_id))
    return "", 204


def remove(image: Mapping[str, Any]) -> None:
    """Forbidden for what is protected, and for what is another project's and only to be read."""
    if image["owner_id"] != context.project_id():
        raise Forbidden(f"You are not permitted to delete image {image['id']}: it is not your project's.")
    if image["protected"]:
        raise Forbidden(f"Image {image['id']} is protected and cannot be deleted.")
    if image["origin"]:
        forgetimage.remove(image)
    else:
        imagestore.remove(image["id"])


def list_tasks(image_id: str) -> Response:
    """What imports it: nothing does."""
    need(image_id)
    return jsonify({"tasks": []})


def check_quota(project: str) -> None:
    """Forbidden when the project may not have one more."""
    column, allowed = db.image.c, context.services().settings.quota.images
    query = select(func.count()).where(column.owner_id == project, column.status != forgetimage.DELETED)
    with context.database() as connection:
        if connection.execute(query).scalar_one() >= allowed:
            raise Forbidden(f"Quota exceeded for images: the project has {allowed}, and may have no more.")


def need(image_id: str) -> dict[str, Any]:
    """An image that the caller may use."""
    with context.database() as connection:
        row = find(connection, image_id, context.project_id())
    if row is None:
        raise NotFound(f"No image found with ID {image_id}")
    return row


def image_schema() -> Response:
    return jsonify(_SCHEMA)


def images_schema() -> Response:
    properties = {
        "images": {"type": "array", "items": _SCHEMA},
        "schema": {"type": "string"},
        "next": {"type": "string"},
        "first": {"type": "string"},
    }
    return jsonify({"name": "images", "properties": properties})


def _visible(project_id: str) -> ColumnElement[bool]:
    column = db.image.c
    mine = or_(column.visibility == "public", column.owner_id == project_id)
    return and_(mine, column.status != forgetimage.DELETED)


# Of the properties those that clients look for images of servers by.
_PROPERTIES = ("image_type", "instance_uuid", "base_image_ref")
_EXACT = ("name", "status", "visibility", "owner", "disk_format", "container_format", "os_hidden", "protected")


def _wanted(image: dict[str, Any]) -> bool:
    """Whether the request's filters (key=value, id=in:A,B; size_min, size_max) let the image through."""
    args = request.args
    if "id" in args and image["id"] not in args["id"].removeprefix("in:").split(","):
        return False
    if args.get("member_status") == "pending" or not set(args.getlist("tag")) <= set(image["tags"]):
        return False  # no image has members
    for key, least in (("size_min", True), ("size_max", False)):
        if key in args:
            bound = paging.number(key, digits=18)
            size = image["size"] or 0
            if size < bound if least else size > bound:
                return False
    return all(_same(key, image[key], args[key]) for key in _EXACT if key in args) and all(
        str(image.get(key, "")) == args[key] for key in _PROPERTIES if key in args
    )


def _same(key: str, value: object, wanted: str) -> bool:
    if isinstance(value, bool):
        if wanted.lower() not in ("true", "false"):
            raise BadRequest(f"{key}: expected true or false, got {wanted!r}")
        return wanted.lower() == str(value).lower()
    if key == "visibility" and wanted == "all":
        return True
    names = wanted.removeprefix("in:").split(",") if wanted.startswith("in:") else [wanted]
    return value in names


_STRINGS = (
    *("id", "name", "status", "visibility", "owner", "disk_format", "container_format", "checksum"),
    *("os_hash_algo", "os_hash_value", "created_at", "updated_at", "self", "file", "schema"),
)
_NUMBERS = ("size", "virtual_size", "min_disk", "min_ram")
_FLAGS = ("protected", "os_hidden")
_SCHEMA: dict[str, Any] = {
    "name": "image",
    "properties": {
        **{name: {"type": ["null", "string"]} for name in _STRINGS},
        **{name: {"type": ["null", "integer"]} for name in _NUMBERS},
        **{name: {"type": "boolean"} for name in _FLAGS},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "additionalProperties": {"type": "string"},
}
