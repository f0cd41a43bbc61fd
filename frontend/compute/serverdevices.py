"""The volumes that a new server has from its beginning: looked up, made, given to it before its start. One chain."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert
from sqlalchemy.engine import Connection

from frontend.compute import schema_device
from frontend.compute.schema_device import Device
from frontend.database import db
from frontend.effect import chain, owed, translate, translate_change, translate_image, translate_volume
from frontend.effect.clusters import HOME
from frontend.effect.purpose import ATTACH, BOOT, CREATE_VOLUME, Purpose
from frontend.effect.translate import Call, Step
from frontend.image import imagedisks
from frontend.volume import volumeeffect, volumequota, volumesource, volumestate, volumetypes
from frontend.volume.schema_volume import Wanted
from frontend.volume.volumesource import Source
from frontend.web import context
from frontend.web.fault import BadRequest, NotFound
from ganeti_ext.errors import RapiLost

Row = Mapping[str, Any]

_KEYS = {schema_device.IMAGE: "imageRef", schema_device.SNAPSHOT: "snapshot_id"}


@dataclass(frozen=True, slots=True)
class Found:
    """A device looked up: a volume that is there, or what one is to be made of."""

    device: Device
    volume: Row | None
    source: Source
    size: int
    """GiB."""
    kind: str


@dataclass(frozen=True, slots=True)
class Part:
    """A volume of one server."""

    row: Row
    device: Device
    is_new: bool
    origin: str


def find(connection: Connection, wanted: Sequence[Device], image: Row | None) -> list[Found]:
    """What is asked for, and what the image brings; BadRequest for what the caller has not or cannot use."""
    found = [_volume(connection, each) if each.source == schema_device.VOLUME else _made(each) for each in wanted]
    idents = [each.volume["id"] for each in found if each.volume]
    if len(set(idents)) < len(idents):
        raise BadRequest("Block Device Mapping is Invalid: one volume is named twice.")
    return found + (_brought(connection, image) if image else [])


def check(connection: Connection, found: Sequence[Found], count: int) -> None:
    """TooLarge when so many servers' new volumes are more than the project may have."""
    new = [each for each in found if each.volume is None]
    if count > 1 and len(new) < len(found):
        raise BadRequest("Cannot attach one or more volumes to multiple instances")
    if new:
        more = {"volumes": count * len(new), "gigabytes": count * sum(each.size for each in new)}
        volumequota.check(connection, context.project_id(), more)


def parts(found: Sequence[Found], cluster: str = HOME) -> list[Part]:
    """Of one server."""
    return [_part(each, cluster) for each in found]


def submit(server_id: str, instance: str, call: Call, volumes: Sequence[Part], cluster: str = HOME) -> list[int]:
    """The jobs that make a server with its volumes and start it. Rows of new volumes are inserted, and shown as its."""
    new = [part.row for part in volumes if part.is_new]
    own = len((call.body or {})["disks"])
    with context.database() as connection:
        if new:
            more = {"volumes": len(new), "gigabytes": sum(row["size"] for row in new)}
            volumequota.check(connection, context.project_id(), more)
        for row in new:
            connection.execute(insert(db.volume).values(row))
        connection.commit()
    steps = plan(instance, call, volumes)
    made: list[int] = []
    try:
        jobs = chain.submit(context.services().clusters.rapi(cluster), steps, Purpose(BOOT, ""), jobs=made)
    except Exception as err:
        with context.database() as connection:
            connection.execute(delete(db.volume).where(db.volume.c.id.in_([row["id"] for row in new])))
            if made or isinstance(err, RapiLost):  # Ganeti may make some of it all the same
                for ident, name in ((server_id, instance), *((row["id"], row["instance"]) for row in new)):
                    owed.promise_unmake(connection, ident, name, time.time(), cluster)
            connection.commit()
        raise
    for number, part in enumerate(volumes):
        mine = [job for step, job in zip(steps, jobs, strict=True) if step.purpose == Purpose(ATTACH, part.row["id"])]
        name = volumestate.device(0 if part.device.boots else own + number)
        volumeeffect.told(part.row, ATTACH, mine, shown={"server_id": server_id, "device": name, "attached": None})
    return jobs


def plan(instance: str, call: Call, volumes: Sequence[Part]) -> list[Step]:
    """New volumes, the server without them and not started, each given to it, its start."""
    steps: list[Step] = []
    for part in volumes:
        making = volumeeffect.making(part.row, part.origin) if part.is_new else []
        steps += [step._replace(purpose=step.purpose or Purpose(CREATE_VOLUME, part.row["id"])) for step in making]
    body = {**(call.body or {}), "start": False, "opportunistic_locking": False}
    steps.append(Step(call._replace(body=body)))
    for part in volumes:
        steps += [step._replace(purpose=Purpose(ATTACH, part.row["id"])) for step in _given(instance, part)]
    return [*steps, Step(translate.start(instance))]


def _given(instance: str, part: Part) -> list[Step]:
    row, wanted = part.row, part.device.autodelete
    moved = translate_volume.attach(row, instance, 0 if part.device.boots else translate_volume.LAST)
    if wanted == bool(row["facts"].get("autodelete")):
        return moved
    change = translate_change.tag if wanted else translate_change.untag
    return [Step(change(row["instance"], {"autodelete": "1"})), *moved]


def _part(found: Found, cluster: str) -> Part:
    if found.volume is not None:
        return Part(found.volume, found.device, False, "")
    given = {**found.source.facts, "autodelete": "1" if found.device.autodelete else None}
    row = volumeeffect.new(name="", size=found.size, kind=found.kind, given=given, cluster=cluster)
    return Part(row, found.device, True, found.source.origin)


def _volume(connection: Connection, device: Device) -> Found:
    column = db.volume.c
    mine = (column.id == device.ident, column.project_id == context.project_id(), column.deleted.is_(None))
    row = db.row(connection, db.volume.select().where(*mine))
    if row is None:
        raise BadRequest(f"Block Device Mapping is Invalid: failed to get volume {device.ident:.80}.")
    volumeeffect.check(row, "attach", volumestate.AVAILABLE)
    if device.boots and row["facts"].get("bootable") != "1":
        raise BadRequest(f"Block Device {device.ident} is not bootable.")
    return Found(device, row, Source(), row["size"], row["type"])


def _made(device: Device) -> Found:
    """Of an image, a snapshot, or nothing."""
    source = (_KEYS[device.source], device.ident) if device.source in _KEYS else None
    wanted = Wanted("", None, device.size, device.kind, source, None, {})
    try:
        found = volumesource.find(wanted)
    except NotFound as err:
        raise BadRequest(f"Block Device Mapping is Invalid: failed to get {device.source} {device.ident:.80}.") from err
    if device.boots and source is None:
        raise BadRequest("Block Device Mapping is Invalid: a blank volume cannot be booted from.")
    return Found(device, None, found, volumesource.size_of(wanted, found), volumesource.type_of(wanted, found).name)


def _brought(connection: Connection, image: Row) -> list[Found]:
    """The data volumes of the server that an image was made of, or of its root, if that is none of the image's own."""
    listed = {each["snapshot_id"]: each for each in imagedisks.mapping(image)}
    found = []
    for row in imagedisks.snapshots(connection, image):
        if row["status"] != "available":
            raise BadRequest(f"Image {image['id']}: its snapshot {row['id']} is {row['status']}.")
        device = schema_device.brought(listed[row["id"]])
        kind = volumetypes.Type(f"{row['provider']}:{row['pool']}" if row["pool"] else row["provider"])
        facts = {"source_snapshot": row["id"], "bootable": "1" if device.boots else None}
        place = (f"snapshot {row['id']}", row, True)
        source = Source(origin=translate_image.origin(row["id"]), facts=facts, place=place)
        found.append(Found(device, None, source, max(row["size"], device.size or 0), kind.name))
    return found
