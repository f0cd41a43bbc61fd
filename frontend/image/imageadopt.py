"""Rows of images and of snapshots of volumes, made again of what stands beside them in the store."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Table, insert, select
from sqlalchemy.engine import Connection

from frontend.database import db
from frontend.image import imagefacts
from frontend.image.imagefacts import Facts

Listed = Mapping[str, Any]


class Default(NamedTuple):
    """Of what does not say whose it is: the project's id, and whether it is everybody's."""

    project: str | None
    is_public: bool


class Adopted(NamedTuple):
    """`name` is None where nothing was done, and `said` why."""

    name: str | None
    said: str


class Adopter:
    """In one transaction; what the database knows already it leaves alone."""

    def __init__(self, connection: Connection, default: Default, *, dry_run: bool) -> None:
        self._connection, self._default, self._dry_run = connection, default, dry_run
        tables = (db.image, db.volume_snapshot, db.volume)  # a volume that is being cloned has a snapshot for a while
        self._known = {ident for table in tables for ident in connection.execute(select(table.c.id)).scalars()}

    def adopt(self, listed: Listed) -> Iterator[Adopted]:
        """What an entry of the store's list is: a snapshot, an image, or both."""
        snapshot, image = imagefacts.snapshot_of(listed), imagefacts.image_of(listed)
        if snapshot is not None and imagefacts.ident_of(listed) not in self._known:
            yield self._snapshot(listed, snapshot)
        if image is not None and imagefacts.image_id(listed, image) not in self._known:
            yield self._image(listed, image)
        if snapshot is None and image is None:
            yield Adopted(None, "left: what stands beside it of a snapshot is not whole")

    def _snapshot(self, listed: Listed, facts: Facts) -> Adopted:
        project = self._found(db.project, facts, "project") or self._default.project
        if project is None:
            return Adopted(None, "left: whose is it? say --project")
        user = self._found(db.user, facts, "user") or str(facts["user"])
        row = imagefacts.snapshot_row(listed, facts, project, user)
        self._insert(db.volume_snapshot, row)
        return Adopted(row["name"] or row["id"], f"adopted, a snapshot of volume {row['volume_id']}")

    def _image(self, listed: Listed, facts: Facts) -> Adopted:
        owner = self._found(db.project, facts, "owner") or self._default.project
        row = imagefacts.row_of(listed, facts, owner)
        if not facts and self._default.is_public:
            row["visibility"] = "public"
        if owner is None and row["visibility"] != "public":
            return Adopted(None, "left: whose is it? say --project" + ("" if facts else " or --public"))
        self._insert(db.image, row)
        self._members(row["id"], facts)
        return Adopted(row["name"], "adopted" if facts else "adopted, without facts")

    def _members(self, image: str, facts: Facts) -> None:
        """By id, else by name; one that there is not may come back, too."""
        names, now = facts.get("member_names") or {}, time.time()
        for ident, status in (facts.get("members") or {}).items():
            member = {"member": ident, "member_name": names.get(ident)}
            row = {"image_id": image, "project_id": self._found(db.project, member, "member") or ident}
            self._insert(db.image_member, {**row, "status": status, "created": now, "updated": now})

    def _found(self, table: Table, facts: Facts, key: str) -> str | None:
        """Whom facts name: by the id, else by the name that he had with it."""
        for name, where in ((key, table.c.id), (f"{key}_name", table.c.name)):
            found: str | None = self._connection.execute(select(table.c.id).where(where == facts.get(name))).scalar()
            if found is not None:
                return found
        return None

    def _insert(self, table: Table, row: Mapping[str, Any]) -> None:
        if not self._dry_run:
            self._connection.execute(insert(table).values(row))
