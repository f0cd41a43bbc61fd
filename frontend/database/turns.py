"""One at a time counts what a project has and adds to it: what quotas go by does not change between the two."""

from __future__ import annotations

import zlib

from sqlalchemy import Connection, func, select, update

from frontend.database import tables

_LOCK = 0x71756F74  # PostgreSQL's advisory locks are numbers


def take(connection: Connection, project: str | None) -> None:
    """Wait for the others who do so; the turn lasts until the transaction ends, in which the new row is inserted.

    To be called before anything of it is read: so what is read is what the one before has left.
    """
    if connection.dialect.name == "sqlite":
        # A write, of whatever: there is one writer at a time.
        connection.execute(update(tables.project).where(tables.project.c.id == project).values(id=project))
    else:
        number = zlib.crc32(str(project).encode()) - (1 << 31)  # of two projects with one number one waits for nothing
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK, number)))
