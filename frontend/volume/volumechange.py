"""Actions that change what a volume is: its size, what is said of it, its status."""

from __future__ import annotations

import json
import logging
from typing import Any

from flask import Response, jsonify

from frontend.compute import quotas
from frontend.volume import schema_volume, volumeeffect, volumequota, volumestate
from frontend.volume.volumemark import is_offered, mark
from frontend.web import context, schema
from frontend.web.fault import BadRequest, NotFound

log = logging.getLogger(__name__)

Row = dict[str, Any]

_IN_USE = (3, 42)
_FAULT = "An administrator said so."


def extend(row: Row, argument: Any) -> tuple[str, int]:
    """os-extend: also while a server has it, from 3.42."""
    size = schema_volume.size(argument)
    is_late = context.version() >= _IN_USE
    volumeeffect.check(row, "extend", volumestate.AVAILABLE, *((volumestate.IN_USE,) if is_late else ()))
    if size <= row["size"]:
        raise BadRequest(
            f"Invalid input received: New size for extend must be greater than current size. (current: {row['size']}, "
            f"extended: {size})."
        )
    with context.database() as connection:
        volumequota.check(connection, row["project_id"], {"gigabytes": size - row["size"]})
    volumeeffect.extend(row, size)
    return "", 202


def set_bootable(row: Row, argument: Any) -> tuple[str, int]:
    sent = schema_volume.argument_of("os-set_bootable", argument)
    volumeeffect.change(row, {"bootable": "1" if _flag(sent, "bootable") else None})
    return "", 200


def set_readonly(row: Row, argument: Any) -> tuple[str, int]:
    """Whether servers may only read it from when it is attached next."""
    sent = schema_volume.argument_of("os-update_readonly_flag", argument)
    wanted = _flag(sent, "readonly")
    volumeeffect.check(row, "update readonly flag", "available")
    volumeeffect.change(row, {"readonly": "1" if wanted else "0"})
    return "", 202


def show_image_metadata(row: Row, _: Any) -> Response:
    return jsonify({"metadata": volumestate.image_metadata(row)})


def set_image_metadata(row: Row, argument: Any) -> Response:
    sent = schema_volume.argument_of("os-set_image_metadata", argument)
    schema.mapping(sent, "metadata")
    return _image_metadata(row, {**volumestate.image_metadata(row), **schema.metadata(sent)})


def unset_image_metadata(row: Row, argument: Any) -> tuple[str, int]:
    key = schema.text(schema_volume.argument_of("os-unset_image_metadata", argument), "key")
    if key not in volumestate.image_metadata(row):
        raise NotFound(f"Volume {row['id']} has no glance metadata with the key {key[:80]}.")
    _image_metadata(row, {name: value for name, value in volumestate.image_metadata(row).items() if name != key})
    return "", 200


def reset_status(row: Row, argument: Any) -> tuple[str, int]:
    """`error` until a comparison finds its disk in place; else as Ganeti said last, whatever goes on."""
    wanted = schema.text(schema_volume.argument_of("os-reset_status", argument), "status")
    if wanted not in (volumestate.AVAILABLE, volumestate.IN_USE, volumestate.ERROR):
        raise BadRequest(
            f"Invalid status: {wanted!r:.80}: expected error, or available or in-use, which is what Ganeti says"
        )
    if row["task"] == volumestate.OFFERED and is_offered(row["id"]):
        raise BadRequest(f"Invalid volume: Volume {row['id']} is offered: delete its transfer first.")
    values = {"task": None, "fault": _FAULT if wanted == volumestate.ERROR else None}
    values["status"] = volumestate.status({**row, **values})
    mark(row["id"], **values)
    log.info("volume %s: its status was reset to %s", row["id"], wanted)
    return "", 202


def _image_metadata(row: Row, after: dict[str, str]) -> Response:
    quotas.check_metadata(len(after))
    volumeeffect.change(row, {"image_meta": json.dumps(after, sort_keys=True) if after else None})
    return jsonify({"metadata": after})


def _flag(sent: dict[str, Any], key: str) -> bool:
    if sent.get(key) is None:
        raise BadRequest(f"{key}: is missing")
    return schema.flag(sent, key, default=False)
