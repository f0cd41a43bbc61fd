"""What an image may be said to be, when it is made and when it is changed: a table of keys and of what reads each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from frontend.web import context, schema
from frontend.web.fault import BadRequest, Forbidden

FORMATS = ("raw", "qcow2", "vmdk", "vdi", "vhdx")
CONTAINERS = ("bare",)
VISIBILITIES = ("private", "shared", "community", "public")
_TAG, _TAGS = 255, 128
_PROPERTY = 4096  # characters of a value: some are JSON
# What is said of an image, and cannot be asked for (glance/api/v2/images.py).
_READ_ONLY = frozenset((
    *("status", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value", "created_at", "updated_at"),
    *("self", "file", "schema", "stores", "direct_url", "locations"),
))  # fmt: skip
_RESERVED = ("deleted", "deleted_at", "location")
_PREFIX = "os_glance"

Read = Callable[[Mapping[str, Any], str], Any]


def _one_of(*known: str) -> Read:
    def read(where: Mapping[str, Any], key: str) -> str | None:
        value = where[key]
        if value is not None and value not in known:
            raise BadRequest(f"{key}: {json.dumps(value)[:80]}: expected one of {' '.join(known)}")
        return value  # type: ignore[no-any-return]

    return read


def _visibility(where: Mapping[str, Any], key: str) -> str:
    value = _one_of(*VISIBILITIES)(where, key)
    if value is None:
        raise BadRequest(f"{key}: null: expected one of {' '.join(VISIBILITIES)}")
    if value == "public" and not context.is_admin():
        raise Forbidden("You are not permitted to make an image public.")
    return str(value)


def _owner(where: Mapping[str, Any], key: str) -> str:
    value = schema.text(where, key, longest=36)
    if value != context.project_id() and not context.is_admin():
        raise Forbidden("You are not permitted to set the owner of an image.")
    return value


def _tags(where: Mapping[str, Any], key: str) -> list[str]:
    return tags(schema.items(where, key))


_NAMED: Mapping[str, tuple[str, Read]] = {
    "name": ("name", lambda where, key: schema.text(where, key, "") if where[key] != "" else ""),
    "visibility": ("visibility", _visibility),
    "disk_format": ("disk_format", _one_of(*FORMATS)),
    "container_format": ("container_format", _one_of(*CONTAINERS)),
    "min_disk": ("min_disk", lambda where, key: schema.number(where, key, 0, 0, 1 << 20)),
    "min_ram": ("min_ram", lambda where, key: schema.number(where, key, 0, 0, 1 << 30)),
    "protected": ("protected", lambda where, key: schema.flag(where, key, default=False)),
    "os_hidden": ("hidden", lambda where, key: schema.flag(where, key, default=False)),
    "tags": ("tags", _tags),
    "owner": ("owner_id", _owner),
}


def is_own(key: str) -> bool:
    """Whether it is one of the image's own keys, which cannot be taken away, and no property."""
    return key in _NAMED or key in _READ_ONLY or key == "id"


def column(key: str, value: object) -> tuple[str, Any] | None:
    """The column of the image's row that holds a key, and what is to stand in it; None for a property."""
    if key in _NAMED:
        name, read = _NAMED[key]
        return name, read({key: value}, key)
    if is_own(key):
        raise Forbidden(f"Attribute '{key}' is read-only.")
    if key in _RESERVED or key.startswith(_PREFIX):
        raise Forbidden(f"Attribute '{key}' is reserved.")
    return None


def tags(found: list[Any]) -> list[str]:
    """In order, each once."""
    read = sorted({schema.text({"tags": tag}, "tags", longest=_TAG) for tag in found if tag is not None})
    if len(read) > _TAGS:
        raise BadRequest(f"tags: {len(read)} of them, at most {_TAGS} are allowed")
    return read


def check_property(name: str, value: object) -> str:
    """BadRequest unless it is a text, and its name one, too."""
    schema.text({"property": name}, "property")
    if not isinstance(value, str) or len(value) > _PROPERTY or not value.replace("\n", "").isprintable():
        raise BadRequest(f"{name}: expected at most {_PROPERTY} printable characters, got {json.dumps(value)[:80]}")
    return value
