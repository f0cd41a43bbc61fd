"""Many rows in one statement. PostgreSQL takes them as one text of JSON ("JSON Functions", json_to_recordset).

A statement for each row, or one with each value of all rows as a parameter, takes both sides longer to put into words
and to understand than to carry out.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import JSON, Table, Text, bindparam, cast, column, func, select
from sqlalchemy import insert as insert_into
from sqlalchemy import update as change
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.sql.expression import ColumnElement, Update

from frontend.database import fastjson
from frontend.database.prepared import Prepared, prepare

Row = Mapping[str, Any]
_ROWS = "rows"


class _Bulk(NamedTuple):
    made: Prepared
    documents: Sequence[str]
    """The columns of JSON: a null of theirs is a value, and in a set of records it would be none."""


def insert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Add rows, which all have the same columns; IntegrityError when one is there already, and none is added then."""
    if not _is_bulk(connection, rows):
        connection.execute(insert_into(table), rows)
        return
    _say(connection, _insert(table, frozenset(rows[0]), connection.dialect), rows)


def update(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Change rows, of which each has its primary key and, all the same, the columns that change."""
    if not _is_bulk(connection, rows):
        values = [{**row, **{f"its_{one.name}": row[one.name] for one in table.primary_key}} for row in rows]
        connection.execute(_each(table), values)
        return
    _say(connection, _update(table, frozenset(rows[0]), connection.dialect), rows)


@functools.lru_cache(100)
def _each(table: Table) -> Update:
    """Made once: to make a statement takes as long as to run it, and this is what SQLite and single rows take."""
    return change(table).where(*(one == bindparam(f"its_{one.name}") for one in table.primary_key))


def _is_bulk(connection: Connection, rows: Sequence[Row]) -> bool:
    return len(rows) > 1 and connection.dialect.name == "postgresql"


def _say(connection: Connection, bulk: _Bulk, rows: Sequence[Row]) -> None:
    told = [{**row, **{name: fastjson.dumps(row[name]) for name in bulk.documents}} for row in rows]
    connection.exec_driver_sql(bulk.made.text, bulk.made.parameters({_ROWS: fastjson.dumps(told)}))


@functools.lru_cache(100)
def _insert(table: Table, names: frozenset[str], dialect: Dialect) -> _Bulk:
    told = _told(table, names)
    add = insert_into(table).from_select(list(told), select(*told.values()))
    return _bulk(table, add, names, dialect)


@functools.lru_cache(100)
def _update(table: Table, names: frozenset[str], dialect: Dialect) -> _Bulk:
    told = _told(table, names)
    key = [one.name for one in table.primary_key]
    changed = {name: value for name, value in told.items() if name not in key}
    write = change(table).where(*(table.c[name] == told[name] for name in key)).values(changed)
    return _bulk(table, write, names, dialect)


def _told(table: Table, names: frozenset[str]) -> dict[str, ColumnElement[Any]]:
    """The columns of what is told, as the table has them."""
    kinds = {name: table.c[name].type for name in sorted(names)}
    columns = [column(name, Text() if isinstance(kind, JSON) else kind) for name, kind in kinds.items()]
    told = func.json_to_recordset(cast(bindparam(_ROWS, type_=Text()), JSON)).table_valued(*columns)
    found = told.render_derived(name="told", with_types=True).c
    return {name: cast(found[name], kind) if isinstance(kind, JSON) else found[name] for name, kind in kinds.items()}


def _bulk(table: Table, statement: Any, names: frozenset[str], dialect: Dialect) -> _Bulk:
    documents = [name for name in sorted(names) if isinstance(table.c[name].type, JSON)]
    return _Bulk(prepare(statement, frozenset(), dialect), documents)
