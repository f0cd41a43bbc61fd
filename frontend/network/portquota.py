"""How many ports a project has, and may have: the NICs of its servers, and ports that wait for one."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from frontend.database import db
from frontend.network import portname
from frontend.quota import limits, reserved
from frontend.web.fault import Forbidden


def allowed(connection: Connection, project: str) -> int:
    """Below 0: any number."""
    return limits.of(connection, project, ("ports",))["ports"]


def used(connection: Connection, project: str) -> int:
    """With those that are set apart for servers and NICs to come; of a server of which nothing is told yet, one."""
    column = db.server.c
    query = select(column.id, column.nics, column.status, column.deleted).where(column.project_id == project)
    apart = {row["id"]: row for row in reserved.of(connection, project)}
    there = column.deleted.is_(None) | column.id.in_(sorted(apart))
    servers = {row.id: row for row in connection.execute(query.where(there))}
    made = {row["id"] for row in _made(connection, project) if not row["facts"].get("floating")}
    nics: set[str | None] = set()
    count: int = len(made)
    for ident, row in servers.items():
        if row.deleted is not None:
            continue
        own = [found for found in map(portname.ident, row.nics) if found not in made]
        nics.update(own)
        built = int(row.status == "BUILD" and not row.nics and ident not in apart)
        wanted = apart[ident]["ports"] if ident in apart else 0
        count += max(len(own), wanted, built)
    unborn = [row for ident, row in apart.items() if ident not in servers and ident not in nics]
    return count + sum(int(row["ports"]) for row in unborn)


def floating(connection: Connection, project: str) -> int:
    """How many floating addresses a project has: they are kept among its ports (portkept.py)."""
    return sum(bool(row["facts"].get("floating")) for row in _made(connection, project))


def _made(connection: Connection, project: str) -> list[dict[str, Any]]:
    port = db.port.c
    query = select(port.id, port.facts).where(port.project_id == project, port.network.is_not(None))
    return db.rows(connection, query)


def check(connection: Connection, project: str, more: int) -> None:
    """Forbidden, as Nova says it, when with so many more a project has more than it may."""
    if more > 0:
        most = allowed(connection, project)
        if most >= 0 and limits.is_over(most, used(connection, project), more):
            raise Forbidden(f"Maximum number of ports exceeded: {most} are allowed.")
