"""Image v2, to read: public images and the project's own."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import ColumnElement, Connection, or_, select

from frontend import context, db, paging, view
from frontend.fault import BadRequest, NotFound


def find(connection: Connection, ident: str, project_id: str) -> dict[str, Any] | None:
    """An image that the project may use."""
    return db.row(connection, select(db.image).where(db.image.c.id == ident, _visible(project_id)))


def list_images() -> Response:
    query = select(db.image).where(_visible(context.project_id()))
    with context.database() as connection:
        shown = [
            view.image(row) for row in db.rows(connection, query.order_by(db.image.c.created.desc(), db.image.c.id))
        ]
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
    with context.database() as connection:
        row = find(connection, image_id, context.project_id())
    if row is None:
        raise NotFound(f"No image found with ID {image_id}")
    return jsonify(view.image(row))


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
    return or_(db.image.c.visibility == "public", db.image.c.owner_id == project_id)


_EXACT = ("name", "status", "visibility", "owner", "disk_format", "container_format", "os_hidden", "protected")


def _wanted(image: dict[str, Any]) -> bool:
    """Whether the request's filters (key=value, id=in:A,B; size_min, size_max) let the image through."""
    args = request.args
    if "id" in args and image["id"] not in args["id"].removeprefix("in:").split(","):
        return False
    if args.get("tag") is not None or args.get("member_status") == "pending":
        return False  # no image has tags or members
    for key, least in (("size_min", True), ("size_max", False)):
        if key in args:
            bound = paging.number(key, digits=18)
            if image["size"] < bound if least else image["size"] > bound:
                return False
    return all(_same(key, image[key], args[key]) for key in _EXACT if key in args)


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
