"""An image's row as the JSON of the Image service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from frontend.image.imagestate import FILLED
from frontend.web.view import stamp


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """The properties stand beside the image's own keys, which they cannot hide. A size is known once it is active."""
    is_filled = row["status"] in FILLED
    size = row["size"] if is_filled else None
    own = {
        "id": row["id"],
        "name": row["name"],
        "status": row["status"],
        "visibility": row["visibility"],
        "owner": row["owner_id"],
        "size": size,
        "virtual_size": size,
        "disk_format": row["disk_format"],
        "container_format": row["container_format"],
        "min_disk": row["min_disk"],
        "min_ram": row["min_ram"],
        "checksum": row["md5"] if is_filled else None,
        "os_hash_algo": "sha256" if row["sha256"] else None,
        "os_hash_value": row["sha256"] or None,
        "os_hidden": row["hidden"],
        "protected": row["protected"],
        "tags": row["tags"],
        "created_at": stamp(row["created"]),
        "updated_at": stamp(row["updated"] or row["created"]),
        "self": f"/v2/images/{row['id']}",
        "file": f"/v2/images/{row['id']}/file",
        "schema": "/v2/schemas/image",
    }
    return {**{key: str(value) for key, value in (row["properties"] or {}).items()}, **own}


def member(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of image_member."""
    return {
        "image_id": row["image_id"],
        "member_id": row["project_id"],
        "status": row["status"],
        "created_at": stamp(row["created"]),
        "updated_at": stamp(row["updated"]),
        "schema": "/v2/schemas/member",
    }


def task(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of image_task (api-ref, "Show tasks associated with an image")."""
    return {
        "id": row["id"],
        "type": "api_image_import",
        "status": row["status"],
        "owner": row["project_id"],
        "user_id": row["user_id"],
        "image_id": row["image_id"],
        "request_id": row["request_id"],
        "input": row["input"],
        "result": None,
        "message": row["message"] or "",
        "created_at": stamp(row["created"]),
        "updated_at": stamp(row["updated"]),
        "expires_at": None,
        "self": f"/v2/tasks/{row['id']}",
        "schema": "/v2/schemas/task",
    }
