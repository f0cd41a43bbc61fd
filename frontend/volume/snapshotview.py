"""A volume snapshot's row as the JSON of Block Storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from frontend.volume.volumeview import stamp
from frontend.web import context

Row = Mapping[str, Any]

_GROUPS, _USER = (3, 14), (3, 41)


def short(row: Row) -> dict[str, Any]:
    """As a list without details shows it."""
    return {
        "id": row["id"],
        "name": row["name"] or None,
        "description": row["description"],
        "volume_id": row["volume_id"],
        "status": row["status"],
        "size": row["size"],
        "metadata": row["metadata"],
        "created_at": stamp(row["created"]),
        "updated_at": stamp(row["updated"]),
    }


def made_one(row: Row) -> dict[str, Any]:
    """As a create and a change answer."""
    shown, version = short(row), context.version()
    if version >= _GROUPS:
        shown["group_snapshot_id"] = None
    if version >= _USER:
        shown["user_id"] = row["user_id"]
    return shown


def detail(row: Row) -> dict[str, Any]:
    return {
        **made_one(row),
        "os-extended-snapshot-attributes:project_id": row["project_id"],
        "os-extended-snapshot-attributes:progress": "100%" if row["status"] == "available" else "0%",
    }
