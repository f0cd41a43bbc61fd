"""The NICs in servers' rows as a table, so that SQL counts them, finds one and cuts pages: they stand there as JSON.

SQLite's json_each (json1), PostgreSQL's json_array_elements (functions-json).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Text, and_, cast, false, func, or_, select, true
from sqlalchemy.engine import Connection
from sqlalchemy.sql.expression import ColumnElement, Subquery

from frontend.database import db

_FEW, _SHORT = 3, 255  # texts to look for in each row, and characters of one: SQLite has limits of both


def of(connection: Connection, *wanted: ColumnElement[bool]) -> Subquery:
    """A line for each NIC of the servers of which this is so, that are not deleted.

    Columns: `server` (its id), `cluster`, `port` (as portname.ident; null of a NIC that has neither name nor UUID),
    `network` (Ganeti's name), `mac`, `ip`, `ip6`.
    """
    column = db.server.c
    sqlite = connection.dialect.name == "sqlite"
    each = (func.json_each if sqlite else func.json_array_elements)(column.nics)
    nic = each.table_valued("value", joins_implicitly=True).alias("nic")

    def text(key: str) -> ColumnElement[Any]:
        if sqlite:
            return func.json_extract(nic.c.value, f"$.{key}")
        return func.json_extract_path_text(nic.c.value, key)

    port = func.coalesce(func.nullif(text("port"), ""), text("uuid"))
    told = [text(key).label(key) for key in ("network", "mac", "ip", "ip6")]
    query = select(column.id.label("server"), column.cluster, port.label("port"), *told).select_from(db.server, nic)
    return query.where(column.deleted.is_(None), *wanted).subquery()


def may_have(texts: Iterable[str]) -> ColumnElement[bool]:
    """Of servers: whether one of these is among what their NICs say, or so it seems. JSON is not looked into for it."""
    return seems_to_have(db.server.c.nics, texts)


def have(connection: Connection, project: str, idents: Collection[str]) -> ColumnElement[bool]:
    """Of servers: that they are the project's, and that one of these ports is theirs, or so it seems."""
    mine = db.server.c.project_id == project
    if are_few(idents):
        return and_(mine, may_have(idents))
    nic = of(connection, mine).c
    return db.server.c.id.in_(select(nic.server).where(nic.port.in_(sorted(idents))))


def seems_to_have(column: ColumnElement[Any], texts: Iterable[str]) -> ColumnElement[bool]:
    """Whether one of these texts stands in a column of JSON, perhaps in another place or in other letters."""
    found = list(texts)
    if not are_few(found) or any(json.dumps(text) != f'"{text}"' for text in found):
        return true()  # nor is it, where that can be written in more than one way
    return or_(false(), *(cast(column, Text).contains(f'"{text}"', autoescape=True) for text in found))


def are_few(texts: Collection[str]) -> bool:
    """Whether texts are few and short enough to be patterns of LIKE."""
    return len(texts) <= _FEW and all(len(text) <= _SHORT for text in texts)
