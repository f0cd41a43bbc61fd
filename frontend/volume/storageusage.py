"""Whose the storage is: what a node has measured (docs/images.md, `usage`), by project and kind. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from frontend.effect.translate_image import SAVED
from frontend.volume import volumename

IMAGE, SNAPSHOT, VOLUME, SERVER = "image", "snapshot", "volume", "server"
KINDS = (SERVER, VOLUME, SNAPSHOT, IMAGE)
NOBODY = ""


class Owners(NamedTuple):
    """Ids of projects, by the ids of volumes, snapshots and images, and by the names of servers' instances."""

    volumes: Mapping[str, str]
    snapshots: Mapping[str, str]
    images: Mapping[str, str | None]
    servers: Mapping[str, str]


class Use(NamedTuple):
    """Of one project, in octets: `logical` as long as they are; `physical` what their data would take if nothing were
    shared, `exclusive` what of that nobody shares. None: a store cannot tell."""

    project: str
    """NOBODY for what is no tenant's."""
    kind: str
    number: int
    logical: int
    physical: int | None
    exclusive: int | None


def summed(measured: Iterable[Mapping[str, Any]], owners: Owners) -> list[Use]:
    """By project and kind, in order. A project's share of what it shares with others is in `physical` alone."""
    found: dict[tuple[str, int], Use] = {}
    for row in measured:
        kind, project = whose(row, owners)
        key = (project, KINDS.index(kind))
        known = found.get(key, Use(project, kind, 0, 0, 0, 0))
        found[key] = known._replace(
            number=known.number + 1,
            logical=known.logical + int(row["logical"]),
            physical=_plus(known.physical, row.get("physical")),
            exclusive=_plus(known.exclusive, row.get("exclusive")),
        )
    return [use for _, use in sorted(found.items())]


def whose(row: Mapping[str, Any], owners: Owners) -> tuple[str, str]:
    """What an entry is to the front, and whose."""
    name = str(row["name"])
    if row["kind"] == IMAGE:
        return IMAGE, owners.images.get(name) or NOBODY
    ident = name.removeprefix(SAVED)
    if ident != name:
        if ident in owners.snapshots:
            return SNAPSHOT, owners.snapshots[ident]
        return IMAGE, owners.images.get(ident) or NOBODY
    volume = volumename.of_disk(row.get("disk"))
    if volume is not None:
        return VOLUME, owners.volumes.get(volume, NOBODY)
    return SERVER, owners.servers.get(row.get("instance") or "", NOBODY)


def _plus(known: int | None, more: Any) -> int | None:
    return None if known is None or more is None else known + int(more)
