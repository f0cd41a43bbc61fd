"""createImage: a snapshot of all of a server's disks, which a hook on its node makes (extstorage/image_hook.py).

The first disk is the image, as long as it is the server's own. Of every other, and of a first one that is a volume,
there is a snapshot in Block Storage, which the image names as Nova's do (imagedisks.py). The seed's is in none of them.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Response, make_response
from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection

from frontend.compute import quotas
from frontend.database import db
from frontend.effect import effect, translate_image, translate_volume
from frontend.effect.chain import UnfinishedError
from frontend.effect.purpose import SNAPSHOT, Purpose
from frontend.effect.translate import GIB, MIB
from frontend.effect.translate_image import Shot
from frontend.image import imagedisks, imagequota
from frontend.volume import snapshotstore, volumename, volumequota, volumestate
from frontend.web import context, schema
from ganeti_ext import seed
from ganeti_ext.errors import ExtError

Row = Mapping[str, Any]

# Of the properties of the image that a server was made from, those that are about its system are the new one's, too.
_OWN = frozenset(
    ("image_type", "instance_uuid", "base_image_ref", imagedisks.MAPPING, "bdm_v2", "root_device_name"),
)
_MIB_IN_GIB = GIB // MIB


@dataclass
class _Made:
    """What there will be: the image, snapshots by the names of their disks' devices, and what the hook is to make."""

    image: dict[str, Any]
    snapshots: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    shots: list[Shot] = field(default_factory=list)


def create(server: Row, argument: object) -> Response:
    """202, and the image is `saving` until the hook has said how it went."""
    asked = schema.mapping({"createImage": argument}, "createImage")
    name, metadata = schema.text(asked, "name"), schema.metadata(asked)
    quotas.check_metadata(len(metadata))
    effect.check(server, "createImage", "ACTIVE", "SHUTOFF")
    # First the rows, so that whatever is told of the jobs finds them.
    with context.database() as connection:
        made = _plan(connection, server, name, metadata)
        imagequota.check(connection, made.image["owner_id"], made.image["size"])
        rows = [row for _, row in made.snapshots]
        if rows:
            more = {"snapshots": len(rows), "gigabytes": sum(row["size"] for row in rows)}
            volumequota.check(connection, server["project_id"], more)
            connection.execute(insert(db.volume_snapshot), rows)
        connection.execute(insert(db.image).values(made.image))
        connection.commit()
    idents = [row["id"] for row in rows]
    try:
        steps = translate_image.save_all(server["instance"], made.shots)
        jobs = effect.several(server, "createImage", steps, Purpose(SNAPSHOT, made.image["id"]))
    except UnfinishedError:
        jobs = []
    except ExtError:
        with context.database() as connection:
            connection.execute(delete(db.image).where(db.image.c.id == made.image["id"]))
            snapshotstore.drop(connection, *idents)
            connection.commit()
        raise
    if jobs:
        with context.database() as connection:
            connection.execute(update(db.image).where(db.image.c.id == made.image["id"]).values(job=jobs[-1]))
            snapshotstore.keep_job(connection, idents, jobs[-1])
            connection.commit()
    answer = make_response("", 202)
    answer.headers["Location"] = f"{context.base()}/compute/v2.1/images/{made.image['id']}"
    return answer


def _plan(connection: Connection, server: Row, name: str, metadata: Mapping[str, str]) -> _Made:
    base = db.row(connection, select(db.image).where(db.image.c.id == server["image_id"])) or {}
    disks = list(_disks(server))
    size = disks[0][1]["size"] if disks else server["disk"] * _MIB_IN_GIB
    made = _Made(_row(server, base, name, size, metadata))
    image = made.image
    own = not disks or volumename.of_disk(disks[0][1].get("name")) is None
    if own:
        first = _called(disks[0][1]) if disks else ""
        made.shots.append(Shot(image["id"], image["provider"], image["pool"], first))
    for number, disk in disks[1 if own else 0 :]:
        row = _snapshot(connection, image, disk)
        made.snapshots.append((volumestate.device(number), row))
        made.shots.append(Shot(row["id"], row["provider"], row["pool"], _called(disk)))
    image["properties"].update(imagedisks.properties(made.snapshots, from_volume=not own))
    if not own:
        root = made.snapshots[0][1]
        # As of Nova's: what a server of it needs, the snapshot says.
        image.update(size=0, min_disk=0, origin=translate_image.origin(root["id"]))
        image.update(provider=root["provider"], pool=root["pool"])
    return made


def _disks(server: Row) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each with its number, but that of the seed; none as long as nobody has said which there are."""
    for number, disk in enumerate(server["disks"] or ()):
        if disk.get("name") != server["instance"] + seed.DISK:
            yield number, disk


def _called(disk: Mapping[str, Any]) -> str:
    """As Ganeti finds it: a volume by its name, which stays; another by its UUID, as names may be anything."""
    name = str(disk.get("name") or "")
    return name if volumename.of_disk(name) else str(disk["uuid"])


def _snapshot(connection: Connection, image: Row, disk: Mapping[str, Any]) -> dict[str, Any]:
    """Of a volume, or of a disk that is none: then its UUID in Ganeti stands for the volume."""
    words = f"snapshot for {image['name']}"[: schema.MAX_NAME]
    ident = volumename.of_disk(disk.get("name"))
    of_image = {"project_id": image["owner_id"], "cluster": image["cluster"]}
    volume = ident and db.row(connection, select(db.volume).where(db.volume.c.id == ident))
    if volume:
        kind = translate_volume.provider(volume["type"])
        return snapshotstore.new(volume["id"], volume["size"], words, kind, **of_image)
    kind = {"provider": image["provider"], **({"pool": image["pool"]} if image["pool"] else {})}
    size = -(-int(disk["size"]) // _MIB_IN_GIB)
    return snapshotstore.new(ident or str(disk["uuid"]), size, words, kind, **of_image)


def _row(server: Row, base: Row, name: str, size: int, metadata: Mapping[str, str]) -> dict[str, Any]:
    """`size` in MiB."""
    inherited = {key: value for key, value in (base.get("properties") or {}).items() if key not in _OWN}
    ident = str(uuid.uuid4())
    refs = {"instance_uuid": server["id"], "base_image_ref": server["image_id"]}
    return {
        "id": ident,
        "name": name,
        "owner_id": server["project_id"],
        "visibility": "private",
        "size": size * MIB,
        "sha256": "",
        "min_disk": -(-size // _MIB_IN_GIB),
        "min_ram": base.get("min_ram", 0),
        "created": time.time(),
        "properties": {**inherited, "image_type": "snapshot", **metadata, **refs},
        "status": "saving",
        "origin": translate_image.origin(ident),
        "cluster": server["cluster"],
        "provider": base.get("provider") or context.services().settings.front.provider,
        "pool": base.get("pool"),
        "protected": False,
        "tags": [],
    }
