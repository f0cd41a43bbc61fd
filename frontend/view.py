"""Rows of the database as the JSON of Compute and Image."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from frontend import customflavor, translate

FAULT_TEXT = 255  # characters; Nova's limit
_PROGRESSES = ("ACTIVE", "BUILD", "HARD_REBOOT", "MIGRATING", "REBOOT", "REBUILD", "RESIZE")


def stamp(seconds: float) -> str:
    """RFC 3339 with Z; Go clients read nothing else."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def links(base: str, kind: str, ident: str) -> list[dict[str, str]]:
    return [
        {"rel": "self", "href": f"{base}/compute/v2.1/{kind}/{ident}"},
        {"rel": "bookmark", "href": f"{base}/compute/{kind}/{ident}"},
    ]


def reference(base: str, kind: str, ident: str) -> dict[str, Any]:
    return {"id": ident, "links": [{"rel": "bookmark", "href": f"{base}/compute/{kind}/{ident}"}]}


def server_short(row: Mapping[str, Any], base: str) -> dict[str, Any]:
    return {"id": row["id"], "name": row["name"], "links": links(base, "servers", row["id"])}


def server(row: Mapping[str, Any], base: str) -> dict[str, Any]:
    """All that microversion 2.1 shows to a tenant."""
    shown = {
        **server_short(row, base),
        "status": translate.status(row),
        "tenant_id": row["project_id"],
        "user_id": row["user_id"],
        "metadata": row["metadata"],
        "hostId": host_id(row["project_id"], row["host"]),
        "image": reference(base, "images", row["image_id"]) if row["image_id"] else "",
        "flavor": reference(base, "flavors", customflavor.shown_id(row)),
        "created": stamp(row["created"]),
        "updated": stamp(row["updated"]),
        "addresses": translate.addresses(row["nics"]),
        "accessIPv4": "",
        "accessIPv6": "",
        "OS-DCF:diskConfig": "MANUAL",
        "OS-EXT-AZ:availability_zone": "nova",
        "config_drive": "",
        "key_name": None,
        "OS-SRV-USG:launched_at": None,
        "OS-SRV-USG:terminated_at": None,
        "OS-EXT-STS:task_state": row["task"],
        "OS-EXT-STS:vm_state": translate.vm_state(row),
        "OS-EXT-STS:power_state": translate.power_state(row),
        "os-extended-volumes:volumes_attached": [],
        "security_groups": [{"name": "default"}],
    }
    if shown["status"] in _PROGRESSES:
        shown["progress"] = 100 if shown["status"] == "ACTIVE" else row["progress"] or 0
    if shown["status"] == "ERROR":
        shown["fault"] = fault(row)
    return shown


def fault(row: Mapping[str, Any]) -> dict[str, Any]:
    text = row["fault"] or "The server is in an error state."
    return {"code": 500, "created": stamp(row["updated"]), "message": text[:FAULT_TEXT]}


def host_id(project_id: str, host: str | None) -> str:
    """The same for two servers of a project on one node, and no hint at which."""
    return hashlib.sha224(f"{project_id}{host}".encode()).hexdigest() if host else ""


def flavor(row: Mapping[str, Any], base: str) -> dict[str, Any]:
    return {
        **flavor_short(row, base),
        "ram": row["ram"],
        "disk": row["disk"],
        "vcpus": row["vcpus"],
        "swap": "",
        "rxtx_factor": 1.0,
        "OS-FLV-EXT-DATA:ephemeral": 0,
        "OS-FLV-DISABLED:disabled": False,
        "os-flavor-access:is_public": True,
    }


def flavor_short(row: Mapping[str, Any], base: str) -> dict[str, Any]:
    return {"id": row["id"], "name": row["name"], "links": links(base, "flavors", row["id"])}


def image(row: Mapping[str, Any]) -> dict[str, Any]:
    """An image of the Image service; the properties stand beside its own keys, which they cannot hide."""
    own = {
        "id": row["id"],
        "name": row["name"],
        "status": "active",
        "visibility": row["visibility"],
        "owner": row["owner_id"],
        "size": row["size"],
        "virtual_size": row["size"],
        "disk_format": "raw",
        "container_format": "bare",
        "min_disk": row["min_disk"],
        "min_ram": row["min_ram"],
        "checksum": None,
        "os_hash_algo": "sha256",
        "os_hash_value": row["sha256"],
        "os_hidden": False,
        "protected": True,
        "tags": [],
        "created_at": stamp(row["created"]),
        "updated_at": stamp(row["created"]),
        "self": f"/v2/images/{row['id']}",
        "file": f"/v2/images/{row['id']}/file",
        "schema": "/v2/schemas/image",
    }
    return {**{key: str(value) for key, value in (row["properties"] or {}).items()}, **own}
