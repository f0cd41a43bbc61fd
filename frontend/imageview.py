"""An image's row as the JSON of the Image service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from frontend.view import stamp


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """The properties stand beside the image's own keys, which they cannot hide. A size is known once it is active."""
    size = row["size"] if row["status"] == "active" else None
    own = {
        "id": row["id"],
        "name": row["name"],
        "status": row["status"],
        "visibility": row["visibility"],
        "owner": row["owner_id"],
        "size": size,
        "virtual_size": size,
        "disk_format": "raw",
        "container_format": "bare",
        "min_disk": row["min_disk"],
        "min_ram": row["min_ram"],
        "checksum": None,
        "os_hash_algo": "sha256" if row["sha256"] else None,
        "os_hash_value": row["sha256"] or None,
        "os_hidden": False,
        "protected": row["protected"],
        "tags": row["tags"],
        "created_at": stamp(row["created"]),
        "updated_at": stamp(row["updated"] or row["created"]),
        "self": f"/v2/images/{row['id']}",
        "file": f"/v2/images/{row['id']}/file",
        "schema": "/v2/schemas/image",
    }
    return {**{key: str(value) for key, value in (row["properties"] or {}).items()}, **own}
