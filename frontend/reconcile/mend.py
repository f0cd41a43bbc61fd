"""Writes what a comparison found into the database, as far as its rows are still what was compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Table, bindparam, delete, insert, or_, select, update
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError

from frontend.database import db
from frontend.effect.clusters import HOME
from frontend.reconcile.difference import Difference, Row
from frontend.update import state
from frontend.update.rows import checked
from frontend.volume import volumestate

_TABLES = {"server": db.server, "network": db.network, "volume": db.volume, "port": db.port}
# Columns that no two rows of a table may share, besides the id.
_UNIQUE = {"server": "instance", "network": "name", "volume": "instance", "port": "mac"}
_CHUNK = 500  # rows in a transaction: whoever waits for one of them does not wait long


class _Change(NamedTuple):
    """All that is to be done to one row; `before` None: it is made, `after` None: it is removed."""

    before: Row | None
    after: dict[str, Any] | None
    found: list[Difference]


class Mender:
    """Of the rows of one cluster."""

    def __init__(self, engine: Engine, clock: Callable[[], float], cluster: str = HOME) -> None:
        self._engine, self._clock, self._cluster = engine, clock, cluster

    def mend(self, found: Iterable[Difference]) -> list[Difference]:
        """Write the differences; returns those that were written. The others' rows changed since they were read."""
        done: list[Difference] = []
        found = list(found)
        for table in ("network", "server", "volume", "port"):
            changes = _by_row(each for each in found if each.table == table and _is_change(each))
            # What takes a name from one row for another belongs into one transaction.
            naming = [change for change in changes if _names(table, change)]
            done += self._write(table, naming)
            rest = [change for change in changes if not _names(table, change)]
            for start in range(0, len(rest), _CHUNK):
                done += self._write(table, rest[start : start + _CHUNK])
        return done

    def _write(self, table: str, changes: Sequence[_Change]) -> list[Difference]:
        if not changes:
            return []
        try:
            with self._engine.begin() as connection:
                return self._write_in(connection, table, changes)
        except IntegrityError:  # a message made a row of that name meanwhile
            return []

    def _write_in(self, connection: Connection, name: str, changes: Sequence[_Change]) -> list[Difference]:
        table, unique = _TABLES[name], _UNIQUE[name]
        made = [change for change in changes if change.before is None]
        there = [change for change in changes if change.before is not None]
        locked = _locked(connection, table, [change.before["id"] for change in there if change.before])
        there = [change for change in there if change.before and locked.get(change.before["id"]) == change.before]
        gone = [change.before["id"] for change in there if change.before and change.after is None]
        if gone:
            connection.execute(delete(table).where(table.c.id.in_(gone)))
        updates = [(change.before, self._values(table, change)) for change in there if change.after is not None]
        renamed = [(row, {unique: row["id"]}) for row, values in updates if row and unique in values]
        _update(connection, table, renamed)  # two rows may exchange their names
        _update(connection, table, updates)
        made = self._new_ones(connection, table, unique, made)
        _insert(connection, table, [self._values(table, change) for change in made])
        return [each for change in (*there, *made) for each in change.found]

    def _values(self, table: Table, change: _Change) -> dict[str, Any]:
        after, before = dict(change.after or {}), change.before
        if table is db.server:
            after["status"] = state.status({**(before or {}), **after})
        if table is db.volume:
            after["status"] = volumestate.status({**(before or {}), **after})
        if "cluster" in table.c and (before is None or before["cluster"] != self._cluster):
            after["cluster"] = self._cluster  # a server that was deleted may have come to another one
        if before is None or not after.keys() <= state.BOOKKEEPING:
            after["updated"] = self._clock()
        return checked(table, after)

    def _new_ones(self, connection: Connection, table: Table, unique: str, made: Sequence[_Change]) -> list[_Change]:
        """Rows to be made whose id and name nobody has: a message may have made them meanwhile."""
        taken: set[str] = set()
        rows = [change.after for change in made if change.after is not None]
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            named = table.c[unique].in_([row[unique] for row in chunk])
            mine = named & (table.c.cluster == self._cluster) if "cluster" in table.c else named
            same = or_(table.c.id.in_([row["id"] for row in chunk]), mine)
            for row in connection.execute(select(table.c.id, table.c[unique]).where(same)):
                taken.update(row)
        return [change for change in made if change.after and not {change.after["id"], change.after[unique]} & taken]


def _is_change(each: Difference) -> bool:
    return each.before is not None or each.after is not None


def _by_row(found: Iterable[Difference]) -> list[_Change]:
    changes: dict[str, _Change] = {}
    for each in found:
        ident = str((each.before or each.after or {})["id"])
        change = changes.setdefault(ident, _Change(each.before, None if each.after is None else {}, []))
        if each.after is not None and change.after is not None:
            change.after.update(each.after)
        change.found.append(each)
    return list(changes.values())


def _names(table: str, change: _Change) -> bool:
    return change.before is None or change.after is None or _UNIQUE[table] in change.after


def _locked(connection: Connection, table: Table, idents: Sequence[str]) -> dict[str, Row]:
    """Rows by id, locked until the transaction ends; in one order, so that two who lock never wait for each other."""
    found = {}
    for start in range(0, len(idents), _CHUNK):
        wanted = table.c.id.in_(sorted(idents)[start : start + _CHUNK])
        query = select(table).where(wanted).order_by(table.c.id).with_for_update()
        found.update({row["id"]: row for row in db.rows(connection, query)})
    return found


def _update(connection: Connection, table: Table, updates: Iterable[tuple[Row | None, Mapping[str, Any]]]) -> None:
    """One statement for all rows that change in the same columns."""
    groups = defaultdict[tuple[str, ...], list[dict[str, Any]]](list)
    for row, values in updates:
        if row is not None:
            groups[tuple(sorted(values))].append({"of_id": row["id"], **{f"new_{k}": v for k, v in values.items()}})
    for columns, parameters in groups.items():
        values = {column: bindparam(f"new_{column}") for column in columns}
        connection.execute(update(table).where(table.c.id == bindparam("of_id")).values(values), parameters)


def _insert(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    groups = defaultdict[tuple[str, ...], list[Mapping[str, Any]]](list)
    for row in rows:
        groups[tuple(sorted(row))].append(row)
    for alike in groups.values():
        connection.execute(insert(table), alike)
