"""What there should be beside what there is: findings of `verify`, sums of `df`, snapshots that nobody needs.

Only values here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from extstorage.found import IMAGE, SNAPSHOT, VOLUME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from extstorage.found import Found, Leak
    from extstorage.inventory_ganeti import Disk

MIB = 1 << 20
# Ganeti's names of volumes (cmdlib/instance_storage.py, _GenerateUniqueNames), and of the snapshots of an export.
GANETI = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.ext\.disk\d+(\.snap)?")
# These come with what a provider's `leaks` tells; the others are found here.
ORPHAN, MISSING, SIZE = "orphan", "missing", "size"


class Finding(NamedTuple):
    """Something that is not as it should be; `repair` does what `todo` says where `mends` is set.

    `size` is what a volume that is too short has to have, in MiB.
    """

    kind: str
    store: str
    volume: str
    found: str
    todo: str
    mends: bool
    size: int | None = None


class Room(NamedTuple):
    """Bytes of a store: `physical` what all data would take if nothing were shared, `shared` what of it is."""

    store: str
    volumes: int
    snapshots: int
    images: int
    logical: int
    physical: int | None
    exclusive: int | None
    total: int | None
    free: int | None

    @property
    def shared(self) -> int | None:
        return None if self.physical is None or self.exclusive is None else self.physical - self.exclusive


def owned(disks: Iterable[Disk], store: str, options: str, found: Sequence[Found]) -> Iterator[Finding]:
    """What Ganeti's disks of a store lack: volumes, or their size."""
    known = {one.name: one for one in found if one.kind != IMAGE}
    for disk in disks:
        one = known.get(disk.volume)
        whose = f"disk {disk.number} of {disk.instance}" if disk.instance else f"detached disk {disk.uuid}"
        if one is None:
            todo = f"bring it back from a snapshot (ganeti-ext-storage clone {options} SNAPSHOT {disk.volume})"
            if disk.instance:
                todo += f", or give it up: gnt-instance recreate-disks --disk={disk.number} {disk.instance}"
            yield Finding(MISSING, store, disk.volume, f"{whose} has no volume", todo, mends=False)
        elif one.logical < disk.size * MIB:
            told = f"{whose} has {disk.size} MiB for Ganeti, its volume {one.logical / MIB:g}"
            todo = f"ganeti-ext-storage grow {options} --force {disk.volume} {disk.size}M"
            yield Finding(SIZE, store, disk.volume, told, todo, mends=True, size=disk.size)
        elif one.logical >= (disk.size + 1) * MIB:
            told = f"{whose} has {disk.size} MiB for Ganeti, its volume {one.logical / MIB:g}"
            todo = "tell Ganeti: gnt-cluster repair-disk-sizes" + (f" {disk.instance}" if disk.instance else "")
            yield Finding(SIZE, store, disk.volume, told, todo, mends=False)


def orphans(
    disks: Iterable[Disk], store: str, options: str, found: Sequence[Found], before: float
) -> Iterator[Finding]:
    """Volumes that Ganeti named and does not know; one that was made after the moment `before` may be in the making."""
    known = {disk.volume for disk in disks}
    for one in found:
        if one.kind == IMAGE or one.name in known or not GANETI.fullmatch(one.name):
            continue
        if one.holders or (one.created is not None and one.created > before):
            continue
        what = "snapshot of an export that ended without it" if one.name.endswith(".snap") else "volume of no disk"
        todo = f"ganeti-ext-storage remove {options} {one.name} (repair does it with --orphans)"
        yield Finding(ORPHAN, store, one.name, f"{what} in Ganeti's configuration", todo, mends=False)


def unneeded(found: Sequence[Found]) -> Iterator[str]:
    """Names of snapshots that nobody descends from."""
    needed = {one.origin for one in found}
    for one in found:
        parents = {f"{kind}:{one.name}" for kind in (VOLUME, SNAPSHOT)}
        if one.kind == SNAPSHOT and not one.holders and not needed & parents and not GANETI.fullmatch(one.name):
            yield one.name


def leaked(leaks: Iterable[Leak], store: str, options: str) -> Iterator[Finding]:
    """What the provider found left by killed calls and lost nodes."""
    for leak in leaks:
        todo = f"ganeti-ext-storage repair {options}"
        yield Finding(leak.kind, store, leak.what, leak.why, todo, mends=True)


def room(store: str, found: Sequence[Found], capacity: tuple[int, int] | None) -> Room:
    """The sums of a store."""
    count = {kind: sum(one.kind == kind for one in found) for kind in (VOLUME, SNAPSHOT, IMAGE)}
    physical = _sum(one.physical for one in found)
    exclusive = _sum(one.exclusive for one in found)
    logical = sum(one.logical for one in found)
    sizes = (logical, physical, exclusive, *(capacity or (None, None)))
    return Room(store, count[VOLUME], count[SNAPSHOT], count[IMAGE], *sizes)


def _sum(values: Iterable[int | None]) -> int | None:
    """None where one of them is not known."""
    known = list(values)
    return None if None in known else sum(value for value in known if value is not None)


class Branch(NamedTuple):
    """A line of the tree."""

    depth: int
    found: Found


def tree(found: Sequence[Found]) -> Iterator[Branch]:
    """Everything below its origin; what descends from nothing that is still there is a root."""
    by_name = {(one.kind == IMAGE, one.name): one for one in found}
    below: dict[tuple[bool, str] | None, list[Found]] = {}
    for one in found:
        kind, _, name = (one.origin or "").partition(":")
        parent = (kind == IMAGE, name)
        below.setdefault(parent if parent in by_name and by_name[parent] != one else None, []).append(one)
    told: set[tuple[bool, str]] = set()

    def walk(parent: tuple[bool, str] | None, depth: int) -> Iterator[Branch]:
        for one in below.get(parent, []):
            key = (one.kind == IMAGE, one.name)
            if key not in told:
                told.add(key)
                yield Branch(depth, one)
                yield from walk(key, depth + 1)

    yield from walk(None, 0)
    # Texts beside volumes may say anything, also that two descend from each other.
    for key, one in by_name.items():
        if key not in told:
            told.add(key)
            yield Branch(0, one)
            yield from walk(key, 1)
