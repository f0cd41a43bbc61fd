"""Messages about instances, written into the rows of their servers."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from frontend.database import db
from frontend.effect import owed
from frontend.quota import reserved
from frontend.update import actions, mirror_port, mirror_volume, reading, state
from frontend.update.rows import Row, Rows
from frontend.update.whose import OF
from frontend.usage import meter, spans
from ganeti_ext import tags

log = logging.getLogger(__name__)

_NOBODY = reading.Owners({}, {})


def identity(message: state.Message, prefix: str) -> str | None:
    """Whose server, or which volume's holder, the instance of a message is: as its name and Ganeti's words tell."""
    told = message.get("instance_state") or {}
    if (volume := mirror_volume.identity(message, prefix)) is not None:
        return volume
    return reading.server_id(message["instance"], prefix, _facts(tuple(told.get("tags") or ())), told.get("uuid"))


@functools.lru_cache(4096)
def _facts(found: tuple[str, ...]) -> Mapping[str, str]:
    return tags.decode(found)


@functools.lru_cache(4096)
def _names_an_owner(found: tuple[str, ...]) -> bool:
    return reading.facts(found, _NOBODY) != tags.decode(found)


def find(rows: Rows, message: state.Message) -> Row | None:
    """The row of a message's instance: by its name, or after a rename by its id."""
    row = rows.server((message[OF], message["instance"]))
    if row is None:
        ident = identity(message, rows.prefix)
        row = rows.server_by_id(ident) if ident else None
    return row if row is None or row["cluster"] == message[OF] else None


def apply(rows: Rows, message: state.Message) -> bool:
    """Apply what an opcode's status says of a server, or of a volume; whether it changed anything."""
    if (volume := mirror_volume.identity(message, rows.prefix)) is not None:
        return mirror_volume.apply(rows, message, volume)
    row = _not_its_namesake(rows, find(rows, message), message)
    born = row is None
    if row is None:
        row = _born(rows, message)
    if row is None:
        log.debug("%s of %s: none of ours", message["operation"], message["instance"])
        if (ident := identity(message, rows.prefix)) is not None:
            meter.of_unborn(rows.connection, spans.SERVER, ident, message)
        return False
    # Called with the row locked, and again for a message that is told again.
    again, disks, nics = owed.after(rows.connection, row, message), row["disks"], row["nics"]
    reserved.after(rows.connection, row["id"], message, again=again)
    changes = dict(_advance(rows, row, message, again=again) or {})
    changes.update(_made_earlier({**row, **changes}, message))
    changes.update(mirror_port.of_server(rows, message, row, changes.get("clocks", row["clocks"])))
    _write(rows, row, changes, f"job {message['order'][2]} {message['operation']} {message['status']}")
    meter.of_server(rows.connection, row, message, nics)
    return mirror_volume.of_server(rows, message, row, disks) or bool(changes) or born


def _advance(rows: Rows, row: Row, message: state.Message, *, again: bool = False) -> Mapping[str, Any] | None:
    said = tuple((message.get("instance_state") or {}).get("tags") or ())
    owners = rows.owners() if said and _names_an_owner(said) else None
    subnets6 = rows.subnets6(message[OF]) if message.get("instance_nics") else {}
    return state.advance(row, message, subnets6, owners, again=again)


def progress(rows: Rows, message: state.Message) -> bool:
    """How far the image of a server that is being made is copied, as its node tells."""
    row = find(rows, message)
    changes = state.progress(row, message) if row is not None else None
    if row is not None and changes:
        rows.change_server(row, changes)
    return bool(changes)


def _write(rows: Rows, row: Row, changes: Mapping[str, Any], why: str) -> None:
    if not changes:
        return
    rows.change_server(row, changes)
    shown = {name: value for name, value in changes.items() if name in ("status", "task", "host", "deleted", "fault")}
    if shown:
        words = ", ".join(f"{name} {value}" for name, value in shown.items())
        rows.after.append(lambda: log.info("server %s: %s, by %s", row["id"], words, why))


def _not_its_namesake(rows: Rows, row: Row | None, message: state.Message) -> Row | None:
    """The row, unless it is of a deleted server whose instance's name an administrator gave to another one."""
    if row is None or row["deleted"] is None or not message.get("instance_state"):
        return row
    ident = identity(message, rows.prefix)
    if ident in (None, row["id"]):
        return row
    rows.change_server(row, {"instance": row["id"]})
    rows.flush()
    return rows.server_by_id(str(ident))


def _born(rows: Rows, message: state.Message) -> Row | None:
    """An instance of ours that has no row: its create's answer got lost, or the database was made anew."""
    is_create = message["operation"] == state.CREATE
    fields, read = message.get("job_fields") or {}, message.get("instance_state") or {}
    ident = identity(message, rows.prefix)
    said = [*((fields.get("tags") or ()) if is_create else ()), *(read.get("tags") or ())]
    if ident is None or not said or rows.server_by_id(ident) is not None:
        return None  # an instance of another cluster's server is none of ours
    facts = reading.facts(said, rows.owners())
    if not facts.get("project"):
        log.warning("instance %s: no row and no tag that says whose it is, ignored", message["instance"])
        return None
    order = message["order"]
    created = reading.seconds(facts.get("created", ""))
    row = rows.add_server(
        {
            **reading.new_row(ident, message["instance"], facts, _size(rows.connection, facts, message), 0.0),
            "cluster": message[OF],
            "clocks": {"born": order} if created is None else None,
            "created": state.seconds(order) if created is None else created,
            "updated": rows.now,
        }
    )
    rows.after.append(lambda: log.info("server %s: a row made from the tags of its instance", ident))
    for earlier in _told_earlier(rows, ident, message["cluster"]):
        rows.change_server(row, _advance(rows, row, earlier) or {})
    return row


def _told_earlier(rows: Rows, ident: str, cluster: str) -> list[state.Message]:
    """What was told of a server before it had a row, as far as it was kept."""
    rows.flush_actions()
    column = db.action.c
    query = select(db.action).where(column.server_id == ident, column.cluster == cluster)
    found = db.rows(rows.connection, query.order_by(column.job, column.op_index))
    return [actions.message_of(action) for action in found]


def _made_earlier(row: Mapping[str, Any], message: state.Message) -> dict[str, Any]:
    """The time of its making, of a row that this path made: the first that its create tells of."""
    clocks, order = row["clocks"] or {}, message["order"]
    if message["operation"] != state.CREATE or "created" in clocks or clocks.get("born", order) <= order:
        return {}  # or Ganeti itself has told
    return {"created": state.seconds(order), "clocks": {**clocks, "born": order}}


def _size(connection: Connection, facts: Mapping[str, str], message: state.Message) -> dict[str, int]:
    fields = message.get("job_fields") or {}
    disks = fields.get("disks") or message.get("instance_disks") or ()
    asked: dict[str, int] = {"disk": sum(int(disk["size"]) for disk in disks) // 1024}
    for _, columns in reading.size(fields.get("beparams") or {}):
        asked.update(columns)
    return {**asked, **flavor_size(connection, facts.get("flavor", ""))}


def flavor_size(connection: Connection, ident: str) -> dict[str, int]:
    """vcpus, ram and disk of a flavor; empty when there is none."""
    columns = db.flavor.c
    found = connection.execute(select(columns.vcpus, columns.ram, columns.disk).where(columns.id == ident))
    return {name: int(value) for row in found.mappings() for name, value in row.items()}
