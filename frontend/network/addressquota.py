"""How many public addresses a project has (frontend/quota/addresses.py), and whether it may have more."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select

from frontend.database import db
from frontend.quota import addresses, limits, reserved
from frontend.web import context
from frontend.web.fault import Forbidden


def allowed(connection: Connection, project: str) -> int:
    """Below 0: any number."""
    return limits.of(connection, project, ("addresses",))["addresses"]


def used(connection: Connection, project: str) -> int:
    """Those of its servers' NICs and of ports, and those that are set apart for servers and NICs to come."""
    apart, shared = reserved.of(connection, project), addresses.networks(connection)  # in this order, as quotas.py
    server, port = db.server.c, db.port.c
    query = select(server.id, server.nics).where(server.project_id == project, server.deleted.is_(None))
    servers = db.rows(connection, query)
    made = addresses.of_ports(db.rows(connection, select(db.port).where(port.project_id == project)), shared)
    has = {row["id"]: addresses.of_servers([row], shared).keys() - made.keys() for row in servers}
    there = set().union(*has.values())
    to_come = 0
    for row in apart:
        if row["vcpus"] is None:
            to_come += row["addresses"] if row["id"] not in there else 0
        elif row["id"] in has or not _is_deleted(connection, row["id"]):
            to_come += max(0, row["addresses"] - len(has.get(row["id"], ())))
    return len(there) + len(made) + to_come


def public(wanted: Iterable[str]) -> int:
    """How many of these networks' addresses count; they are named by Ganeti's UUIDs, as often as one is wanted."""
    with context.database() as connection:
        shared = {row["id"] for row in addresses.networks(connection)}
    return sum(ident in shared for ident in wanted)


def check(connection: Connection, project: str, more: int) -> None:
    """Forbidden when with so many more a project has more than it may."""
    if more > 0:
        most = allowed(connection, project)
        if most >= 0 and limits.is_over(most, there := used(connection, project), more):
            raise Forbidden(
                f"Quota exceeded for public addresses: Requested {more}, but already used {there} of {most}"
            )


def _is_deleted(connection: Connection, ident: str) -> bool:
    found = connection.execute(select(db.server.c.deleted).where(db.server.c.id == ident)).first()
    return found is not None and found.deleted is not None
