"""A volume's row as the JSON of Block Storage."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from frontend.network.netview import made
from frontend.volume import volumename, volumestate
from frontend.volume.volumetypes import Type
from frontend.web import context
from frontend.web.microversion import Version

Row = Mapping[str, Any]

ZONE = "nova"
"""There is one: every node reaches the storage."""
HOST = "ganeti"
"""In place of a host of Cinder's, which here is the cluster."""

_GROUPS, _PROVIDER_ID = (3, 13), (3, 21)


class Eye(NamedTuple):
    """Who looks, and from where."""

    base: str
    project: str
    admin: bool
    version: Version
    """The microversion that the answer is by."""


def eye() -> Eye:
    return Eye(context.base(), context.project_id(), context.is_admin(), context.version())


def short(row: Row, seen: Eye) -> dict[str, Any]:
    return {"id": row["id"], "name": row["name"] or None, "links": links(seen, "volumes", row["id"])}


def made_one(row: Row, seen: Eye) -> dict[str, Any]:
    """As a create and a change answer: without whose it is and where."""
    facts = row["facts"]
    shown = {
        **short(row, seen),
        "status": row["status"],
        "size": row["size"],
        "description": facts.get("description"),
        "volume_type": row["type"],
        "availability_zone": ZONE,
        "attachments": attachments(row),
        "bootable": _word(bootable(row)),
        "metadata": metadata(row),
        "snapshot_id": facts.get("source_snapshot"),
        "source_volid": facts.get("source_volume"),
        "user_id": row["user_id"],
        "encrypted": False,
        "multiattach": False,
        "replication_status": None,
        "consistencygroup_id": None,
        "migration_status": None,
        "created_at": stamp(row["created"]),
        "updated_at": stamp(row["updated"]),
    }
    if seen.version >= _GROUPS:
        shown["group_id"] = None
    if seen.version >= _PROVIDER_ID and seen.admin:
        shown["provider_id"] = volumename.disk(row["id"])
    return shown


def detail(row: Row, seen: Eye) -> dict[str, Any]:
    shown = {**made_one(row, seen), "os-vol-tenant-attr:tenant_id": row["project_id"]}
    if told := volumestate.image_metadata(row):
        shown["volume_image_metadata"] = told
    if seen.admin:
        shown["os-vol-host-attr:host"] = host(Type(row["type"]))
        shown["os-vol-mig-status-attr:migstat"] = shown["os-vol-mig-status-attr:name_id"] = None
    return shown


def attachments(row: Row) -> list[dict[str, Any]]:
    """The one server that has it; where that runs is Compute's to tell."""
    if not row["server_id"]:
        return []
    return [
        {
            "id": row["id"],
            "attachment_id": attachment_id(row),
            "volume_id": row["id"],
            "server_id": row["server_id"],
            "device": row["device"],
            "host_name": None,
            "attached_at": stamp(row["attached"]) if row["attached"] else None,
        }
    ]


def attachment_id(row: Row) -> str:
    return made("attachment", f"{row['id']} {row['server_id']}")


def metadata(row: Row) -> dict[str, str]:
    """The tenant's own, and what Cinder calls an administrator's: whether it is only to be read."""
    readonly = row["facts"].get("readonly")
    return {**row["metadata"], **({"readonly": "True" if readonly == "1" else "False"} if readonly else {})}


def bootable(row: Row) -> bool:
    return bool(row["facts"].get("bootable") == "1")


def host(kind: Type) -> str:
    """Where volumes of a type are: HOST@BACKEND#POOL, as Cinder names it."""
    return f"{HOST}@{kind.provider}#{kind.pool or kind.provider}"


def links(seen: Eye, kind: str, ident: str) -> list[dict[str, str]]:
    tail = f"{seen.project}/{kind}/{ident}"
    return [
        {"rel": "self", "href": f"{seen.base}/volume/v3/{tail}"},
        {"rel": "bookmark", "href": f"{seen.base}/volume/{tail}"},
    ]


def stamp(seconds: float) -> str:
    """Microseconds and no zone, which here is what Go clients read."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


def _word(flag: bool) -> str:
    return "true" if flag else "false"
