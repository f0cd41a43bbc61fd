"""What is written down beside an image in the store, or a snapshot of a volume, and a row made of that again. Pure.

One place may hold both: an image of a server whose first disk is a volume is that disk's snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from frontend.effect.translate_image import SAVED

Facts = Mapping[str, Any]

_VERSION = 1
_SNAPSHOT = "snapshot"
# Columns that stand there as they are.
_PLAIN = (
    *("name", "visibility", "min_disk", "min_ram", "created", "updated", "properties", "protected", "tags", "hidden"),
    *("status", "size", "md5", "sha256", "disk_format", "container_format"),
)
_PLAIN_SNAPSHOT = ("id", "volume_id", "name", "description", "metadata", "size", "created", "updated")
_GIB = 1 << 30


def of(
    row: Mapping[str, Any], owner_name: str | None, members: Iterable[Mapping[str, Any]], names: Mapping[str, str]
) -> dict[str, Any]:
    """An image's row; projects by name, too (`names`, by id), as ids are the database's own."""
    found = {member["project_id"]: member["status"] for member in members}
    return {
        "version": _VERSION,
        "id": row["id"],
        "owner": row["owner_id"],
        "owner_name": owner_name,
        **{name: row[name] for name in _PLAIN},
        "members": found,
        "member_names": {ident: names[ident] for ident in found if ident in names},
    }


def with_snapshot(
    image: Facts | None, row: Mapping[str, Any], project_name: str | None, user_name: str | None
) -> dict[str, Any]:
    """The row of a snapshot of a volume, beside the image that it is, if it is one."""
    facts = {
        **{name: row[name] for name in _PLAIN_SNAPSHOT},
        "project": row["project_id"],
        "project_name": project_name,
        "user": row["user_id"],
        "user_name": user_name,
    }
    return {**(image or {"version": _VERSION}), _SNAPSHOT: facts}


def ident_of(listed: Mapping[str, Any]) -> str:
    """The id of the image or snapshot that the store has something of."""
    return str(listed["id"]).removeprefix(SAVED)


def image_of(listed: Mapping[str, Any]) -> Facts | None:
    """What the store tells of an image there; None: only of a snapshot of a volume."""
    facts: Facts = listed.get("facts") or {}
    told = {key: value for key, value in facts.items() if key != _SNAPSHOT}
    return None if _SNAPSHOT in facts and not told.keys() - {"version"} else told


def snapshot_of(listed: Mapping[str, Any]) -> Facts | None:
    """What the store tells of a snapshot of a volume; None: of none."""
    facts = (listed.get("facts") or {}).get(_SNAPSHOT)
    is_one = isinstance(facts, Mapping) and facts.keys() >= {*_PLAIN_SNAPSHOT, "project", "user"}
    return facts if is_one else None


def image_id(listed: Mapping[str, Any], facts: Facts) -> str:
    """A snapshot of a volume has an id of its own beside that of its image."""
    return str(facts.get("id") or ident_of(listed)) if snapshot_of(listed) else ident_of(listed)


def row_of(listed: Mapping[str, Any], facts: Facts, owner: str | None) -> dict[str, Any]:
    """The row of an image as the store lists it (docs/images.md); without facts it is private, and named by its id."""
    ident, is_snapshot = image_id(listed, facts), str(listed["id"]).startswith(SAVED)
    known = {name: facts[name] for name in _PLAIN if facts.get(name) is not None}
    # One that is a snapshot of a volume has no size: Nova's has none, either.
    size = known.get("size", 0) if ident != ident_of(listed) else listed.get("size") or known.get("size") or 0
    return {
        "name": ident,
        "visibility": "private",
        "min_disk": -(-size // _GIB),
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


def snapshot_row(listed: Mapping[str, Any], facts: Facts, project: str, user: str) -> dict[str, Any]:
    """The row of a snapshot of a volume."""
    return {
        **{name: facts[name] for name in _PLAIN_SNAPSHOT},
        "id": ident_of(listed),
        "project_id": project,
        "user_id": user,
        "status": "available",
        "fault": None,
        "provider": listed["provider"],
        "pool": listed.get("pool") or None,
        "job": None,
    }
