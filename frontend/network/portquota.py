"""How many ports a project has, and may have: the NICs of its servers, and ports that wait for one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, case, func, literal_column, not_, select
from sqlalchemy.engine import Connection
from sqlalchemy.sql.expression import BindParameter, ColumnElement, CompoundSelect

from frontend.database import db
from frontend.network import nicrows, portstore
from frontend.quota import limits, reserved
from frontend.web.fault import Forbidden

Row = Mapping[str, Any]


def _kept() -> tuple[ColumnElement[bool], ...]:
    """That a row is of what the project made beforehand."""
    return db.port.c.project_id == bindparam("whose"), db.port.c.network.is_not(None)


def _made_and_built() -> ColumnElement[int]:
    """The ports that were made beforehand, and a port for each server of which nothing is told, nor set apart."""
    column = db.server.c
    made = select(func.count()).select_from(db.port).where(*_kept(), not_(portstore.is_floating()))
    mine = (column.project_id == bindparam("whose"), column.deleted.is_(None))
    silent = (column.status == "BUILD", func.json_array_length(column.nics) == 0)
    built = select(func.count()).where(*mine, *silent, column.id.not_in(bindparam("apart", expanding=True)))
    return made.scalar_subquery() + built.scalar_subquery()


def _counted(connection: Connection) -> CompoundSelect[Any]:
    """How many ports there are, of one moment, by their server and themselves.

    NICs that were not made beforehand: of each server, and each port, for which something is set apart by themselves,
    under their ids. All others under an empty one.
    """
    nic = nicrows.of(connection, db.server.c.project_id == bindparam("whose")).c
    made = select(db.port.c.id).where(*_kept(), not_(portstore.is_floating()))
    port = func.coalesce(nic.port, "")
    apart: BindParameter[Any] = bindparam("apart", expanding=True)
    server_, port_ = (case((each.in_(apart), each), else_="") for each in (nic.server, port))
    each = select(server_.label("server"), port_.label("port")).where(port.not_in(made)).subquery().c
    nics = select(each.server, each.port, func.count()).group_by(each.server, each.port)
    return nics.union_all(select(literal_column("''"), literal_column("''"), _made_and_built()))


_FLOATING = select(func.count()).select_from(db.port).where(*_kept(), portstore.is_floating())
_COUNTED: dict[str, CompoundSelect[Any]] = {}
"""By the name of the dialect."""


def allowed(connection: Connection, project: str) -> int:
    """Below 0: any number."""
    return limits.of(connection, project, ("ports",))["ports"]


def used(connection: Connection, project: str) -> int:
    """With those that are set apart for servers and NICs to come; of a server of which nothing is told yet, one."""
    return used_beside(connection, project, reserved.of(connection, project))


def used_beside(connection: Connection, project: str, apart: Sequence[Row]) -> int:
    """The same; `apart` (reserved.of) was read before.

    In this order, what comes in between counts twice for a moment, and never not at all.
    """
    asked = {"whose": project, "apart": [row["id"] for row in apart]}
    counted = _COUNTED.get(connection.dialect.name)
    if counted is None:
        counted = _COUNTED[connection.dialect.name] = _counted(connection)
    nics: set[str] = set()
    has: Counter[str] = Counter()
    for server, port, number in connection.execute(counted, asked):
        has[server] += number
        nics.add(port)
    for row in apart:
        ident = row["id"]
        if row["owner"] == project:
            has[ident] = 0 if row["deleted"] is not None else max(has[ident], row["ports"])
        elif ident not in nics:
            has[ident] = max(has[ident], row["ports"])
    return sum(has.values())


def floating(connection: Connection, project: str) -> int:
    """How many floating addresses a project has: they are kept among its ports (portkept.py)."""
    return int(connection.execute(_FLOATING, {"whose": project}).scalar_one())


def check(connection: Connection, project: str, more: int) -> None:
    """Forbidden, as Nova says it, when with so many more a project has more than it may."""
    if more > 0:
        most = allowed(connection, project)
        refuse(most, used(connection, project) if most >= 0 else 0, more)


def refuse(most: int, there: int, more: int) -> None:
    """Forbidden when that is more than may be, beside those that are there."""
    if limits.is_over(most, there, more):
        raise Forbidden(f"Maximum number of ports exceeded: {most} are allowed.")
