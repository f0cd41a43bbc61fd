"""How many public addresses a project has (frontend/quota/addresses.py), and whether it may have more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from frontend.database import db
from frontend.network import nicrows
from frontend.quota import addresses, limits, reserved
from frontend.web import context
from frontend.web.fault import Forbidden

Row = Mapping[str, Any]


def allowed(connection: Connection, project: str) -> int:
    """Below 0: any number."""
    return limits.of(connection, project, ("addresses",))["addresses"]


def used(connection: Connection, project: str) -> int:
    """Those of its servers' NICs and of ports, and those that are set apart for servers and NICs to come."""
    return used_beside(connection, project, reserved.of(connection, project))


def used_beside(connection: Connection, project: str, apart: Sequence[Row]) -> int:
    """The same; `apart` (reserved.of) was read before, as for quotas.py."""
    shared = addresses.networks(connection)
    has = _of_servers(connection, project, shared)
    port = db.port.c
    mine = select(port.id, port.network, port.address).where(port.project_id == project, port.address.is_not(None))
    made = addresses.of_ports(db.rows(connection, mine.where(port.network.in_([row["id"] for row in shared]))), shared)
    has = {server: ports - made.keys() for server, ports in has.items()}
    there = set().union(*has.values())
    to_come = 0
    for row in apart:
        if row["vcpus"] is None:
            to_come += row["addresses"] if row["id"] not in there else 0
        elif row["deleted"] is None:
            to_come += max(0, row["addresses"] - len(has.get(row["id"], ())))
    return len(there) + len(made) + to_come


def _of_servers(connection: Connection, project: str, shared: Sequence[Mapping[str, Any]]) -> dict[str, set[str]]:
    """The ports with public addresses that servers have: by the servers' ids, of those that have any."""
    names = [row["name"] for row in shared]
    nic = nicrows.of(connection, db.server.c.project_id == project, nicrows.may_have(names)).c
    query = select(nic.server, nic.port, nic.ip).where(nic.port.is_not(None), nic.network.in_(names))
    found: dict[str, set[str]] = {}
    for row in connection.execute(query):
        if addresses.is_public(row.ip):
            found.setdefault(row.server, set()).add(row.port)
    return found


def public(wanted: Iterable[str]) -> int:
    """How many of these networks' addresses count; they are named by Ganeti's UUIDs, as often as one is wanted."""
    with context.database() as connection:
        shared = {row["id"] for row in addresses.networks(connection)}
    return sum(ident in shared for ident in wanted)


def check(connection: Connection, project: str, more: int) -> None:
    """Forbidden when with so many more a project has more than it may."""
    if more > 0:
        most = allowed(connection, project)
        refuse(most, used(connection, project) if most >= 0 else 0, more)


def refuse(most: int, there: int, more: int) -> None:
    """Forbidden when that is more than may be, beside those that are there."""
    if limits.is_over(most, there, more):
        raise Forbidden(f"Quota exceeded for public addresses: Requested {more}, but already used {there} of {most}")
