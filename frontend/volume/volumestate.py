"""What a message about a job means for a volume's row: values in, changed columns out. As state.py for servers.

A volume's facets are told of by two kinds of instances. Its holder (volumename.py) says whose it is and what, and
whether the disk is there; whichever server lists the disk has the volume (`placed`). The newer of the two counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from frontend.compute.wished import Wishes
from frontend.effect import purpose
from frontend.update import reading, state
from frontend.update.state import Columns, Evidence, Message, Row
from frontend.volume import volumename
from ganeti_ext import event, tags

AVAILABLE, IN_USE, ERROR = "available", "in-use", "error"
CREATING, ATTACHING, DETACHING, DELETING = "creating", "attaching", "detaching", "deleting"
OFFERED = "awaiting-transfer"
"""The task of a volume that is offered to another project; no job of its own ends it."""

# Facts that have a column of their own; the others of tags.VOLUME and tags.GIVEN are in `facts`.
COLUMNS = {"project": "project_id", "user": "user_id", "name": "name", "type": "type"}
LOST = "No instance has its disk: it was detached by hand, or removed with a server."

# What is done to a holder by an administrator, who writes no purpose.
_TASKS = {state.CREATE: CREATING, state.REMOVE: DELETING, "OP_INSTANCE_GROW_DISK": "extending"}
_BOOT_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def device(number: int) -> str:
    """What a guest calls its disk of this number, from 0."""
    return f"/dev/vd{_BOOT_LETTERS[number]}"


def status(row: Row) -> str:
    """Cinder's status, as it follows from the other columns."""
    if row["fault"]:
        return ERROR
    arrived = row["task"] == ATTACHING and row["attached"] is not None
    left = row["task"] == DETACHING and row["server_id"] is None and row["held"]
    if row["task"] and not arrived and not left:
        return str(row["task"])
    if row["server_id"] is not None:
        return IN_USE
    if row["held"] is None:
        return CREATING
    return AVAILABLE if row["held"] else ERROR


def fault(row: Row) -> str | None:
    """Why a volume is `error`."""
    known: str | None = row["fault"]
    return known or (LOST if status(row) == ERROR else None)


def image_metadata(row: Row) -> dict[str, str]:
    """Of the image that a volume was made from."""
    try:
        found = json.loads(row["facts"].get("image_meta") or "{}")
    except ValueError:  # an administrator may have written it
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def new_row(ident: str, instance: str, facts: Mapping[str, str], created: float) -> Columns:
    """The row of a volume of which nothing else is known."""
    row: Columns = {
        "id": ident,
        "instance": instance,
        **{column: facts.get(fact, "") for fact, column in COLUMNS.items()},
        "size": 0,
        "facts": kept(facts),
        "metadata": {},
        "created": created,
        "updated": created,
    }
    nothing = ("task", "fault", "server_id", "device", "attached", "host", "held", "deleted", "job", "job_order")
    row.update(dict.fromkeys((*nothing, "clocks", "wished")))
    return {**row, "status": status(row)}


def kept(told: Mapping[str, str]) -> dict[str, str]:
    """Of the facts in tags those that the column `facts` holds."""
    known = {*tags.VOLUME, "description"} - {"volume", *COLUMNS}
    return {fact: value for fact, value in told.items() if fact in known}


def advance(row: Row, message: Message, owners: reading.Owners | None = None) -> Columns | None:
    """The columns that an OP_STATUS message of the holder changes, or None. The caller writes `updated`."""
    said = list(_evidence(row, message, owners))
    return _applied(row, message, said)


def purposed(row: Row, message: Message) -> Columns | None:
    """The same of a message of another instance whose job is for this volume: it tells of the task alone."""
    return _applied(row, message, [])


def placed(row: Row, order: list[Any], server_id: str, where: tuple[int, int] | None, now: float) -> Columns | None:
    """What it changes that a server was seen with the volume as disk `where[0]` of `where[1]` MiB, or (None) without.

    `order` is how new that is (state.stamp).
    """
    if where is None and row["server_id"] != server_id:
        return None
    values: Columns = {"server_id": None, "device": None, "attached": None}
    said: list[Evidence] = []
    if where is not None:
        known = row["server_id"] == server_id
        since = row["attached"] if known and row["attached"] is not None else now
        values = {"server_id": server_id, "device": device(where[0]), "attached": since}
        said.append(("size", order, {"size": where[1] // 1024}))
        said.append(("fault", order, {"fault": None}))
    return _changed(row, _newer(row, [("place", order, values), *said]))


def facets(read: Mapping[str, Any], ident: str, owners: reading.Owners | None) -> Iterator[tuple[str, Columns]]:
    """Each thing that a reading of the holder of volume `ident` tells of, with its columns."""
    told = read["instance_state"]
    if told.get("pnode"):
        yield "host", {"host": told["pnode"]}
    if told.get("tags") is not None:
        yield from _tagged(told["tags"], owners)
    if read.get("instance_disks") is None:
        return
    sizes = [disk["size"] for disk in read["instance_disks"] if volumename.of_disk(disk.get("name")) == ident]
    if not sizes:
        yield "held", {"held": False}
        return
    yield "size", {"size": int(sizes[0]) // 1024}
    yield "held", {"held": True}
    yield "place", {"server_id": None, "device": None, "attached": None}


def _tagged(found: list[str], owners: reading.Owners | None) -> Iterator[tuple[str, Columns]]:
    told = reading.facts(found, owners) if owners else tags.decode(found)
    for fact, column in COLUMNS.items():
        if fact in told or fact == "name":
            yield fact, {column: told.get(fact, "")}
    created = reading.seconds(told.get("created", ""))
    if created is not None:
        yield "created", {"created": created}
    yield reading.FACTS, {"facts": kept(told)}
    yield "metadata", {"metadata": tags.metadata(found)}


def _evidence(row: Row, message: Message, owners: reading.Owners | None) -> Iterator[Evidence]:
    operation, ended = message["operation"], message["status"]
    if ended not in event.FINAL:
        return
    at, read_at = state.stamp(message), bool(message.get("read_at"))
    if message.get("instance_state"):
        for facet, values in facets(message, row["id"], owners):
            yield facet, state.stamp(message, read=True), values
    elif read_at and (operation, ended) == (state.REMOVE, "error") and message["instance"] == row["instance"]:
        yield "deleted", state.stamp(message, read=True), {"deleted": state.seconds(message["read_at"])}
    if (operation, ended) == (state.CREATE, "success"):
        yield "deleted", at, {"deleted": None}
        yield "fault", at, {"fault": None}
        yield "held", at, {"held": True}
    elif operation == state.CREATE and _is_broken(message):
        yield "fault", at, {"fault": state.said(message)}
    elif (operation, ended) == (state.REMOVE, "success"):
        yield "deleted", at, {"deleted": state.seconds(message["order"])}


def _is_broken(message: Message) -> bool:
    """Whether a failed create was this volume's: what was refused as it is there already is another job's."""
    return message.get("error_code") != state.ALREADY_EXISTS


def _applied(row: Row, message: Message, said: list[Evidence]) -> Columns | None:
    wishes = Wishes(row["wished"])
    said = [each for each in said if not wishes.hold(*each)]
    if message["status"] in event.FINAL:
        said += wishes.end(message["order"][2], state.stamp(message), succeeded=message["status"] == "success")
    new = _newer(row, said)
    new.update(_task(row, message), wished=wishes.column)
    return _changed(row, new)


def _newer(row: Row, said: list[Evidence]) -> Columns:
    clocks, new = dict(row["clocks"] or {}), Columns()
    for facet, order, values in said:
        if order > clocks.get(facet, []):
            clocks[facet] = order
            new.update(values)
    return {**new, "clocks": clocks or None}


def _changed(row: Row, new: Columns) -> Columns | None:
    after = {**row, **new}
    if after["deleted"] is not None:
        new.update(fault=None, server_id=None, device=None, attached=None)
    new["status"] = status({**row, **new})
    return {name: value for name, value in new.items() if row[name] != value} or None


def _task(row: Row, message: Message) -> Columns:
    """The newest job that has a task says which; its last status clears it."""
    order, task = message["order"], task_of(message, row["id"])
    if task is None or order[2:] <= state.last_told(row):
        return {}
    return {"job": order[2], "job_order": order, "task": None if message["status"] in event.FINAL else task}


def task_of(message: Message, ident: str) -> str | None:
    """What volume `ident` is said to be doing while the job of this message goes on."""
    known = purpose.of(message)
    if known is not None:
        return purpose.VOLUME_TASKS.get(known.kind) if known.detail == ident else None
    return _TASKS.get(message["operation"])
