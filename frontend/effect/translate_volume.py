"""Volumes, from OpenStack's words to Ganeti's. Pure: values in, calls and steps out.

A volume is a disk (volumename.py). It is attached to its holder, an instance that is never started, or to a server; so
an attachment is two jobs, and a third one gives the disk back when the second failed. Ganeti does all three to
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from frontend.effect import translate_image
from frontend.effect.translate import GIB, MIB, Call, Step
from frontend.effect.translate_change import modify
from frontend.effect.translate_create import OS, Place, of
from frontend.volume import volumename
from ganeti_ext import tags

Row = Mapping[str, Any]

LAST = -1  # behind the disks that are there
_MEMORY = 4  # MiB: of an instance that never runs


def provider(kind: str) -> dict[str, str]:
    """A volume type, PROVIDER or PROVIDER:POOL, as parameters of a disk."""
    name, _, pool = kind.partition(":")
    return {"provider": name, "pool": pool} if pool else {"provider": name}


def parameters(kind: str) -> dict[str, str]:
    """The same, with how a server opens the disk."""
    named = provider(kind)
    return {**named, **of(named["provider"])}


def create(row: Row, origin: str, place: Place) -> Call:
    """A holder with its disk; `origin` as the provider names it (docs/provider.md), empty: zeros."""
    disk = {"size": row["size"] * (GIB // MIB), "name": volumename.disk(row["id"]), **parameters(row["type"])}
    body: dict[str, Any] = {
        "__version__": 1,
        "mode": "create",
        "instance_name": row["instance"],
        "os_type": OS,
        "no_install": True,
        "start": False,
        "disk_template": "ext",
        "disks": [{**disk, "origin": origin} if origin else disk],
        "nics": [],
        "beparams": {"vcpus": 1, "minmem": _MEMORY, "maxmem": _MEMORY, "auto_balance": False},
        "tags": [*tags.encode(facts(row)), *tags.encode_metadata(row["metadata"])],
        "ip_check": False,
        "name_check": False,
        "wait_for_sync": False,
        "ignore_ipolicy": True,
    }
    return Call("POST", "instances", {**body, **place.words()})


def facts(row: Row) -> dict[str, str]:
    """What the holder's tags say of a volume, but for its metadata."""
    known = {
        "volume": row["id"],
        "project": row["project_id"],
        "user": row["user_id"],
        "name": row["name"],
        "created": repr(row["created"]),
        "type": row["type"],
        **row["facts"],
    }
    return {name: value for name, value in known.items() if value}


def delete(row: Row) -> list[Step]:
    """The holder, and its disk with it; to which a disk is given before that is attached to nothing."""
    removal = Step(Call("DELETE", f"instances/{row['instance']}", {"shutdown_timeout": 0}))
    if row["held"] is False and row["server_id"] is None:
        return [Step(give(row, row["instance"])), removal._replace(anyway=True)]
    return [removal]


def extend(instance: str, index: int, size: int) -> list[Step]:
    """To `size` GiB, on the instance that has the disk, as its disk `index`."""
    body = {"amount": size * (GIB // MIB), "absolute": True, "ignore_ipolicy": True}
    return [Step(Call("POST", f"instances/{instance}/disk/{index}/grow", body))]


def revert(row: Row, snapshot: str) -> list[Step]:
    """A clone of a snapshot in place of the disk, in its holder: until the one is there, the other does not go."""
    disk = {
        "size": row["size"] * (GIB // MIB),
        "name": volumename.disk(row["id"]),
        **parameters(row["type"]),
        "origin": translate_image.origin(snapshot),
    }
    return [Step(modify(row["instance"], disks=[["add", 0, disk], ["remove", 1, {}]], ignore_ipolicy=True))]


def attach(row: Row, server: str, index: int = LAST) -> list[Step]:
    """From the holder to an instance."""
    return [
        Step(take(row, row["instance"])),
        Step(give(row, server, index)),
        Step(give(row, row["instance"]), unless=True),
    ]


def detach(row: Row, server: str, index: int = LAST) -> list[Step]:
    """From an instance to the holder; if that fails, back to where it was."""
    return [
        Step(take(row, server)),
        Step(give(row, row["instance"])),
        Step(give(row, server, index), unless=True),
    ]


def take(row: Row, instance: str) -> Call:
    """From an instance, whether it runs or not."""
    return modify(instance, disks=[["detach", volumename.disk(row["id"]), {}]], ignore_ipolicy=True)


def give(row: Row, instance: str, index: int = LAST) -> Call:
    """To an instance; Ganeti takes disks to ones that do not run only if it is to wait until they are in sync."""
    disk = {"name": volumename.disk(row["id"])}
    return modify(instance, disks=[["attach", index, disk]], wait_for_sync=True, ignore_ipolicy=True)
