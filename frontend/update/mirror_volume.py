"""Messages about instances, written into the rows of volumes: those of holders, and of servers whose disks they are."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import insert, select, update

from frontend.database import db
from frontend.effect import purpose
from frontend.update import reading, state
from frontend.update.rows import Row, Rows, checked
from frontend.update.whose import OF
from frontend.usage import meter, spans
from frontend.volume import volumename, volumestate
from ganeti_ext import tags

log = logging.getLogger(__name__)


def identity(message: state.Message, prefix: str) -> str | None:
    """The volume whose holder a message is about; None for another instance."""
    told = message.get("instance_state") or {}
    return reading.volume_id(message["instance"], prefix, _facts(tuple(told.get("tags") or ())))


@functools.lru_cache(4096)
def _facts(found: tuple[str, ...]) -> Mapping[str, str]:
    return tags.decode(found)


def apply(rows: Rows, message: state.Message, ident: str) -> bool:
    """Apply what an opcode's status says of the holder of a volume; whether it changed anything."""
    row, said = _row(rows, ident), _said(message)
    if row is not None and row["cluster"] != message[OF]:
        log.warning("%s: is volume %s of another cluster", message["instance"], ident)
        return False
    born = row is None
    if row is None:
        row = _born(rows, message, ident, said)
    if row is None:
        log.debug("%s of %s: no volume of ours", message["operation"], message["instance"])
        meter.of_unborn(rows.connection, spans.VOLUME, ident, message)
        return False
    owners = rows.owners() if said else None
    why = f"job {message['order'][2]} {message['operation']} {message['status']}"
    changed = _write(rows, row, volumestate.advance(row, message, owners), why) or born
    meter.of_volume(rows.connection, row, message)
    return changed


def of_server(rows: Rows, message: state.Message, server: Row, before: Iterable[Mapping[str, Any]] | None) -> bool:
    """Apply what a message of a server says of volumes: of its disks as they are now, and of what the job is for.

    `before`: its disks before the message.
    """
    known = purpose.of(message)
    meant = {known.detail} if known is not None and known.kind in purpose.VOLUME_TASKS else set()
    had, has = _volumes(before), _volumes(server["disks"])
    told = message.get("instance_disks") is not None or server["deleted"] is not None
    concerned = {*meant, *((*had, *has) if told else ())}
    why, changed = f"job {message['order'][2]} {message['operation']} of server {server['id']}", False
    for ident in sorted(concerned):
        row = _row(rows, ident)
        if row is None:
            continue
        if ident in meant:
            changed |= _write(rows, row, volumestate.purposed(row, message), why)
        if told:
            where = has.get(ident) if server["deleted"] is None else None
            order = (server["clocks"] or {}).get(reading.DISKS) or state.stamp(message)
            if server["deleted"] is not None:
                order = (server["clocks"] or {}).get("deleted") or state.stamp(message)
            changed |= _write(rows, row, volumestate.placed(row, order, server["id"], where, rows.now), why)
        meter.of_volume(rows.connection, row, message)
    return changed


def _volumes(disks: Iterable[Mapping[str, Any]] | None) -> dict[str, tuple[int, int]]:
    """The volumes among an instance's disks: which disk, and its MiB."""
    named = ((volumename.of_disk(disk.get("name")), number, disk) for number, disk in enumerate(disks or ()))
    return {ident: (number, int(disk["size"])) for ident, number, disk in named if ident is not None}


def _row(rows: Rows, ident: str) -> Row | None:
    query = select(db.volume).where(db.volume.c.id == ident).with_for_update()
    found = rows.connection.execute(query).mappings().first()
    return dict(found) if found is not None else None


def _said(message: state.Message) -> list[str]:
    """The tags that a message tells of."""
    fields, read = message.get("job_fields") or {}, message.get("instance_state") or {}
    is_create = message["operation"] == state.CREATE
    return [*((fields.get("tags") or ()) if is_create else ()), *(read.get("tags") or ())]


def _born(rows: Rows, message: state.Message, ident: str, said: list[str]) -> Row | None:
    """A holder that has no row: its create's answer got lost, or the database was made anew."""
    facts = reading.facts(said, rows.owners()) if said else {}
    if not facts.get("project"):
        return None
    created = reading.seconds(facts.get("created", ""))
    made = volumestate.new_row(
        ident, message["instance"], facts, state.seconds(message["order"]) if created is None else created
    )
    disks = (message.get("job_fields") or {}).get("disks") or message.get("instance_disks") or ()
    made.update(size=sum(int(disk["size"]) for disk in disks) // 1024, metadata=tags.metadata(said), updated=rows.now)
    made["cluster"] = message[OF]
    rows.connection.execute(insert(db.volume).values(checked(db.volume, made)))
    rows.after.append(lambda: log.info("volume %s: a row made from the tags of its holder", ident))
    for server, where in _holding(rows, ident):
        order = (server["clocks"] or {}).get(reading.DISKS) or [0]
        made.update(volumestate.placed(made, order, server["id"], where, rows.now) or {})
    return made


def _holding(rows: Rows, ident: str) -> list[tuple[Row, tuple[int, int]]]:
    """Servers whose disks the volume is among: what was told of them before it had a row."""
    query = select(db.server).where(db.server.c.deleted.is_(None), db.server.c.disks.is_not(None))
    found = ((server, _volumes(server["disks"]).get(ident)) for server in db.rows(rows.connection, query))
    return [(server, where) for server, where in found if where is not None]


def _write(rows: Rows, row: Row, changes: Mapping[str, Any] | None, why: str) -> bool:
    if not changes:
        return False
    seen = {} if changes.keys() <= state.BOOKKEEPING else {"updated": rows.now}
    new = checked(db.volume, {**changes, **seen})
    rows.connection.execute(update(db.volume).where(db.volume.c.id == row["id"]).values(new))
    row.update(new)
    shown = {name: changes[name] for name in ("status", "server_id", "host", "deleted", "fault") if name in changes}
    if shown:
        words = ", ".join(f"{name} {value}" for name, value in shown.items())
        rows.after.append(lambda: log.info("volume %s: %s, by %s", row["id"], words, why))
    return True
