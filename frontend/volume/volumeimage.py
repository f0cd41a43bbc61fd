"""os-volume_upload_image: an image that is a volume as it is now. Nothing is copied: the provider makes a snapshot."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, insert, update

from frontend.database import db
from frontend.effect import chain, translate_image, translate_volume
from frontend.effect.chain import UnfinishedError
from frontend.effect.purpose import UPLOAD_VOLUME, Purpose
from frontend.effect.translate import GIB
from frontend.effect.translate_image import Shot
from frontend.image import imagedisks, imagequota
from frontend.volume import volumeeffect, volumename, volumestate, volumetypes, volumeview
from frontend.web import context, schema
from frontend.web.fault import BadRequest
from ganeti_ext.errors import ExtError

log = logging.getLogger(__name__)

Row = Mapping[str, Any]

_VISIBILITIES = ("private", "shared", "community")  # what is public, only an administrator says
_OWN = frozenset((imagedisks.MAPPING, "bdm_v2", "root_device_name", "image_type", "instance_uuid", "base_image_ref"))
_BASIC = frozenset(("image_id", "image_name", "checksum", "container_format", "disk_format", "size", "min_disk",
                    "min_ram"))  # fmt: skip


def upload(volume: Row, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What the action answers under its name; the image is `saving` until its snapshot is there."""
    force = schema.flag(asked, "force", default=False)
    volumeeffect.check(volume, "upload to image", *(("available", "in-use") if force else ("available",)))
    image = _row(volume, asked)
    instance, _ = volumeeffect.where(volume)
    with context.database() as connection:
        imagequota.check(connection, image["owner_id"], image["size"])
        connection.execute(insert(db.image).values(image))
        connection.commit()
    shot = Shot(image["id"], image["provider"], image["pool"], volumename.disk(volume["id"]))
    try:
        steps = translate_image.save_all(instance, [shot])
        jobs = chain.submit(context.rapi(volume), steps, Purpose(UPLOAD_VOLUME, image["id"]))
    except UnfinishedError:
        return _told(volume, image)
    except ExtError:
        with context.database() as connection:
            connection.execute(delete(db.image).where(db.image.c.id == image["id"]))
            connection.commit()
        raise
    with context.database() as connection:
        connection.execute(update(db.image).where(db.image.c.id == image["id"]).values(job=jobs[-1]))
        connection.commit()
    log.info("image %s of volume %s: jobs %s, on %s", image["id"], volume["id"], jobs, instance)
    return _told(volume, image)


def _row(volume: Row, asked: Mapping[str, Any]) -> dict[str, Any]:
    for key, only in (("disk_format", "raw"), ("container_format", "bare")):
        said = schema.text(asked, key, only)
        if said != only:
            raise BadRequest(f"{key}: an image of a volume is {only}, not {said!r:.80}")
    kind, ident = translate_volume.provider(volume["type"]), str(uuid.uuid4())
    visibility = schema.text(asked, "visibility", "private")
    if visibility not in _VISIBILITIES + (("public",) if context.is_admin() else ()):
        raise BadRequest(f"visibility: expected one of {', '.join(_VISIBILITIES)}, got {visibility!r:.80}")
    told = volumestate.image_metadata(volume)
    return {
        "id": ident,
        "name": schema.text(asked, "image_name"),
        "owner_id": volume["project_id"],
        "visibility": visibility,
        "size": volume["size"] * GIB,
        "sha256": "",
        "min_disk": volume["size"],
        "min_ram": _number(told.get("min_ram")),
        "created": time.time(),
        "properties": {key: value for key, value in told.items() if key not in _OWN | _BASIC},
        "status": "saving",
        "origin": translate_image.origin(ident),
        "cluster": volume["cluster"],
        "provider": kind["provider"],
        "pool": kind.get("pool"),
        "protected": schema.flag(asked, "protected", default=False),
        "tags": [],
    }


def _number(text: object) -> int:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) <= 9 else 0


def _told(volume: Row, image: Row) -> dict[str, Any]:
    kind = volumetypes.Type(volume["type"])
    shown = {
        "id": volume["id"],
        "updated_at": volumeview.stamp(volume["updated"]),
        "status": "uploading",
        "display_description": volume["facts"].get("description"),
        "size": volume["size"],
        "volume_type": {"id": kind.id, "name": kind.name, "is_public": True, "extra_specs": kind.extra_specs},
        "image_id": image["id"],
        "image_name": image["name"],
        "container_format": "bare",
        "disk_format": "raw",
    }
    if context.version() >= (3, 1):
        shown.update(visibility=image["visibility"], protected=image["protected"])
    return shown
