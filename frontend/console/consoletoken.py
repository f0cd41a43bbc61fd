"""One-time tokens of consoles: the database has their digests alone, and a token opens one server once."""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Connection

from frontend.database import db
from frontend.effect import clusters

_TABLE = db.console_token


def issue(connection: Connection, server_id: str, kind: str, now: float, seconds: float) -> str:
    """A new token; what was issued and is over goes."""
    token = secrets.token_urlsafe(32)
    connection.execute(delete(_TABLE).where(_TABLE.c.expires <= now))
    connection.execute(
        insert(_TABLE).values(digest=_digest(token), server_id=server_id, kind=kind, expires=now + seconds)
    )
    return token


def take(connection: Connection, token: str, kind: str, now: float) -> tuple[str, str] | None:
    """Burn a token; the name in Ganeti of the server that it opens, and its cluster.

    None: it is none, or used, or over.

    Of several who come with the same one at once, one gets the name: whose DELETE found the row.
    """
    mine = _TABLE.c.digest == _digest(token)
    found = db.row(connection, select(_TABLE).where(mine))
    if found is None or connection.execute(delete(_TABLE).where(mine)).rowcount != 1:
        return None
    if found["expires"] <= now or found["kind"] != kind:
        return None
    server = select(db.server).where(db.server.c.id == found["server_id"], db.server.c.deleted.is_(None))
    row = db.row(connection, server)
    return None if row is None else (row["instance"], clusters.of(row))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
