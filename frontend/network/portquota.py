"""How many ports a project has, and may have: the NICs of its servers, and ports that wait for one."""

from __future__ import annotations

from sqlalchemy import Connection, select

from frontend.database import db
from frontend.network import portname
from frontend.web import context


def allowed(connection: Connection, project: str) -> int:
    """Below 0: any number."""
    column = db.project.c
    own = connection.execute(select(column.max_ports).where(column.id == project)).scalar()
    return context.services().settings.quota.ports if own is None else int(own)


def used(connection: Connection, project: str) -> int:
    column, port = db.server.c, db.port.c
    query = select(column.nics).where(column.project_id == project, column.deleted.is_(None))
    nics = [portname.ident(nic) for found in connection.execute(query).scalars() for nic in found]
    made = connection.execute(select(port.id).where(port.project_id == project, port.network.is_not(None))).scalars()
    return len(nics) + len(set(made) - set(nics))


def full(connection: Connection, project: str) -> int | None:
    """How many are allowed, where there may be none more; else None."""
    most = allowed(connection, project)
    return most if 0 <= most <= used(connection, project) else None
