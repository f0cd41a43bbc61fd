"""The spans against the rows: what was written by no message (by hand, by a comparison, into a new database).

What differs is looked at again, some hundred things in a transaction, with their rows locked as messages lock them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Table, select
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError

from frontend.database import db
from frontend.quota import addresses
from frontend.usage import meter, points, spans
from frontend.usage.points import Change

log = logging.getLogger(__name__)

Row = Mapping[str, Any]

_CHUNK = 500  # things in a transaction: whoever waits for one of them does not wait long


class _Kind(NamedTuple):
    table: Table
    now: Callable[[Any], meter.Said]
    """What a row says, or (None) that there is none."""


def _or_gone(now: Callable[[Row], meter.Said]) -> Callable[[Row | None], meter.Said]:
    return lambda row: now(row) if row is not None else {"alive": False}


_KINDS: Mapping[str, _Kind] = {
    spans.SERVER: _Kind(db.server, _or_gone(meter.server_now)),
    spans.VOLUME: _Kind(db.volume, _or_gone(meter.volume_now)),
    spans.SNAPSHOT: _Kind(db.volume_snapshot, meter.snapshot_now),
    spans.IMAGE: _Kind(db.image, meter.image_now),
}


class _Seen(NamedTuple):
    """What a thing's row says, as spans.agreed takes it."""

    now: meter.Said
    at: float
    first: float | None = None


def run(engine: Engine, now: float) -> int:
    """How many things differed."""
    with engine.begin() as connection:
        differing = {kind: list(_differing(connection, kind)) for kind in _KINDS}
        differing[spans.ADDRESS] = list(_differing_addresses(connection))
    done = 0
    for kind, things in differing.items():
        for start in range(0, len(things), _CHUNK):
            done += _mend(engine, kind, things[start : start + _CHUNK], now)
    if done:
        log.info("usage: %d things differed from what was counted", done)
    return done


def _mend(engine: Engine, kind: str, things: Sequence[str], now: float) -> int:
    try:
        with engine.begin() as connection:
            return _mend_in(connection, kind, things, now)
    except IntegrityError:  # a message did just that meanwhile to one of them: the others in smaller parts
        if len(things) == 1:
            log.debug("usage of %s %s: another wrote it", kind, things[0])
            return 0
        half = len(things) // 2
        return _mend(engine, kind, things[:half], now) + _mend(engine, kind, things[half:], now)


def _differing(connection: Connection, kind: str) -> Iterator[str]:
    table, now = _KINDS[kind]
    held = _held(connection, kind)
    rows = {row["id"]: row for row in db.rows(connection, _rows(table, held))}
    for ident in sorted({*held, *rows}):
        if _differs(held.get(ident), now(rows.get(ident))):
            yield ident


def _rows(table: Table, held: Mapping[str, Row]) -> Any:
    """Those that may count: what is deleted and counted no more has nothing to tell."""
    if "deleted" not in table.c:
        return select(table)
    some = select(table).where(table.c.deleted.is_(None))
    return some if len(held) == 0 else select(table).where(table.c.deleted.is_(None) | table.c.id.in_(_open(table)))


def _open(table: Table) -> Any:
    column = db.usage_span.c
    kind = next(kind for kind, each in _KINDS.items() if each.table is table)
    return select(column.thing).where(column.kind == kind, column.until.is_(None), column.alive.is_(True))


def _held(connection: Connection, kind: str) -> dict[str, Row]:
    """What holds now, by things that are there."""
    column = db.usage_span.c
    query = select(db.usage_span).where(column.kind == kind, column.until.is_(None), column.alive.is_(True))
    return {row["thing"]: row for row in db.rows(connection, query)}


def _differs(held: Row | None, now: meter.Said) -> bool:
    if held is None:
        return now.get("alive", False) is True
    return any(held[name] != value for name, value in now.items())


def _mend_in(connection: Connection, kind: str, things: Sequence[str], at: float) -> int:
    seen = _seen_addresses(connection, things, at) if kind == spans.ADDRESS else _seen(connection, kind, things, at)
    known = points.of_things(connection, kind, things)
    changes = []
    for thing in things:
        after = spans.agreed(known[thing], *seen[thing])
        if after is not None:
            changes.append(Change(thing, known[thing], after))
    points.write(connection, kind, changes)
    return len(changes)


def _seen(connection: Connection, kind: str, things: Sequence[str], at: float) -> dict[str, _Seen]:
    """What the rows say, locked in one order, so that two who lock never wait for each other."""
    table, now = _KINDS[kind]
    query = select(table).where(table.c.id.in_(things)).order_by(table.c.id).with_for_update()
    rows = {row["id"]: row for row in db.rows(connection, query)}
    found = {thing: _Seen(now(None), at) for thing in things if thing not in rows}
    for thing, row in rows.items():
        ended = row.get("deleted")
        found[thing] = _Seen(now(row), at if ended is None else min(at, ended), row["created"])
    return found


def _seen_addresses(connection: Connection, things: Sequence[str], at: float) -> dict[str, _Seen]:
    whose = _addresses(connection)
    return {thing: _Seen(meter.address_now(whose.get(thing)), at) for thing in things}


def _differing_addresses(connection: Connection) -> Iterator[str]:
    held, now = _held(connection, spans.ADDRESS), _addresses(connection)
    for ident in sorted({*held, *now}):
        if ident not in now or ident not in held or held[ident]["project_id"] != now[ident]:
            yield ident


def _addresses(connection: Connection) -> dict[str, str]:
    """Whose the public addresses are: projects by ports' ids."""
    shared = addresses.networks(connection)
    server = db.server.c
    if not shared:
        return {}
    query = select(server.project_id, server.nics).where(server.deleted.is_(None))
    found = {
        ident: row["project_id"] for row in db.rows(connection, query) for ident in addresses.of_servers([row], shared)
    }
    ports = db.rows(connection, select(db.port))
    whose = {row["id"]: row["project_id"] for row in ports}
    return {**found, **{ident: whose[ident] for ident in addresses.of_ports(ports, shared)}}
