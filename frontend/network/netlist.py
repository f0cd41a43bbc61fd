"""The networks that a project may use, by their ids; a page reads no others' rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import or_, select, union_all
from sqlalchemy.engine import Connection
from sqlalchemy.sql.expression import ColumnElement, Select

from frontend.database import db
from frontend.network import netname, netrows, netview, nicrows, pages


class Wanted(NamedTuple):
    """What the networks are to have, one of each; None: whatever. What cannot be looked for lets a network pass."""

    ids: Sequence[str] | None = None
    names: Sequence[str] | None = None


def shown(project: str, wanted: Wanted, marker: str | None = None, first: int = pages.MOST) -> Iterator[dict[str, Any]]:
    """Those behind the marker as Network shows them; `first` as in pages.walk."""

    def read(connection: Connection, found: Sequence[Any]) -> list[dict[str, Any]]:
        places = {row.id: number for number, row in enumerate(found)}
        rows = (row for row in netrows.visible(connection, project, places) if row["id"] in places)
        return [netview.network(row) for row in sorted(rows, key=lambda row: places[row["id"]])]

    return pages.walk(lambda _: _places(project, wanted), read, marker, first)


def has(project: str, ident: str) -> bool:
    """Whether the project may use a network of this id."""
    return any(True for _ in shown(project, Wanted(ids=[ident]), first=1))


def _places(project: str, wanted: Wanted) -> Select[Any]:
    """The id of each, by id: an administrator's, the project's own as Ganeti has it, and those without a subnet yet."""
    network, own = db.network.c, db.tenant_network.c
    known = netrows.known_id()
    parts = (
        select(network.id.label("id")).where(netrows.is_shared(), *_of(wanted, network.id)),
        select(known).where(netrows.is_own(project), *_of(wanted, known)),
        select(own.id).where(
            own.project_id == project,
            own.id.not_in(select(known).where(netrows.is_own(project))),
            *([own.id.in_(wanted.ids)] if wanted.ids is not None else ()),
            *([own.name.in_(wanted.names)] if wanted.names is not None else ()),
        ),
    )
    each = union_all(*parts).subquery().c
    return select(each.id).order_by(each.id)


def _of(wanted: Wanted, ident: ColumnElement[str]) -> Iterator[ColumnElement[bool]]:
    if wanted.ids is not None:
        yield ident.in_(wanted.ids)
    if wanted.names is not None and nicrows.are_few(wanted.names):
        name = db.network.c.name
        begins = [name.startswith(netname.known_as(each, ""), autoescape=True) for each in wanted.names]
        yield or_(name.in_(wanted.names), *begins)
