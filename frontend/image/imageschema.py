"""GET /v2/schemas/...: the shapes of images and their members, as Glance's JSON schemas say them."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify

from frontend.image.imagevalues import CONTAINERS, FORMATS, VISIBILITIES

_TEXT: dict[str, Any] = {"type": ["null", "string"]}
_READ = {"readOnly": True}
_STRINGS = ("status", "checksum", "os_hash_algo", "os_hash_value", "created_at", "updated_at", "self", "file", "schema")
_IMAGE: dict[str, Any] = {
    "name": "image",
    "properties": {
        "id": {"type": "string", "description": "A UUID"},
        "name": {**_TEXT, "maxLength": 255},
        "owner": {**_TEXT, "maxLength": 255},
        "visibility": {"type": "string", "enum": list(VISIBILITIES)},
        "disk_format": {**_TEXT, "enum": [None, *FORMATS]},
        "container_format": {**_TEXT, "enum": [None, *CONTAINERS]},
        **{name: {**_TEXT, **_READ} for name in _STRINGS},
        **{name: {"type": ["null", "integer"], **_READ} for name in ("size", "virtual_size")},
        **{name: {"type": "integer"} for name in ("min_disk", "min_ram")},
        **{name: {"type": "boolean"} for name in ("protected", "os_hidden")},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 255}},
    },
    "additionalProperties": {"type": "string"},
    "links": [{"rel": name, "href": f"{{{name}}}"} for name in ("self", "schema")],
}
_MEMBER: dict[str, Any] = {
    "name": "member",
    "properties": {
        "member_id": {"type": "string"},
        "image_id": {"type": "string"},
        "status": {"type": "string", "enum": ["pending", "accepted", "rejected"]},
        **{name: {"type": "string", **_READ} for name in ("created_at", "updated_at", "schema")},
    },
}


def image() -> Response:
    return jsonify(_IMAGE)


def images() -> Response:
    return jsonify(_list("images", _IMAGE, ("next", "first", "schema")))


def member() -> Response:
    return jsonify(_MEMBER)


def members() -> Response:
    return jsonify(_list("members", _MEMBER, ("schema",)))


def _list(name: str, items: dict[str, Any], texts: tuple[str, ...]) -> dict[str, Any]:
    strings = {text: {"type": "string"} for text in texts}
    links = [{"rel": text, "href": f"{{{text}}}"} for text in texts]
    return {"name": name, "properties": {name: {"type": "array", "items": items}, **strings}, "links": links}
