"""The disks of an image beside its first: snapshots that its property `block_device_mapping` names, as Nova writes it.

A tenant may write that property, too. So of what it names only snapshots of the image's owner count: whoever may use
the image has them from him.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from frontend.database import db

Row = Mapping[str, Any]

MAPPING = "block_device_mapping"


def properties(snapshots: Iterable[tuple[str, Row]], *, from_volume: bool) -> dict[str, str]:
    """What an image says of snapshots of disks, each with its device; `from_volume`: the first is its root."""
    found = [_entry(device, row, 0 if from_volume and not at else None) for at, (device, row) in enumerate(snapshots)]
    return {MAPPING: json.dumps(found), "bdm_v2": "True", "root_device_name": "/dev/vda"} if found else {}


def mapping(image: Row) -> list[dict[str, Any]]:
    """The entries, block device mapping v2; what is none is left out."""
    try:
        found = json.loads((image["properties"] or {}).get(MAPPING) or "[]")
    except ValueError:
        return []
    entries = found if isinstance(found, list) else []
    return [each for each in entries if isinstance(each, dict) and isinstance(each.get("snapshot_id"), str)]


def snapshots(connection: Connection, image: Row) -> list[dict[str, Any]]:
    """The rows of its snapshots that are its owner's, in their order."""
    wanted = [each["snapshot_id"] for each in mapping(image)]
    if not wanted:
        return []
    column = db.volume_snapshot.c
    mine = (column.id.in_(wanted), column.project_id == image["owner_id"])
    found = {row["id"]: row for row in db.rows(connection, select(db.volume_snapshot).where(*mine))}
    return [found[ident] for ident in dict.fromkeys(wanted) if ident in found]


def is_from_volume(image: Row) -> bool:
    """Whether a server of it has a volume for its first disk."""
    return any(each.get("boot_index") == 0 for each in mapping(image))


def _entry(device: str, row: Row, boot_index: int | None) -> dict[str, Any]:
    return {
        "source_type": "snapshot",
        "destination_type": "volume",
        "snapshot_id": row["id"],
        "volume_size": row["size"],
        "boot_index": boot_index,
        "device_name": device,
        "delete_on_termination": True,
    }
