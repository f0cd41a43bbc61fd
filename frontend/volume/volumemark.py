"""Marks on a volume's row that Ganeti knows nothing of: that it is reserved, or offered to another project."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.engine import Connection
from sqlalchemy.sql.expression import ColumnElement

from frontend.database import db
from frontend.web import context


def mark(ident: str, *only_if: ColumnElement[bool], **values: Any) -> bool:
    """Change a row, if it is as it has to be; whether it was."""
    with context.database() as connection:
        done = mark_in(connection, ident, *only_if, **values)
        connection.commit()
    return done


def mark_in(connection: Connection, ident: str, *only_if: ColumnElement[bool], **values: Any) -> bool:
    """The same; the caller commits."""
    wanted = (db.volume.c.id == ident, db.volume.c.deleted.is_(None), *only_if)
    write = update(db.volume).where(*wanted).values(updated=time.time(), **values)
    return bool(connection.execute(write).rowcount)


def is_offered(ident: str) -> bool:
    """Whether a volume has a transfer, whatever its mark says."""
    with context.database() as connection:
        query = select(db.volume_transfer.c.id).where(db.volume_transfer.c.volume_id == ident)
        return connection.execute(query).first() is not None
