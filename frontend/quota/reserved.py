"""What counts before Ganeti has it: a server that is being made, its new size, a NIC that it is to get.

Set apart in the transaction that holds it against the limit, before the job; given back when the job is refused; over
when the job is (mirror_server.py), whatever became of it: then rows that Ganeti's words made are what counts. Nothing
is counted twice, as a row that is there counts with what is larger, its own or what is set apart. What nobody gives
back, because he died, ends by itself: as long as no job is known of it after ALONE seconds, else after A_DAY.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.sql.expression import Select

from frontend.database import db
from frontend.effect import clusters, purpose
from frontend.effect.clusters import HOME
from frontend.update import state
from ganeti_ext import event

ALONE = 300.0
"""Seconds in which a request submits its jobs, or whoever does so is dead."""
A_DAY = 86_400.0
"""Seconds in which the end of any job is told."""

_RESERVED, _SERVER = db.reservation.c, db.server.c
_KINDS = (purpose.RESIZE, purpose.REVERT, purpose.PLUG, purpose.BOOT)

_OF = (
    select(
        db.reservation,
        _SERVER.project_id.label("owner"),
        _SERVER.vcpus.label("has_vcpus"),
        _SERVER.ram.label("has_ram"),
        _SERVER.deleted,
    )
    .select_from(db.reservation.outerjoin(db.server, _SERVER.id == _RESERVED.id))
    .where(_RESERVED.project_id == bindparam("whose"), _RESERVED.due > bindparam("now"))
)
_NEW = insert(db.reservation)
_ACCEPTED = update(db.reservation).where(_RESERVED.id == bindparam("which"))
_ACCEPTED = _ACCEPTED.values(job=bindparam("told"), due=bindparam("until"))


def keep(
    connection: Connection,
    ident: str,
    project: str,
    *,
    vcpus: int | None = None,
    ram: int | None = None,
    ports: int = 0,
    addresses: int = 0,
) -> None:
    """In the transaction that checks the limits; what was set apart for the same before is over."""
    release(connection, [ident])
    keep_new(connection, [ident], project, vcpus=vcpus, ram=ram, ports=ports, addresses=addresses)


def keep_new(connection: Connection, idents: Collection[str], project: str, **each: int | None) -> None:
    """The same for several that are new, `each` of which takes as much."""
    row = {"project_id": project, "job": None, "due": time.time() + ALONE, **each}
    connection.execute(_NEW, [{"id": ident, **row} for ident in idents])


def accepted(connection: Connection, ident: str, job: int | None, cluster: str = HOME) -> None:
    """Ganeti has the job, with whose end this is over; None: it may have it, and somebody finds out (submission.py)."""
    connection.execute(_ACCEPTED, {"which": ident, "told": job, "until": time.time() + A_DAY})
    if job is not None and has_ended(connection, job, cluster):
        release(connection, [ident])


def release(connection: Connection, idents: Collection[str]) -> None:
    """It is there, or will not be."""
    connection.execute(delete(db.reservation).where(_RESERVED.id.in_(sorted(idents))))


def of(connection: Connection, project: str) -> list[dict[str, Any]]:
    """Of a project, as far as it counts still, with the servers that have its ids.

    Of these, `owner` (the project; None where there is no such server), `has_vcpus`, `has_ram` and `deleted`.
    """
    return db.rows(connection, _OF, whose=project, now=time.time())


def after(connection: Connection, server_id: str, message: Mapping[str, Any], *, again: bool) -> None:
    """What a message of a server's job ends. `again`: the create has failed and is submitted once more."""
    if message["status"] not in event.FINAL or again:
        return
    known = purpose.of(message)
    kind = known.kind if known is not None else None
    if message["operation"] != state.CREATE and kind not in _KINDS:
        return
    ident = known.detail if known is not None and kind == purpose.PLUG else server_id
    # Whoever is about to say which job it is (`accepted`) says so before or finds the end of that, but not between.
    connection.execute(select(_RESERVED.id).where(_RESERVED.id == ident).with_for_update()).all()
    over = _RESERVED.job <= message["order"][2]
    if message["operation"] == state.CREATE:
        over |= _RESERVED.job.is_(None)  # who submitted it did not live to say so, or says so later
    connection.execute(delete(db.reservation).where(_RESERVED.id == ident, over))


def sweep(connection: Connection, now: float) -> int:
    """Take away what counts no more; how many."""
    return int(connection.execute(delete(db.reservation).where(_RESERVED.due < now)).rowcount)


def has_ended(connection: Connection, job: int, cluster: str) -> bool:
    """Whether its end was told already."""
    ended = connection.execute(_ended(cluster), {"number": job}).scalars().all()
    return bool(ended) and all(each is not None for each in ended)


@functools.lru_cache(64)
def _ended(cluster: str) -> Select[Any]:
    return select(db.action.c.ended).where(db.action.c.job == bindparam("number"), clusters.actions(cluster))
