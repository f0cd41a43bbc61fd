"""What is done to volumes: translated, submitted, shown at once. Whether it may be done, the views have looked at.

All of it ends as a row that the update path writes (mirror_volume.py). Rows are those of the table `volume`.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete as delete_from
from sqlalchemy import insert, or_, update
from sqlalchemy.engine import Connection

from frontend.compute import requests, whichcluster
from frontend.database import db
from frontend.effect import chain, clusters, facts, translate_image, translate_volume
from frontend.effect.chain import UnfinishedError
from frontend.effect.purpose import ATTACH, CREATE_VOLUME, DELETE_VOLUME, DETACH, EXTEND, FORGET, VOLUME_TASKS, Purpose
from frontend.effect.translate import Step
from frontend.effect.translate_create import ANYWHERE, Place
from frontend.volume import volumename, volumeplace, volumequota, volumestate
from frontend.web import context
from frontend.web.fault import BadRequest, Conflict, Forbidden
from ganeti_ext.errors import ExtError, RapiError, RapiLost

log = logging.getLogger(__name__)

Row = Mapping[str, Any]

MAX_DISKS = 16  # of an instance (constants.MAX_DISKS)


def check(row: Row, verb: str, *statuses: str) -> None:
    """BadRequest, as Cinder's InvalidVolume, when the volume is in none of these statuses."""
    if row["status"] not in statuses:
        raise BadRequest(
            f"Invalid volume: Volume {row['id']} status must be {' or '.join(statuses)} to {verb}, "
            f"but current status is: {row['status']}."
        )


def new(
    *,
    name: str,
    size: int,
    kind: str,
    given: Mapping[str, str | None] | None = None,
    metadata: Mapping[str, str] | None = None,
    cluster: str = clusters.HOME,
) -> dict[str, Any]:
    """The row of a volume that is to be made for the caller: `size` in GiB, `kind` is its type.

    `given`: facts of it, tags.VOLUME (description, bootable, source_image ...), those that are None left out.
    """
    ident, now = str(uuid.uuid4()), time.time()
    return {
        **volumestate.new_row(
            ident, volumename.holder(context.services().settings.front.instance_prefix, ident), {}, now
        ),
        "project_id": context.project_id(),
        "user_id": context.caller().user_id,
        "cluster": cluster,
        "name": name,
        "type": kind,
        "size": size,
        "facts": {fact: value for fact, value in (given or {}).items() if value},
        "metadata": dict(metadata or {}),
        "status": volumestate.CREATING,
        "task": volumestate.CREATING,
    }


def create(row: Row, origin: str = "", *, source: Row | None = None, place: Place = ANYWHERE) -> list[int]:
    """Insert a row that `new` made, and submit what makes its volume; the jobs' numbers, the last makes it.

    `origin`: what the provider clones, as it calls it: an image's id, `snapshot:saved-ID`; empty: zeros. Or `source`:
    the row of a volume of the same provider, which is cloned as it is now, also while a server has it.
    """
    with context.database() as connection:
        volumequota.check(connection, row["project_id"], {"volumes": 1, "gigabytes": row["size"]})
        connection.execute(insert(db.volume).values(row))
        connection.commit()
    steps = making(row, origin, source=source, place=place)
    try:
        jobs = chain.submit(context.rapi(row), steps, Purpose(CREATE_VOLUME, row["id"]))
    except RapiLost as err:
        log.warning("volume %s: the answer to its create was lost, a comparison will find it: %s", row["id"], err)
        return []
    except ExtError:
        with context.database() as connection:
            connection.execute(delete_from(db.volume).where(db.volume.c.id == row["id"]))
            connection.commit()
        raise
    made = [job for step, job in zip(steps, jobs, strict=True) if step.purpose is None]
    told(row, CREATE_VOLUME, made)
    return made


def making(row: Row, origin: str, *, source: Row | None = None, place: Place = ANYWHERE) -> list[Step]:
    """The steps that make a volume, for a chain that goes on with it."""
    place = volumeplace.place(row, place)
    if source is None:
        return [Step(translate_volume.create(row, origin, place))]
    store, (instance, _) = translate_volume.provider(source["type"]), where(source)
    disk = volumename.disk(source["id"])
    forgetting = translate_image.forget(instance, store["provider"], row["id"], store.get("pool"))
    return [
        *translate_image.save(instance, store["provider"], row["id"], disk, store.get("pool")),
        Step(translate_volume.create(row, translate_image.origin(row["id"]), place)),
        *(step._replace(anyway=True, purpose=Purpose(FORGET, row["id"])) for step in forgetting),
    ]


def delete(row: Row, before: int | None = None) -> list[int]:
    """Remove a volume that no server has, behind the job `before`.

    One that Ganeti has nothing of is gone at once, and there are no jobs.
    """
    rapi = context.rapi(row)
    try:
        if row["status"] == volumestate.ERROR:  # its create may have failed before there was anything
            rapi.get(f"instances/{row['instance']}")
        jobs = chain.submit(rapi, translate_volume.delete(row), Purpose(DELETE_VOLUME, row["id"]), before)
    except RapiError as err:
        if err.code != 404:
            raise
        gone(row["id"])
        log.info("volume %s: deleted, Ganeti has no instance %s", row["id"], row["instance"])
        return []
    told(row, DELETE_VOLUME, jobs)
    return jobs


def extend(row: Row, size: int) -> list[int]:
    """To `size` GiB, wherever it is; a guest that runs sees it at once, and its server's actions tell of it.

    TooLarge when the quota is too small.
    """
    instance, index = where(row)
    server = {"id": row["server_id"]} if row["server_id"] else None
    _grow(row, size)
    try:
        return _do(row, EXTEND, translate_volume.extend(instance, index, size), server, "extend_volume")
    except UnfinishedError:
        raise
    except ExtError:
        column, values = db.volume.c, {"task": row["task"], "status": row["status"], "growing": None}
        with context.database() as connection:
            mine = (column.id == row["id"], column.growing == size, column.job.is_not_distinct_from(row["job"]))
            connection.execute(update(db.volume).where(*mine).values(values))
            connection.commit()
        raise


def _grow(row: Row, size: int) -> None:
    """Take the quota before Ganeti is asked: as long as the task stands there, the volume counts as so large."""
    column, task = db.volume.c, VOLUME_TASKS[EXTEND]
    mine = (column.id == row["id"], column.status == row["status"], column.deleted.is_(None))
    with context.database() as connection:
        volumequota.check(connection, row["project_id"], {"gigabytes": size - row["size"]})
        write = update(db.volume).where(*mine).values(task=task, status=task, growing=size, updated=time.time())
        if not connection.execute(write).rowcount:
            raise Conflict(f"Volume {row['id']} is in another status by now.")
        connection.commit()


def attach(row: Row, server: Row, *, device: str | None = None, autodelete: bool | None = None) -> str:
    """To a server, running or not; the device name that it has there.

    The device is the next one, as guests call it, whatever was asked for. Conflict when the one that was asked for is
    another disk's; Forbidden when Ganeti gives an instance no more disks; BadRequest for a volume that is only to be
    read: Ganeti's KVM has no such disks. `autodelete`: whether the volume goes with the server; None: as it was.
    """
    if row["facts"].get("readonly") == "1":
        raise BadRequest(f"Invalid volume: Volume {row['id']} is only to be read, and no server has such disks.")
    whichcluster.same("Volume", row, server)
    disks = server["disks"] or []
    if device and device in [volumestate.device(number) for number in range(len(disks))]:
        raise Conflict(f"The supplied device path ({device}) is in use.")
    if len(disks) >= MAX_DISKS:
        raise Forbidden(f"The maximum allowed number of disk devices ({MAX_DISKS}) to attach to a single instance")
    if autodelete is not None and autodelete != bool(row["facts"].get("autodelete")):
        change(row, {"autodelete": "1" if autodelete else None})
    wanted = {"server_id": server["id"], "device": volumestate.device(len(disks)), "attached": None}
    _do(row, ATTACH, translate_volume.attach(row, server["instance"]), server, "attach_volume", wanted)
    return str(wanted["device"])


def detach(row: Row, server: Row) -> list[int]:
    """Back to its holder, from a server that runs or not."""
    steps = translate_volume.detach(row, server["instance"])
    return _do(row, DETACH, steps, server, "detach_volume")


def change(
    row: Row,
    given: facts.Changes | None = None,
    *,
    metadata: facts.Changes | None = None,
    name: str | None = None,
) -> list[int]:
    """Change facts of a volume (tags.VOLUME, and project and user), items of its metadata, its name; None removes.

    Shown at once, as facts.change does. Conflict for one that is being made.
    """
    if row["task"] == volumestate.CREATING:
        raise Conflict(f"Volume {row['id']} is being created: what it is cannot be changed before that is done.")
    return facts.change(row, given, metadata=metadata, name=name, table=db.volume)


def where(row: Row) -> tuple[str, int]:
    """The instance that has a volume's disk, and which of its disks that is, from 0."""
    if row["server_id"] is None:
        return row["instance"], 0
    with context.database() as connection:
        server = db.row(connection, db.server.select().where(db.server.c.id == row["server_id"]))
    names = [disk.get("name") for disk in (server or {}).get("disks") or ()]
    if server is None or volumename.disk(row["id"]) not in names:
        raise Conflict(f"Volume {row['id']} is on its way to server {row['server_id']}.")
    return server["instance"], names.index(volumename.disk(row["id"]))


def gone(ident: str) -> None:
    """There is no such volume any more."""
    now = time.time()
    values = {"deleted": now, "updated": now, "task": None, "server_id": None, "device": None}
    with context.database() as connection:
        connection.execute(update(db.volume).where(db.volume.c.id == ident).values(values))
        connection.commit()


def told(
    row: Row, kind: str, jobs: Sequence[int], server: Row | None = None, verb: str = "", shown: Row | None = None
) -> None:
    """Ganeti has accepted these jobs for a volume: show its task, and what is wished of it (`shown`)."""
    with context.database() as connection:
        mark(connection, row["id"], VOLUME_TASKS[kind], jobs[-1], shown)
        if server is not None:
            requests.note(connection, verb, server["id"], jobs)
        connection.commit()
    log.info("volume %s: %s is jobs %s", row["id"], kind, " ".join(map(str, jobs)))


def mark(connection: Connection, ident: str, task: str, job: int, shown: Row | None = None) -> None:
    """Show a task, unless the consumer has heard of the job already: then it may be over."""
    column = db.volume.c
    untold = (column.id == ident, or_(column.job.is_(None), column.job < job))
    values = {"task": task, "status": task, "job": job, "updated": time.time(), **(shown or {})}
    connection.execute(update(db.volume).where(*untold).values(values))


def _do(
    row: Row, kind: str, steps: Sequence[Step], server: Row | None = None, verb: str = "", shown: Row | None = None
) -> list[int]:
    jobs = chain.submit(context.rapi(row), steps, Purpose(kind, row["id"]))
    told(row, kind, jobs, server, verb, shown)
    return jobs
