"""A volume snapshot's row as the JSON of Block Storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from frontend.volume.volumeview import stamp

Row = Mapping[str, Any]


def short(row: Row) -> dict[str, Any]:
    """As a create, a change and a list without details show it."""
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


def detail(row: Row) -> dict[str, Any]:
    return {
        **short(row),
        "os-extended-snapshot-attributes:project_id": row["project_id"],
        "os-extended-snapshot-attributes:progress": "100%" if row["status"] == "available" else "0%",
    }
