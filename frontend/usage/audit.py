"""The spans against the rows: what was written by no message (by hand, by a comparison, into a new database).

Each thing that differs is looked at again in a transaction of its own, with its row locked, as messages lock it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Table, select
from sqlalchemy.exc import IntegrityError

from frontend.database import db
from frontend.quota import addresses
from frontend.update.rows import locked
from frontend.usage import meter, spans

log = logging.getLogger(__name__)

Row = Mapping[str, Any]


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


def run(engine: Engine, now: float) -> int:
    """How many things differed."""
    with engine.begin() as connection:
        differing = [*_differing(connection), *_differing_addresses(connection)]
    done = 0
    for kind, thing in differing:
        try:
            with engine.begin() as connection:
                done += _mend(connection, kind, thing, now)
        except IntegrityError:  # a message did just that meanwhile
            log.debug("usage of %s %s: another wrote it", kind, thing)
    if done:
        log.info("usage: %d things differed from what was counted", done)
    return done


def _differing(connection: Connection) -> Iterator[tuple[str, str]]:
    for kind, (table, now, *_) in _KINDS.items():
        held = _held(connection, kind)
        rows = {row["id"]: row for row in db.rows(connection, _rows(table, held))}
        for ident in sorted({*held, *rows}):
            if _differs(held.get(ident), now(rows.get(ident))):
                yield kind, ident


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


def _mend(connection: Connection, kind: str, thing: str, at: float) -> bool:
    if kind == spans.ADDRESS:
        return meter.address(connection, thing, _addresses(connection).get(thing), at)
    table, now, *_ = _KINDS[kind]
    row = locked(connection, table, table.c.id == thing)
    if row is not None and row.get("deleted") is not None:
        at = min(at, row["deleted"])
    return meter.agree(connection, kind, thing, now(row), at, first=row["created"] if row is not None else None)


def _differing_addresses(connection: Connection) -> Iterator[tuple[str, str]]:
    held, now = _held(connection, spans.ADDRESS), _addresses(connection)
    for ident in sorted({*held, *now}):
        if ident not in now or ident not in held or held[ident]["project_id"] != now[ident]:
            yield spans.ADDRESS, ident


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
