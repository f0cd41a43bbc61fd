"""Which networks a project may use, asked of the database: nobody reads the rows of all other projects' for it.

Whose a network is its tags tell, and tenantnet.py decides. What is asked here lets no such row out, and a row too many
in at most.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Text, bindparam, cast, func, or_, select
from sqlalchemy.engine import Connection
from sqlalchemy.sql.expression import ColumnElement

from frontend.database import db
from frontend.network import tenantnet
from ganeti_ext import tags

_UUID = 36  # characters
_OWNED = f"{tags.PREFIX}:project"  # as its tags begin, also where an administrator has split a value

network, own = db.network.c, db.tenant_network.c


def visible(
    connection: Connection,
    project: str,
    idents: Collection[str] | None = None,
    names: Collection[str] = (),
) -> list[dict[str, Any]]:
    """As tenantnet.visible: all that the project may use, or those of some ids and some of Ganeti's names alone."""
    mine = {"mine": _pattern(project)}
    if idents is None:
        rows = db.rows(connection, _BARE, whose=project)
        return tenantnet.visible(db.rows(connection, _MIRRORED, **mine), rows, project)
    there = db.rows(connection, _SOME, **mine, some=sorted(idents), named=sorted(names))
    some = sorted({*idents, *(row["id"] for row in tenantnet.everybodys(there))})
    rows = db.rows(connection, _SOME_BARE, whose=project, some=some)
    found = tenantnet.visible(there, rows, project)
    return [row for row in found if row["id"] in idents or row["known_as"] in names]


def is_shared() -> ColumnElement[bool]:
    """That a network is an administrator's. LIKE would not do: to SQLite letters are the same, small and large."""
    text = cast(network.tags, Text)
    return func.replace(text, _OWNED, "") == text


def is_own(project: str) -> ColumnElement[bool]:
    """That a network, as Ganeti has it, was made by the project."""
    return _is_like(_pattern(project))


def hides_ipv4() -> ColumnElement[bool]:
    """That the IPv4 subnet of a network stands for none (tenantnet.add)."""
    return _has(f'"{tags.encode({"hidden4": "1"})[0]}"')


def known_id() -> ColumnElement[str]:
    """The id by which tenants know the network that Ganeti calls NAME.ID (netname.py)."""
    return func.substr(network.name, func.length(network.name) - (_UUID - 1))


def _has(text: str) -> ColumnElement[bool]:
    return cast(network.tags, Text).contains(text, autoescape=True)


def _pattern(project: str) -> str:
    """Of the tags of a network that the project made; /: what follows stands for itself."""
    tag = tags.encode({"project": project})[0]
    return f'%"{"".join(f"/{each}" if each in "/%_" else each for each in tag)}"%'


def _is_like(pattern: Any) -> ColumnElement[bool]:
    return cast(network.tags, Text).like(pattern, escape="/")


# Made once: to put them together takes longer than to execute them.
_MIRRORED = select(db.network).where(or_(is_shared(), _is_like(bindparam("mine")), _has(f'"{_OWNED}.')))
_SOME = _MIRRORED.where(
    or_(
        network.id.in_(bindparam("some", expanding=True)),
        known_id().in_(bindparam("some", expanding=True)),
        network.name.in_(bindparam("named", expanding=True)),
    )
)
_BARE = select(db.tenant_network).where(own.project_id == bindparam("whose"))
_SOME_BARE = _BARE.where(own.id.in_(bindparam("some", expanding=True)))
