"""What is written down of an image beside it in the store, and a row made of that again. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_VERSION = 1
_SAVED = "saved-"
# Columns that stand there as they are.
_PLAIN = (
    *("name", "visibility", "min_disk", "min_ram", "created", "updated", "properties", "protected", "tags", "hidden"),
    *("status", "size", "md5", "sha256", "disk_format", "container_format"),
)


def of(row: Mapping[str, Any], owner_name: str | None, members: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """An image's row; the owner by name, too, as ids are the database's own."""
    return {
        "version": _VERSION,
        "id": row["id"],
        "owner": row["owner_id"],
        "owner_name": owner_name,
        **{name: row[name] for name in _PLAIN},
        "members": {member["project_id"]: member["status"] for member in members},
    }


def row_of(listed: Mapping[str, Any], owner: str | None) -> dict[str, Any]:
    """The row of an image as the store lists it (docs/images.md); without facts it is private, and named by its id."""
    facts = listed.get("facts") or {}
    ident = str(listed["id"]).removeprefix(_SAVED)
    is_snapshot = listed["id"] != ident
    known = {name: facts[name] for name in _PLAIN if facts.get(name) is not None}
    size = listed.get("size") or known.get("size") or 0
    return {
        "name": ident,
        "visibility": "private",
        "min_disk": -(-size // (1 << 30)),
        "min_ram": 0,
        "created": listed.get("created") or 0.0,
        "properties": {"image_type": "snapshot"} if is_snapshot else {},
        "protected": False,
        "tags": [],
        "hidden": False,
        "status": "active",
        **known,
        "id": ident,
        "owner_id": owner,
        "size": size,
        "md5": listed.get("md5") or known.get("md5"),
        "sha256": listed.get("sha256") or known.get("sha256") or "",
        "disk_format": "raw",
        "container_format": "bare",
        "origin": listed["origin"] if is_snapshot else None,
        "provider": listed["provider"],
        "pool": listed.get("pool") or None,
    }
