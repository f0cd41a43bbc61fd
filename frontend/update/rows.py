"""The rows that a batch of messages touches: read and locked once at its start, written once at its end.

Servers, then actions, each in the order of their keys: so two consumers wait for each other, and seldom for ever.
"""

from __future__ import annotations

import functools
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import JSON, Column, Table, bindparam, func, insert, or_, select
from sqlalchemy.engine import Connection
from sqlalchemy.sql.expression import ColumnElement, Select

from frontend.database import bulk, db
from frontend.update import state
from frontend.update.reading import Owners
from frontend.update.remembered import ActionKey, ServerKey

Row = dict[str, Any]


def _one_of(column: Column[Any], name: str) -> ColumnElement[bool]:
    return column.in_(bindparam(name, expanding=True))


def _equals(column: Column[Any], name: str) -> ColumnElement[bool]:
    return column == bindparam(name)


def _servers(has: Callable[[Column[Any], str], ColumnElement[bool]]) -> Select[Any]:
    column = db.server.c
    wanted = or_(has(column.instance, "names"), has(column.id, "ids"))
    return select(db.server).where(wanted).order_by(column.id).with_for_update()


def _actions(has: Callable[[Column[Any], str], ColumnElement[bool]]) -> Select[Any]:
    column = db.action.c
    query = select(db.action).where(has(column.cluster, "clusters"), has(column.job, "jobs"))
    return query.order_by(column.cluster, column.job, column.op_index).with_for_update()


# Made once: to make a statement takes as long as to run it. A message that comes alone is not to wait for lists of
# one to be put into words and planned.
_SERVERS, ONE_SERVER = _servers(_one_of), _servers(_equals)
_ACTIONS, ACTIONS_OF_ONE = _actions(_one_of), _actions(_equals)
_UNBORN = 0x626F726E  # PostgreSQL's advisory locks are numbers
_SUBNETS6 = select(db.network.c.cluster, db.network.c.name, db.network.c.subnet6)


class Rows:
    """One transaction's rows. `prefix` is how our instances' names begin, `now` what is written as `updated`."""

    def __init__(self, connection: Connection, prefix: str, now: float) -> None:
        self.connection, self.prefix, self.now = connection, prefix, now
        self.after: list[Callable[[], None]] = []
        """What is to be done once the transaction is in."""
        self._servers: dict[str, Row] = {}
        self._names: dict[ServerKey, str] = {}  # of instances -> id
        self._actions: dict[ActionKey, Row] = {}
        self._stored: set[ActionKey] = set()
        self._changed_servers: dict[str, set[str]] = defaultdict(set)
        self._changed_actions: set[ActionKey] = set()
        self._subnets6: dict[str, dict[str, str | None]] | None = None

    def load_servers(self, names: Iterable[ServerKey], ids: Iterable[str]) -> None:
        """Read and lock the servers of these instances, and of these ids; those without a row for ourselves, too."""
        wanted, idents = sorted({name for _, name in names}), sorted(ids)
        self._read_servers(wanted, idents)
        unborn = [ident for ident in idents if ident not in self._servers]
        if unborn and _alone_with(self.connection, unborn):
            self._read_servers(wanted, unborn)

    def load_actions(self, keys: Iterable[ActionKey]) -> None:
        """Read and lock the actions of these keys' jobs."""
        known = list(keys)
        clusters, jobs = sorted({key[0] for key in known}), sorted({key[1] for key in known})
        for found in self._read(_ACTIONS, ACTIONS_OF_ONE, clusters=clusters, jobs=jobs):
            self._keep_stored(found)

    def server(self, instance: ServerKey) -> Row | None:
        """The server of this instance, as it is now."""
        ident = self._names.get(instance)
        return self._servers[ident] if ident is not None else None

    def server_by_id(self, ident: str) -> Row | None:
        return self._servers.get(ident)

    def add_server(self, row: Mapping[str, Any]) -> Row:
        """Insert a row; IntegrityError when somebody else has just done so."""
        self.connection.execute(insert(db.server).values(checked(db.server, row)))
        return self._keep({column.name: row.get(column.name) for column in db.server.c})

    def change_server(self, row: Row, changes: Mapping[str, Any]) -> None:
        """Changed columns; `updated` only when a client can see one of them."""
        seen = {} if changes.keys() <= state.BOOKKEEPING else {"updated": self.now}
        new = checked(db.server, {**changes, **seen})
        if "instance" in new:
            self._names.pop(_key(row), None)
        row.update(new)
        self._keep(row)
        self._changed_servers[row["id"]] |= new.keys()

    def action(self, key: ActionKey) -> Row | None:
        return self._actions.get(key)

    def keep_action(self, row: Row) -> None:
        key = (row["cluster"], row["job"], row["op_index"])
        self._actions[key] = row
        self._changed_actions.add(key)

    def subnets6(self, cluster: str) -> dict[str, str | None]:
        """The IPv6 subnet of each network of a cluster, by its name."""
        if self._subnets6 is None:
            self._subnets6 = defaultdict(dict)
            for row in self.connection.execute(_SUBNETS6).all():
                self._subnets6[row.cluster][row.name] = row.subnet6
        return self._subnets6[cluster]

    def owners(self) -> Owners:
        """The ids of projects and users by their names."""
        return Owners(self._ids(db.project), self._ids(db.user))

    def _ids(self, table: Table) -> dict[str, str]:
        return {row.name: row.id for row in self.connection.execute(select(table.c.name, table.c.id))}

    def networks_changed(self) -> None:
        self._subnets6 = None

    def flush(self) -> None:
        """Write what changed."""
        self.flush_actions()
        alike: dict[frozenset[str], list[Row]] = defaultdict(list)
        for ident, names in self._changed_servers.items():
            row = self._servers[ident]
            alike[frozenset(names)].append({"id": ident, **{name: row[name] for name in names}})
        for rows in alike.values():
            bulk.update(self.connection, db.server, rows)
        self._changed_servers.clear()

    def flush_actions(self) -> None:
        changed = sorted(self._changed_actions)
        if new := [self._actions[key] for key in changed if key not in self._stored]:
            bulk.insert(self.connection, db.action, new)
        if known := [self._actions[key] for key in changed if key in self._stored]:
            bulk.update(self.connection, db.action, known)
        self._stored |= self._changed_actions
        self._changed_actions.clear()

    def _read_servers(self, names: Sequence[str], ids: Sequence[str]) -> None:
        for found in self._read(_SERVERS, ONE_SERVER, names=names, ids=ids):
            self._keep(found)

    def _read(self, many: Select[Any], one: Select[Any], **wanted: Sequence[Any]) -> Iterator[Row]:
        if all(len(values) == 1 for values in wanted.values()):
            found = self.connection.execute(one, {name: value for name, (value,) in wanted.items()})
        else:
            found = self.connection.execute(many, wanted)
        names = tuple(found.keys())
        return (dict(zip(names, row, strict=True)) for row in found)

    def _keep(self, row: Row) -> Row:
        self._servers[row["id"]] = row
        self._names[_key(row)] = row["id"]
        return row

    def _keep_stored(self, action: Row) -> None:
        key = (action["cluster"], action["job"], action["op_index"])
        self._actions[key] = action
        self._stored.add(key)


def _key(row: Row) -> ServerKey:
    return row["cluster"], row["instance"]


def _alone_with(connection: Connection, idents: Iterable[str]) -> bool:
    """Wait for whoever else is told of these servers, which have no rows; whether one may have been made meanwhile.

    Who makes one looks for what was told of it earlier (mirror_server.py). Another one who has found no row either may
    be about to write just that, which then nobody would apply. SQLite has one writer at a time.
    """
    if connection.dialect.name != "postgresql":
        return False
    for number in sorted({zlib.crc32(ident.encode()) - (1 << 31) for ident in idents}):
        connection.execute(select(func.pg_advisory_xact_lock(_UNBORN, number)))
    return True


def locked(connection: Connection, table: Table, where: Any) -> Row | None:
    """A row, locked until the transaction ends (see db.connect_writer)."""
    found = connection.execute(select(table).where(where).with_for_update()).mappings().first()
    return dict(found) if found is not None else None


def checked(table: Table, values: Mapping[str, Any]) -> Row:
    """The values, if they are of their columns' types; drivers disagree on what they raise for others."""
    kinds = _kinds(table)
    for name, value in values.items():
        if value is not None and not isinstance(value, kinds[name]):
            raise ValueError(f"{table.name}.{name}: {value!r:.80} is no {kinds[name].__name__}")
    return dict(values)


@functools.lru_cache
def _kinds(table: Table) -> dict[str, type]:
    return {column.name: object if isinstance(column.type, JSON) else column.type.python_type for column in table.c}
