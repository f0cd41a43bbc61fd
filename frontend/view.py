"""Rows of the database as the JSON of Compute and Image."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


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
