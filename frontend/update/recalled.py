"""Rows taken as they are remembered, rather than looked up, for messages that do not change what servers there are.

Nothing that was decided by a row as it is no more gets into the database. SQLite tells at the transaction's start,
which locks the file, whether anything was written since. On PostgreSQL a remembered row is written only where it still
has the mark that it had, its `xmin`: the number of the transaction that wrote it ("System Columns"). Else nothing stays
of the transaction, and the message is applied once more by rows that are looked up and locked.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Table, bindparam, insert, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.expression import ColumnElement

from frontend.database import db, prepared
from frontend.update import rows, state, together
from frontend.update.remembered import ActionKey, Kept, Memory, ServerKey
from frontend.volume import volumename
from ganeti_ext import event

_MARK = together.MARK


def _same(table: Table) -> ColumnElement[bool]:
    return together.mark(table) == bindparam("its_mark")


_SERVER_MARK, _ACTION_MARK = (together.mark(table).label(_MARK) for table in (db.server, db.action))
_SERVER = rows.ONE_SERVER.add_columns(_SERVER_MARK)
_ACTIONS = rows.ACTIONS_OF_ONE.add_columns(_ACTION_MARK)
_WRITE_SERVER = update(db.server).where(db.server.c.id == bindparam("its_id"))
_ADD_ACTION = insert(db.action)
_ACTION_KEY = ("its_cluster", "its_job", "its_index")
_WRITE_ACTION = update(db.action).where(
    db.action.c.cluster == bindparam("its_cluster"),
    db.action.c.job == bindparam("its_job"),
    db.action.c.op_index == bindparam("its_index"),
)
_MARKED_SERVER = _WRITE_SERVER.where(_same(db.server)).returning(_SERVER_MARK)
_MARKED_ACTION = _WRITE_ACTION.where(_same(db.action)).returning(_ACTION_MARK)
_MARKED_NEW = _ADD_ACTION.returning(_ACTION_MARK)


class StaleError(Exception):
    """The rows have to be looked up: somebody else wrote one, or nothing was to be written that would tell so."""


def suits(messages: Sequence[Mapping[str, Any]], database: str, prefix: str) -> bool:
    """Whether to try it with these. A create locks its server's row, as what is owed hangs on that (owed.py)."""
    if database == "postgresql" and (len(messages) != 1 or _of_holder(messages[0], prefix)):
        return False  # a holder has no server's row that could be remembered
    return bool(messages) and all(
        told["type"] == event.OP_STATUS and told["operation"] != state.CREATE for told in messages
    )


def _of_holder(message: Mapping[str, Any], prefix: str) -> bool:
    return volumename.of_holder(prefix, message.get("instance", "")) is not None


def rows_of(connection: Connection, prefix: str, now: float, memory: Memory) -> RecalledRows:
    """Of a transaction that has just begun."""
    kind = MarkedRows if connection.dialect.name == "postgresql" else RecalledRows
    return kind(connection, prefix, now, memory)


class RecalledRows(rows.Rows):
    """One transaction's rows, where nobody else can write one meanwhile; `remember` them when it is in."""

    def __init__(self, connection: Connection, prefix: str, now: float, memory: Memory) -> None:
        super().__init__(connection, prefix, now)
        self._memory = memory
        self._recalled: list[ServerKey] = []  # instances whose servers are as they are remembered
        self._marks: dict[str | ActionKey, str] = {}
        self._check_memory()

    def load_servers(self, names: Iterable[ServerKey], ids: Iterable[str]) -> None:
        wanted = list(names)
        for known in self._memory.servers(wanted):
            self._recalled = wanted
            self._keep(dict(known.row))
            self._mark(known.row["id"], known.mark)
        if not self._recalled:
            self._look_up_servers(wanted, list(ids))

    def load_actions(self, keys: Iterable[ActionKey]) -> None:
        wanted = list(keys)
        if not self._recalled:
            self._look_up_actions(wanted)
            return
        for key in wanted:
            known = self._memory.action(key)
            if known is not None:  # else it is taken for new
                self._keep_stored(dict(known.row))
                self._mark(key, known.mark)

    def flush(self) -> None:
        """StaleError: nothing may stay of the transaction."""
        self.flush_actions()
        for ident, names in self._changed_servers.items():
            prepared.run(self.connection, _WRITE_SERVER, _server_values(self._servers[ident], names))
        self._changed_servers.clear()
        self._memory.stamp = _stamp(self.connection)

    def flush_actions(self) -> None:
        try:
            for key in sorted(self._changed_actions):
                self._write_action(key, self._actions[key])
        except IntegrityError as err:  # one is not new
            raise self._stale() from err
        self._stored |= self._changed_actions
        self._changed_actions.clear()

    def _write_action(self, key: ActionKey, row: rows.Row) -> None:
        if key in self._stored:
            prepared.run(self.connection, _WRITE_ACTION, _action_values(row, key))
        else:
            prepared.run(self.connection, _ADD_ACTION, row)

    def remember(self) -> None:
        for row in self._servers.values():
            self._memory.keep_server(Kept(row, self._marks.get(row["id"])))
        for key in self._stored:
            self._memory.keep_action(key, Kept(self._actions[key], self._marks.get(key)))

    def _check_memory(self) -> None:
        if _stamp(self.connection) != self._memory.stamp:
            self._memory.clear()

    def _look_up_servers(self, names: Sequence[ServerKey], ids: Sequence[str]) -> None:
        super().load_servers(names, ids)

    def _look_up_actions(self, keys: Sequence[ActionKey]) -> None:
        super().load_actions(keys)

    def _mark(self, name: str | ActionKey, mark: str | None) -> None:
        if mark is not None:
            self._marks[name] = mark

    def _stale(self) -> StaleError:
        self._memory.forget(self._recalled)
        return StaleError()


class MarkedRows(RecalledRows):
    """The rows of one message, where others may write them, too."""

    def flush(self) -> None:
        """Servers first, as whoever locks rows begins with them."""
        if self._recalled and not (self._changed_servers and self._changed_actions):
            raise self._stale()
        if self._recalled and len(self._changed_servers) == len(self._changed_actions) == 1:
            self._write_together()
        for ident in [ident for ident in self._changed_servers if ident in self._marks]:
            values = _server_values(self._servers[ident], self._changed_servers.pop(ident))
            self._write(_MARKED_SERVER, ident, values)
        rows.Rows.flush(self)

    def flush_actions(self) -> None:
        for key in sorted(self._changed_actions):
            if key in self._marks:
                self._write(_MARKED_ACTION, key, _action_values(self._actions[key], key))
            else:
                self._add(key)
        self._stored |= self._changed_actions
        self._changed_actions.clear()

    def remember(self) -> None:
        """But for a server that was made here, whose mark nobody told."""
        self._servers = {ident: row for ident, row in self._servers.items() if ident in self._marks}
        super().remember()

    def _write_together(self) -> None:
        ((ident, names),), (key,) = self._changed_servers.items(), self._changed_actions
        server = {name: self._servers[ident][name] for name in ("id", *names)}
        try:
            mark = together.write(self.connection, server, self._actions[key], self._marks[ident], self._marks.get(key))
        except IntegrityError as err:
            raise self._stale() from err
        if mark is None:
            raise self._stale()
        self._marks |= {ident: mark, key: mark}
        self._stored.add(key)
        self._changed_servers.clear()
        self._changed_actions.clear()

    def subnets6(self, cluster: str) -> dict[str, str | None]:
        with together.at_once(self.connection):  # it locks nothing
            return super().subnets6(cluster)

    def _check_memory(self) -> None:
        """Each row tells by itself."""

    def _look_up_servers(self, names: Sequence[ServerKey], ids: Sequence[str]) -> None:
        wanted = {"names": names[0][1], "ids": ids[0] if ids else ""}
        for found in self.connection.execute(_SERVER, wanted).mappings():
            row = dict(found)
            self._mark(row["id"], row.pop(_MARK))
            self._keep(row)
        if ids and not self._servers:  # for who makes its row locks are needed
            raise self._stale()

    def _look_up_actions(self, keys: Sequence[ActionKey]) -> None:
        for found in self.connection.execute(_ACTIONS, {"clusters": keys[0][0], "jobs": keys[0][1]}).mappings():
            row = dict(found)
            self._mark((row["cluster"], row["job"], row["op_index"]), row.pop(_MARK))
            self._keep_stored(row)

    def _write(self, statement: Any, name: str | ActionKey, values: rows.Row) -> None:
        mark = self.connection.execute(statement, {**values, "its_mark": self._marks[name]}).scalar()
        if mark is None:
            raise self._stale()
        self._marks[name] = mark

    def _add(self, key: ActionKey) -> None:
        try:
            self._marks[key] = self.connection.execute(_MARKED_NEW, self._actions[key]).scalar_one()
        except IntegrityError as err:
            raise self._stale() from err


def _server_values(row: rows.Row, names: Iterable[str]) -> rows.Row:
    """Parameters of _WRITE_SERVER."""
    return {"its_id": row["id"], **{name: row[name] for name in sorted(names)}}


def _action_values(row: rows.Row, key: ActionKey) -> rows.Row:
    """Parameters of _WRITE_ACTION."""
    return {**row, **dict(zip(_ACTION_KEY, key, strict=True))}


def _stamp(connection: Connection) -> Hashable:
    """Something else after whatever was written: by others (sqlite.org, PRAGMA data_version) or on this connection."""
    raw = connection.connection.dbapi_connection
    (version,) = raw.execute("PRAGMA data_version").fetchone()  # type: ignore[union-attr]
    return raw, version, raw.total_changes  # type: ignore[union-attr]
