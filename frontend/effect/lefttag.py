"""Tags that ask the hook of an instance for a snapshot, a copy or a removal, left by a broken chain.

They are translate_image.py's. The job that takes one away is in Ganeti's queue with the others. If somebody cancels it,
or the front died before it was submitted, the next change of the instance would do again what nobody waits for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from frontend.database import db
from frontend.effect import translate_image
from frontend.effect.clusters import HOME
from frontend.effect.remote import Asked
from frontend.effect.translate import Call

_UNFINISHED = ("queued", "waiting", "running", "canceling")
# Statuses of what a chain is for that goes on.
_IMAGES, _SNAPSHOTS = ("saving", "deleted"), ("creating", "deleting")


def ident(tag: str) -> str | None:
    """The image or snapshot that a tag is about; None for any other tag."""
    found = translate_image.told(tag)
    return found.ident if found else None


def of_nobody(connection: Connection, instance: str, tags: Iterable[str], cluster: str = HOME) -> list[str]:
    """Those of an instance's tags that no row waits for, whose chain may be being submitted."""
    asking = {tag: found for tag in tags if (found := ident(tag)) is not None}
    if not asking:
        return []
    image, snapshot, volume = db.image.c, db.volume_snapshot.c, db.volume.c
    wanted = list(asking.values())
    waiting = {
        *connection.execute(select(image.id).where(image.id.in_(wanted), image.status.in_(_IMAGES))).scalars(),
        *connection.execute(
            select(snapshot.id).where(snapshot.id.in_(wanted), snapshot.status.in_(_SNAPSHOTS))
        ).scalars(),
        *connection.execute(select(volume.id).where(volume.id.in_(wanted), volume.task.is_not(None))).scalars(),
    }
    # A volume that goes to another storage is copied under an id of its own.
    mine = (volume.cluster == cluster, volume.instance == instance, volume.task.is_not(None), volume.deleted.is_(None))
    if connection.execute(select(volume.id).where(*mine)).first() is not None:
        return []
    return sorted(tag for tag, found in asking.items() if found not in waiting)


def busy(rapi: Asked) -> set[str]:
    """Names of instances that jobs are about which are not over."""
    wanted = ["|", *(["=", "status", status] for status in _UNFINISHED)]
    ops: list[Any] = [op for job in rapi.query("job", ("id", "ops"), wanted) for op in job["ops"] or ()]
    return {str(op[key]) for op in ops for key in ("instance_name", "name") if op.get(key)}


def untag(instance: str, tag: str) -> Call:
    return Call("DELETE", f"instances/{instance}/tags", None, {"tag": [tag]})
