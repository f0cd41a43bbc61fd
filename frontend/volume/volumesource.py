"""What a new volume is made from: nothing, an image, a snapshot, another volume; and what follows from that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import select

from frontend.database import db
from frontend.effect import translate_image
from frontend.effect.translate import GIB
from frontend.image import images
from frontend.volume import volumestate, volumetypes
from frontend.volume.schema_volume import Wanted
from frontend.volume.volumetypes import Type
from frontend.web import context
from frontend.web.fault import BadRequest, NotFound

Row = Mapping[str, Any]


class Source(NamedTuple):
    """Where the content of a new volume comes from."""

    provider: str | None = None
    """Whose type the volume has to have; None: any."""
    size: int | None = None
    """GiB, the least that it has; None: there is no content."""
    sized: bool = False
    """Whether that is its size when none is asked for."""
    origin: str = ""
    """What the provider clones (volumeeffect.create)."""
    volume: Row | None = None
    """The volume that is cloned as it is now."""
    facts: Mapping[str, str | None] = {}
    image_metadata: Mapping[str, str] = {}
    kind: str | None = None
    """The type of what it comes from, which a clone has, too."""
    place: tuple[str, Row, bool] | None = None
    """What says in which cluster it may be (whichcluster.pick)."""


def find(wanted: Wanted) -> Source:
    """NotFound when there is none of that name for the caller; BadRequest when it cannot be made from."""
    if wanted.source is None:
        return Source()
    kind, ident = wanted.source
    return _KINDS[kind](ident)


def type_of(wanted: Wanted, source: Source) -> Type:
    """The type of the new volume; BadRequest when the source is another provider's."""
    if wanted.type is not None:
        found = volumetypes.find(wanted.type)
        if source.provider not in (None, found.provider) or source.kind not in (None, found.name):
            raise BadRequest(
                f"Invalid input received: volume_type {found.name}: what the volume is to be made from is in the "
                f"storage of {source.kind or source.provider}"
            )
        return found
    if source.kind is not None:
        return Type(source.kind)
    fitting = [each for each in volumetypes.every() if source.provider in (None, each.provider)]
    if not fitting:
        raise BadRequest(f"Invalid input received: there is no volume type in the storage of {source.provider}")
    default = volumetypes.default()
    return default if default in fitting else fitting[0]


def size_of(wanted: Wanted, source: Source) -> int:
    """GiB of the new volume; BadRequest when it is asked to be smaller than its content."""
    if wanted.size is None:
        if source.size is None or not source.sized:
            raise BadRequest("Invalid input received: Volume size 'None' must be an integer and greater than 0")
        return source.size
    if source.size is not None and wanted.size < source.size:
        what = str(wanted.source and wanted.source[0])
        raise BadRequest(
            f"Invalid input received: Volume size {wanted.size}GB cannot be smaller than {source.size}GB, which "
            f"{what} needs."
        )
    return wanted.size


def _image(ident: str) -> Source:
    with context.database() as connection:
        image = images.find(connection, ident, context.project_id())
    if image is None:
        raise NotFound(f"Image {ident[:80]} could not be found.")
    if image["status"] != "active":
        raise BadRequest(f"Invalid image identifier: Image {image['id']} is not active.")
    return Source(
        provider=image["provider"] or context.services().settings.front.provider,
        size=max(image["min_disk"], -(-image["size"] // GIB), 1),
        origin=image["origin"] or image["id"],
        facts={"bootable": "1", "source_image": image["id"]},
        image_metadata=told_of(image),
        place=(f"image {image['id']}", image, True),
    )


def told_of(image: Row) -> dict[str, str]:
    """What of an image is told of the volumes that are made of it, as Cinder's volume_image_metadata."""
    own = {
        "image_id": image["id"],
        "image_name": image["name"],
        "container_format": "bare",
        "disk_format": "raw",
        "min_disk": image["min_disk"],
        "min_ram": image["min_ram"],
        "size": image["size"],
    }
    kept = {key: value for key, value in (image["properties"] or {}).items() if isinstance(value, str)}
    return {key: str(value) for key, value in {**kept, **own}.items()}


def _snapshot(ident: str) -> Source:
    snapshot = _own(db.volume_snapshot, ident)
    if snapshot is None:
        raise NotFound(f"Snapshot {ident[:80]} could not be found.")
    if snapshot["status"] != "available":
        raise BadRequest(
            f"Invalid snapshot: Originating snapshot status must be one of available values, but it is "
            f"{snapshot['status']}."
        )
    volume = _own(db.volume, snapshot["volume_id"]) or {"facts": {}}
    pool = snapshot["pool"]
    return Source(
        provider=snapshot["provider"],
        size=snapshot["size"],
        sized=True,
        origin=translate_image.origin(ident),
        facts={"bootable": volume["facts"].get("bootable"), "source_snapshot": ident},
        image_metadata=volumestate.image_metadata(volume),
        kind=f"{snapshot['provider']}:{pool}" if pool else snapshot["provider"],
        place=(f"snapshot {ident}", snapshot, True),
    )


def _volume(ident: str) -> Source:
    volume = _own(db.volume, ident, db.volume.c.deleted.is_(None))
    if volume is None:
        raise NotFound(f"Volume {ident[:80]} could not be found.")
    if volume["status"] not in ("available", "in-use"):
        raise BadRequest(
            f"Invalid volume: Source volume status must be available or in-use, but it is {volume['status']}."
        )
    return Source(
        provider=Type(volume["type"]).provider,
        size=volume["size"],
        sized=True,
        volume=volume,
        facts={"bootable": volume["facts"].get("bootable"), "source_volume": ident},
        image_metadata=volumestate.image_metadata(volume),
        kind=volume["type"],
        place=(f"volume {ident}", volume, False),
    )


def _own(table: Any, ident: str, *conditions: Any) -> dict[str, Any] | None:
    query = select(table).where(table.c.id == ident, table.c.project_id == context.project_id(), *conditions)
    with context.database() as connection:
        return db.row(connection, query)


_KINDS: Mapping[str, Callable[[str], Source]] = {"imageRef": _image, "snapshot_id": _snapshot, "source_volid": _volume}
