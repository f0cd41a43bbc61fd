"""How many ports a project has, and may have: the NICs of its servers, and ports that wait for one."""

from __future__ import annotations

from sqlalchemy import Connection, select

from frontend.database import db
from frontend.network import portname
from frontend.web import context
from frontend.web.fault import Forbidden


def allowed(connection: Connection, project: str) -> int:
    """Below 0: any number."""
    column = db.project.c
    own = connection.execute(select(column.max_ports).where(column.id == project)).scalar()
    return context.services().settings.quota.ports if own is None else int(own)


def used(connection: Connection, project: str) -> int:
    """A server that is being built counts as one until Ganeti tells of its NICs."""
    column, port = db.server.c, db.port.c
    query = select(column.nics, column.status).where(column.project_id == project, column.deleted.is_(None))
    servers = connection.execute(query).all()
    nics = [portname.ident(nic) for server in servers for nic in server.nics]
    built = [server for server in servers if server.status == "BUILD" and not server.nics]
    made = connection.execute(select(port.id).where(port.project_id == project, port.network.is_not(None))).scalars()
    return len(nics) + len(built) + len(set(made) - set(nics))


def check(connection: Connection, project: str, more: int) -> None:
    """Forbidden, as Nova says it, when with so many more a project has more than it may."""
    most = allowed(connection, project)
    if more > 0 and 0 <= most < used(connection, project) + more:
        raise Forbidden(f"Maximum number of ports exceeded: {most} are allowed.")
