"""How many ports a project has, and may have: the NICs of its servers, and ports that wait for one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, func, literal, not_, select

from frontend.database import db
from frontend.network import nicrows, portstore
from frontend.quota import limits, reserved
from frontend.web.fault import Forbidden


def allowed(connection: Connection, project: str) -> int:
    """Below 0: any number."""
    return limits.of(connection, project, ("ports",))["ports"]


def used(connection: Connection, project: str) -> int:
    """With those that are set apart for servers and NICs to come; of a server of which nothing is told yet, one.

    Read in this order, so that what comes in between counts twice for a moment, and never not at all.
    """
    apart = {row["id"]: row for row in reserved.of(connection, project)}
    deleted = _servers(connection, project, apart) if apart else {}
    count = _made_and_built(connection, project, apart)
    nics: set[str] = set()
    has: Counter[str] = Counter()
    for server, port, number in connection.execute(_own(connection, project, sorted(apart))):
        has[server] += number
        nics.add(port)
    for ident, row in apart.items():
        if ident in deleted:
            has[ident] = 0 if deleted[ident] is not None else max(has[ident], row["ports"])
        elif ident not in nics:
            has[ident] = max(has[ident], row["ports"])
    return count + sum(has.values())


def floating(connection: Connection, project: str) -> int:
    """How many floating addresses a project has: they are kept among its ports (portkept.py)."""
    kept = select(func.count()).select_from(db.port).where(*_kept(project), portstore.is_floating())
    return int(connection.execute(kept).scalar_one())


def _kept(project: str) -> tuple[ColumnElement[bool], ...]:
    """That a row is of what was made beforehand."""
    return db.port.c.project_id == project, db.port.c.network.is_not(None)


def _servers(connection: Connection, project: str, apart: Iterable[str]) -> dict[str, float | None]:
    """When those servers of the project's were deleted for which something is set apart."""
    column = db.server.c
    query = select(column.id, column.deleted).where(column.project_id == project, column.id.in_(sorted(apart)))
    return {row.id: row.deleted for row in connection.execute(query)}


def _made_and_built(connection: Connection, project: str, apart: Iterable[str]) -> int:
    """The ports that were made beforehand, and a port for each server of which nothing is told, nor set apart."""
    column = db.server.c
    made = select(func.count()).select_from(db.port).where(*_kept(project), not_(portstore.is_floating()))
    silent = (column.status == "BUILD", func.json_array_length(column.nics) == 0, column.id.not_in(sorted(apart)))
    built = select(func.count()).where(column.project_id == project, column.deleted.is_(None), *silent)
    found = connection.execute(select(made.scalar_subquery(), built.scalar_subquery())).one()
    return sum(map(int, found))


def _own(connection: Connection, project: str, apart: Sequence[str]) -> Select[Any]:
    """How many NICs there are that were not made beforehand.

    Those of each server, and each port, for which something is set apart by themselves: under their ids, the others
    under an empty one.
    """
    nic = nicrows.of(connection, db.server.c.project_id == project).c
    made = select(db.port.c.id).where(*_kept(project), not_(portstore.is_floating()))
    port = func.coalesce(nic.port, "")
    server_, port_ = (case((each.in_(apart), each), else_="") if apart else literal("") for each in (nic.server, port))
    each = select(server_.label("server"), port_.label("port")).where(port.not_in(made)).subquery().c
    return select(each.server, each.port, func.count()).group_by(each.server, each.port)


def check(connection: Connection, project: str, more: int) -> None:
    """Forbidden, as Nova says it, when with so many more a project has more than it may."""
    if more > 0:
        most = allowed(connection, project)
        if most >= 0 and limits.is_over(most, used(connection, project), more):
            raise Forbidden(f"Maximum number of ports exceeded: {most} are allowed.")
