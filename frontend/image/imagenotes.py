"""What the database knows of an image or a snapshot of a volume, as it is written down beside it (imagefacts.py)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Table, select
from sqlalchemy.engine import Connection

from frontend.database import db
from frontend.effect import translate_image
from frontend.image import imagefacts, imagestate
from frontend.image.imagestate import FILLED

Row = Mapping[str, Any]


class Note(NamedTuple):
    """Under which name in which provider's store, and what."""

    name: str
    provider: str | None
    facts: dict[str, Any]


def of_image(connection: Connection, image: Row) -> Note:
    snapshot = _one(connection, db.volume_snapshot, db.volume_snapshot.c.id == translate_image.saved(image["origin"]))
    return Note(imagestate.stored_as(image), image["provider"], _facts(connection, image, snapshot))


def of_snapshot(connection: Connection, snapshot: Row) -> Note:
    origin, column = translate_image.origin(snapshot["id"]), db.image.c
    image = _one(connection, db.image, column.origin == origin, column.status.in_(FILLED))
    return Note(origin.partition(":")[2], snapshot["provider"], _facts(connection, image, snapshot))


def _facts(connection: Connection, image: Row | None, snapshot: Row | None) -> dict[str, Any]:
    facts = _image(connection, image) if image else None
    if snapshot is None:
        return facts or {}
    project = _names(connection, db.project, [snapshot["project_id"]]).get(snapshot["project_id"])
    user = _names(connection, db.user, [snapshot["user_id"]]).get(snapshot["user_id"])
    return imagefacts.with_snapshot(facts, snapshot, project, user)


def _image(connection: Connection, image: Row) -> dict[str, Any]:
    column = db.image_member.c
    members = db.rows(connection, select(db.image_member).where(column.image_id == image["id"]))
    names = _names(connection, db.project, [image["owner_id"], *(member["project_id"] for member in members)])
    return imagefacts.of(image, names.get(image["owner_id"] or ""), members, names)


def _names(connection: Connection, table: Table, idents: Iterable[str | None]) -> dict[str, str]:
    found = connection.execute(select(table.c.id, table.c.name).where(table.c.id.in_(list(idents))))
    return {row.id: row.name for row in found}


def _one(connection: Connection, table: Table, *conditions: Any) -> dict[str, Any] | None:
    return next(iter(db.rows(connection, select(table).where(*conditions).limit(1))), None)
