"""What a server or a volume is to its tenant, changed: written into its instance's tags, and shown at once.

The tags are Ganeti's, and what is shown is a copy: if the jobs fail, what the tags say is shown again (wished.py).
"""

from __future__ import annotations

import logging
import os
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from sqlalchemy import Table, select, update
from sqlalchemy.engine import Connection

from frontend.compute import wished
from frontend.database import db
from frontend.update import reading, state
from frontend.volume import volumestate
from frontend.web import context
from frontend.web.fault import Conflict
from ganeti_ext import files, tags
from ganeti_ext.errors import RapiError

log = logging.getLogger(__name__)

Row = Mapping[str, Any]
Changes = Mapping[str, str | None]
"""Values by name; None: it is taken away."""

# Octets of a call's address that tags may take: Ganeti's server reads lines of 8,192 (http/server.py).
_ROOM = 7000
# Facts with columns of their own, by the table of the row.
_OWN: Mapping[str, Mapping[str, str]] = {db.server.name: reading.COLUMNS, db.volume.name: volumestate.COLUMNS}


def change(
    server: Row,
    facts: Changes | Callable[[Row], Changes] | None = None,
    *,
    metadata: Changes | None = None,
    name: str | None = None,
    table: Table = db.server,
) -> list[int]:
    """Change facts (tags.FACTS), items of the metadata and the display name; the jobs that do so, none if all is so.

    `facts` may be a function of the row, for a value that follows from the one before it: no two changes of one
    server that come to this machine are made at once. Conflict for a server that Ganeti has no instance of yet.
    """
    if server["status"] == "BUILD":
        raise Conflict(f"Instance {server['id']} is being built: what it is cannot be changed before that is done.")
    with _one_change_at_a_time(server["id"]):
        row = _row(table, server["id"]) or server
        wanted = dict(facts(row) if callable(facts) else facts or {}) | ({"name": name} if name is not None else {})
        items = metadata or {}
        there = _tags(row)
        add, remove = plan(row, there, wanted, items, _OWN[table.name])
        # What is new comes first: should the second job never be submitted, nothing is lost.
        jobs = [
            _submit(row, method, part) for method, some in (("PUT", add), ("DELETE", remove)) for part in parts(some)
        ]
        if jobs:
            log.info("%s %s: its tags are changed by jobs %s", table.name, row["id"], jobs)
            _show(table, row["id"], wanted, items, jobs)
    return jobs


def plan(
    row: Row, there: Iterable[str], facts: Changes, metadata: Changes, own: Mapping[str, str] = reading.COLUMNS
) -> tuple[list[str], list[str]]:
    """Tags to be added to an instance and to be taken away.

    Ganeti refuses to take away a tag that is not there. So what goes is what it says that it has (an administrator may
    have written it in another way than we do), unless jobs go on: then it is what they write.
    """
    known = set(there)
    new, old = set[str](), set[str]()
    for fact, value in facts.items():
        new |= set(tags.encode({fact: value})) if value is not None else set()
        pending = wished.facet(fact, own) in (row["wished"] or {})
        old |= set(tags.encode(wished.facts(row, [fact], own))) if pending else tags.carrying(known, [fact])
    if metadata:
        new |= set(tags.encode_metadata(wished.merged(row["metadata"], metadata)))
        pending = wished.METADATA in (row["wished"] or {})
        old |= set(tags.encode_metadata(row["metadata"])) if pending else tags.carrying(known, [tags.META])
    return sorted(new - old), sorted(old - new)


def parts(some: Collection[str]) -> Iterator[list[str]]:
    """Tags, in as many as one call takes."""
    part, used = list[str](), 0
    for tag in some:
        size = len(quote(tag, safe="")) + len("&tag=")
        if part and used + size > _ROOM:
            yield part
            part, used = [], 0
        part.append(tag)
        used += size
    if part:
        yield part


def _tags(row: Row) -> list[str]:
    try:
        found: list[str] = context.rapi(row).get(f"instances/{row['instance']}/tags")
    except RapiError as err:
        if row["status"].upper() != "ERROR":
            raise
        # Ganeti answers 500 for one that it does not know: its create failed before there was anything.
        log.warning("instance %s: %s", row["instance"], err)
        raise Conflict(f"Instance {row['id']} was never built: what it is cannot be changed.") from err
    return found


def _submit(row: Row, method: str, some: list[str]) -> int:
    query: Any = {"tag": some}
    return context.rapi(row).submit(method, f"instances/{row['instance']}/tags", None, query)


def _one_change_at_a_time(server_id: str) -> files.Lock:
    """Of one server: what goes away depends on what was there."""
    folder = os.path.dirname(context.services().settings.front.secret_file)
    return files.Lock(os.path.join(folder, f"tags.{zlib.crc32(server_id.encode()) % 64}.lock"))


def _row(table: Table, ident: str) -> Row | None:
    with context.database() as connection:
        return db.row(connection, select(table).where(table.c.id == ident))


def _show(table: Table, ident: str, facts: Changes, metadata: Changes, jobs: Collection[int]) -> None:
    """The new values, from now on; unless the jobs were over already and failed."""
    column, own = table.c, _OWN[table.name]
    alive = (column.id == ident, column.deleted.is_(None))
    with context.database() as connection:
        # The write comes first: it locks the row, in SQLite as well. No end of a job comes between.
        connection.execute(update(table).where(*alive).values(updated=time.time()))
        row = db.row(connection, select(table).where(*alive))
        ended = _ended(connection, ident, jobs)
        if row is None or any(status != "success" for status in ended.values()):
            connection.commit()
            return
        values = wished.columns(row, facts, own)
        facets = {wished.facet(fact, own) for fact in facts}
        if metadata:
            values["metadata"] = wished.merged(row["metadata"], metadata)
            facets.add(wished.METADATA)
        if table is db.server and row["power"] is not None:
            values["status"] = state.status({**row, **values})
        if waiting := [job for job in jobs if job not in ended]:
            values["wished"] = wished.added(row["wished"], facets, waiting)
        connection.execute(update(table).where(column.id == ident).values(values))
        connection.commit()


def _ended(connection: Connection, ident: str, jobs: Collection[int]) -> dict[int, str]:
    """How those of the jobs ended whose end was told before we came to it."""
    column = db.action.c
    over = (column.server_id == ident, column.job.in_(jobs), column.ended.is_not(None))
    return {row.job: row.status for row in connection.execute(select(column.job, column.status).where(*over))}
