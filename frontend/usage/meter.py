"""What is told of things, written down as spans in the transaction that writes it into their rows.

How a job ended says what held from its end on (`conclusion`); what Ganeti answered when it was asked, what held then.
The former is exact, and the latter for what no message told of. Told again, or in another order, it comes to the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from frontend.database import db
from frontend.quota import addresses
from frontend.update import reading, state
from frontend.usage import points, spans
from frontend.usage.points import Change
from frontend.usage.spans import Key
from frontend.volume import volumename
from ganeti_ext import event, tags

Row = Mapping[str, Any]
Said = dict[str, Any]

_GROW, _SET, _TAG, _UNTAG = "OP_INSTANCE_GROW_DISK", "OP_INSTANCE_SET_PARAMS", "OP_TAGS_SET", "OP_TAGS_DEL"
# Others say nothing of what is metered, and most messages are of others.
_TELLING = frozenset((state.CREATE, state.REMOVE, _GROW, _SET, _TAG, _UNTAG))
_MIB_IN_GIB = 1024


def of_server(connection: Connection, row: Row, message: Row, before: Iterable[Row] | None) -> None:
    """What a message, which the row knows of, says of a server and its public addresses; `before`: its NICs before."""
    if not _tells(message):
        return
    said = conclusion(message)
    if said.get("project_id", row["project_id"]) != row["project_id"]:
        said["project_id"] = row["project_id"]  # its tag may give the project's name
    _say(connection, spans.SERVER, row["id"], message, said)
    agree(connection, spans.SERVER, row["id"], server_now(row), _asked(message), first=row["created"])
    _addresses(connection, row, before, _asked(message))


def of_unborn(connection: Connection, kind: str, thing: str, message: Row) -> None:
    """What a message says of a server or volume whose create was not told of yet."""
    if _tells(message) and message["operation"] != state.CREATE:
        _say(connection, kind, thing, message, conclusion(message, thing if kind == spans.VOLUME else None))


def of_volume(connection: Connection, row: Row, message: Row) -> None:
    """The same of a volume: `message` is of its holder, or of a server whose job is for it."""
    if not _tells(message):
        return
    said = conclusion(message, row["id"])
    said = {key: said[key] for key in ("alive", "gib") if key in said}
    if said.get("alive"):
        said |= {"project_id": row["project_id"], "flavor_id": row["type"]}
    if message["operation"] != _GROW and message["instance"] != row["instance"]:
        said = {}
    _say(connection, spans.VOLUME, row["id"], message, said)
    agree(connection, spans.VOLUME, row["id"], volume_now(row), _asked(message), first=row["created"])


def of_image(connection: Connection, ident: str, at: float) -> None:
    """An image's row was changed, or is gone, in this transaction."""
    row = db.row(connection, select(db.image).where(db.image.c.id == ident))
    agree(connection, spans.IMAGE, ident, image_now(row), at)


def of_snapshots(connection: Connection, idents: Iterable[str], at: float) -> None:
    """The same of rows of snapshots."""
    for ident in idents:
        row = db.row(connection, select(db.volume_snapshot).where(db.volume_snapshot.c.id == ident))
        agree(connection, spans.SNAPSHOT, ident, snapshot_now(row), at)


def conclusion(message: Row, volume: str | None = None) -> Said:
    """What follows from a job's success; {} of another end. `volume`: of the disk of this volume."""
    if message["status"] != "success":
        return {}
    operation, fields = message["operation"], message.get("job_fields") or {}
    said: Said = {}
    if operation in (state.CREATE, _SET):
        for _, columns in reading.size(fields.get("beparams") or {}):
            said.update(columns)
    if operation == state.CREATE:
        said["alive"] = True
        said |= _tagged(fields.get("tags") or ())
        if sizes := [disk.get("size") for disk in fields.get("disks") or () if _is_counted(disk, volume)]:
            said["gib"] = float(sum(size for size in sizes if isinstance(size, int)) // _MIB_IN_GIB)
    elif operation == _TAG:
        said |= _tagged(fields.get("tags") or ())
    elif operation == state.REMOVE:
        said["alive"] = False
    elif operation == _GROW and volume is not None and fields.get("absolute") and isinstance(fields.get("amount"), int):
        said["gib"] = float(fields["amount"] // _MIB_IN_GIB)
    return said


def server_now(row: Row) -> Said:
    """What a server's row says, of that which counts; not whether it is there, as long as nobody knows."""
    said = {"project_id": row["project_id"], "flavor_id": row["flavor_id"], "gib": float(row["disk"])}
    said |= {"vcpus": row["vcpus"], "ram": row["ram"]}
    if row["deleted"] is not None:
        return {"alive": False}
    return {**said, "alive": True} if row["power"] is not None else said


def volume_now(row: Row) -> Said:
    """The same of a volume's row."""
    if row["deleted"] is not None:
        return {"alive": False}
    said = {"project_id": row["project_id"], "flavor_id": row["type"], "gib": float(row["size"])}
    return {**said, "alive": True} if row["held"] or row["server_id"] is not None else said


def image_now(row: Row | None) -> Said:
    """The same of an image's; None: it is gone."""
    if row is None or row["status"] not in ("active", "deactivated") or row["owner_id"] is None:
        return {"alive": False}
    return {"alive": True, "project_id": row["owner_id"], "gib": row["size"] / (1 << 30)}


def snapshot_now(row: Row | None) -> Said:
    """The same of a snapshot's."""
    if row is None or row["status"] not in ("available", "deleting", "error_deleting"):
        return {"alive": False}
    kind = f"{row['provider']}:{row['pool']}" if row["pool"] else row["provider"]
    return {"alive": True, "project_id": row["project_id"], "flavor_id": kind, "gib": float(row["size"])}


def address_now(project: str | None) -> Said:
    """The same of a public address; None: nobody has it."""
    return {"alive": False} if project is None else {"alive": True, "project_id": project}


def agree(connection: Connection, kind: str, thing: str, now: Said, at: float, *, first: float | None = None) -> bool:
    """See to it that what holds is `now`; whether it did not. `at` and `first` as of spans.agreed."""
    known = points.of_one(connection, kind, thing)
    after = spans.agreed(known, now, at, first)
    if after is not None:
        points.write(connection, kind, [Change(thing, known, after)])
    return after is not None


def address(connection: Connection, port: str, project: str | None, at: float) -> bool:
    """A port has a public address of a project's from this moment on, or (None) not; whether that is new."""
    return agree(connection, spans.ADDRESS, port, address_now(project), at)


def _addresses(connection: Connection, row: Row, before: Iterable[Row] | None, at: float) -> None:
    was, now = [{"nics": before or ()}], [row] if row["deleted"] is None else []
    if not before and not row["nics"]:
        return
    shared = addresses.networks(connection)
    had, has = addresses.of_servers(was, shared), addresses.of_servers(now, shared)
    for port in sorted({*had, *has}):
        kept = db.port.c
        made = db.row(connection, select(db.port).where(kept.id == port, kept.address.is_not(None)))
        address(connection, port, row["project_id"] if port in has or made is not None else None, at)


def _say(connection: Connection, kind: str, thing: str, message: Row, said: Said) -> None:
    if not said:
        return
    _, _, job, op_index, _ = message["order"]
    key = Key(state.seconds(message["order"]), job, op_index)
    known = points.of_one(connection, kind, thing)
    if key in known:
        return
    # What was seen before it was made, was guessed from what was told later.
    made = message["operation"] == state.CREATE
    kept = {each: words for each, words in known.items() if not (made and each.job == 0 and each.began <= key.began)}
    points.write(connection, kind, [Change(thing, known, {**kept, key: said})])


def _tells(message: Row) -> bool:
    return message["status"] in event.FINAL and message["operation"] in _TELLING


def _asked(message: Row) -> float:
    """When Ganeti said what the row says now."""
    return state.seconds(message.get("read_at") or message["order"])


def _tagged(found: Iterable[str]) -> Said:
    told = tags.decode(found)
    columns = {"project": "project_id", "flavor": "flavor_id"}
    return {column: told[fact] for fact, column in columns.items() if told.get(fact)}


def _is_counted(disk: Row, volume: str | None) -> bool:
    return volumename.of_disk(disk.get("name")) == volume
