"""A remembered server and a job's action, written in one statement of PostgreSQL that is a transaction by itself.

Either both rows are written or none is: where the server, or the action that is known, has not the mark any more that
it had (recalled.py), and so another writer was there. An action that is taken for new and is not is an IntegrityError.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Column, Table, Text, bindparam, cast, exists, insert, literal_column, select, update
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.sql.expression import BindParameter, ColumnElement

from frontend.database import db
from frontend.database.prepared import Prepared, prepare

MARK = "mark"
_KEY = ("cluster", "job", "op_index")
_IDLE = 0  # PQTRANS_IDLE of libpq


def mark(table: Table) -> ColumnElement[str]:
    """The number of the transaction that wrote a row ("System Columns")."""
    return cast(literal_column(f"{table.name}.xmin"), Text)


def write(
    connection: Connection, server: Mapping[str, Any], action: Mapping[str, Any], server_mark: str, known: str | None
) -> str | None:
    """Write columns of a server, one of which is its id, and an action; the new mark of both, or None.

    `known` is the mark of the action, None of a new one.
    """
    values = {
        "server_mark": server_mark,
        "action_mark": known,
        **{f"server_{name}": value for name, value in server.items()},
        **{f"action_{name}": value for name, value in action.items()},
    }
    made = _statement(frozenset(server), frozenset(action), known is not None, connection.dialect)
    with at_once(connection):
        found: str | None = connection.exec_driver_sql(made.text, made.parameters(values)).scalar()
    return found


@contextlib.contextmanager
def at_once(connection: Connection) -> Iterator[None]:
    """Within the block a statement goes without BEGIN and COMMIT, unless one of the transaction was before it."""
    raw: Any = connection.connection.dbapi_connection
    is_first = raw.info.transaction_status == _IDLE
    if is_first:
        raw.autocommit = True
    try:
        yield
    finally:
        if is_first and not raw.closed:
            raw.autocommit = False


@functools.lru_cache(100)
def _statement(of_server: frozenset[str], of_action: frozenset[str], is_known: bool, dialect: Dialect) -> Prepared:
    """The server first, as whoever locks rows begins with them."""
    server, action = db.server.c, db.action.c
    its_id, its_key = server.id == _value(server.id), [action[name] == _value(action[name]) for name in _KEY]
    is_same = mark(db.server) == bindparam("server_mark")
    same = select(server.id).where(its_id, is_same).with_for_update().cte("same_server")
    if is_known:
        is_same = mark(db.action) == bindparam("action_mark")
        same = select(action.job).where(*its_key, is_same, exists(select(same.c.id))).with_for_update().cte("same")
    is_right = exists(select(same.c[0]))
    write_server = update(db.server).where(its_id, is_right).values(_values(server, of_server - {"id"}))
    told = _values(action, of_action)
    add = insert(db.action).from_select(list(told), select(*told.values()).where(is_right))
    write_action = update(db.action).where(*its_key, is_right).values(told) if is_known else add
    one = write_server.returning(mark(db.server).label(MARK)).cte("one")
    other = write_action.returning(mark(db.action).label(MARK)).cte("other")
    return prepare(select(one.c[MARK], other.c[MARK]), frozenset(), dialect)


def _values(columns: Any, names: frozenset[str]) -> dict[str, BindParameter[Any]]:
    return {name: _value(columns[name]) for name in sorted(names)}


def _value(column: Column[Any]) -> BindParameter[Any]:
    """A parameter of its type that is called after it."""
    return bindparam(f"{column.table.name}_{column.name}", type_=column.type)
