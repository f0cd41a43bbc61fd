"""Commands on volumes and snapshots, one at a time: facts out, or what was done."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from extstorage import inventory, node, origin
from extstorage.account import MIB
from extstorage.found import SNAPSHOT, VOLUME
from extstorage.inventory import Choice, Store
from extstorage.inventory_ganeti import Disk, Ganeti
from extstorage.tell_progress import Progress
from ganeti_ext.errors import ContractError, ExtError
from ganeti_ext.volenv import Volume

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from extstorage.found import Found
    from extstorage.lock import Holder

    Facts = dict[str, Any]

_SIZE = re.compile(r"(\d+)([KMGT]?)(?:i?B)?", re.IGNORECASE)
_POWERS = {"K": 1, "": 2, "M": 2, "G": 3, "T": 4}


def mib(text: str) -> int:
    """A size such as 10G, 512M or 512, which are MiB as with Ganeti; ValueError for what is no whole MiB above 0."""
    found = _SIZE.fullmatch(text.strip())
    size = int(found[1]) * 1024 ** _POWERS[found[2].upper()] if found else 0
    if not size or size % MIB:
        raise ValueError(f"{text!r} is no size: say a whole number of MiB, as 512M, 10G or 1T")
    return size // MIB


def call(
    store: Store, verb: str, name: str, size: int | None = None, new: int | None = None, exclusive: bool = True
) -> str | None:
    """Call a provider's verb as Ganeti would; sizes in MiB."""
    params = {"pool": store.pool} if store.pool else {}
    volume = Volume(name, size, new, None, None, exclusive, params)
    reply: str | None = getattr(store.kind.verbs, verb)(store.settings, volume)
    return reply


def listed(choice: Choice, kinds: Iterable[str] = ()) -> Iterator[Facts]:
    """All that is in the stores, or what is of these kinds."""
    for store in choice.stores():
        for found in store.kind.admin.listing(store.settings):
            if not kinds or found.kind in kinds:
                yield facts(store, found)


def shown(choice: Choice, ganeti: Ganeti, name: str) -> Facts:
    """All of one volume: what descends from it at once, too, and whose disk it is."""
    store = inventory.where(name, choice)
    found = list(store.kind.admin.listing(store.settings))
    mine = next((one for one in found if one.name == name and one.kind != "image"), None)
    if mine is None:
        raise ExtError(f"volume {name!r} is half made or half removed: ganeti-ext-storage verify {store.options}")
    parents = {f"{kind}:{name}" for kind in (VOLUME, SNAPSHOT)}
    configuration = ganeti.configuration()
    disk = owner(store, ganeti, name)
    told = disk and whose(disk)
    return {
        **facts(store, mine),
        "descendants": [f"{one.kind}:{one.name}" for one in found if one.origin in parents],
        "disk": told or (None if configuration is None else "no disk"),
    }


def facts(store: Store, found: Found) -> Facts:
    """What is known of one entry, fit for JSON."""
    return {**found._asdict(), "store": str(store), "holders": [holder(store, one) for one in found.holders]}


def holder(store: Store, one: Holder) -> Facts:
    """A holder, and why its node is known to be down."""
    return {**one._asdict(), "down": this(store).down(one.node)}


def this(store: Store) -> node.Node:
    """This node as the store's provider sees it."""
    return node.this(store.settings.data_directory, store.settings.node)


def create(store: Store, name: str, size: int) -> Facts:
    call(store, "create", name, size)
    return _did(store, name, f"created volume {name} of {size} MiB in {store}")


def clone(choice: Choice, source: str, name: str, size: int | None) -> Facts:
    """Make a volume of an origin, in the origin's store."""
    wanted = origin.parse(source)
    volume = wanted.kind in ("volume", "snapshot")
    store = inventory.where(wanted.name, choice) if volume else choice.one()
    with Progress(f"clone {source} to {name}"):
        store.kind.admin.clone(store.settings, name, wanted, None if size is None else size * MIB)
    return _did(store, name, f"cloned {source} to volume {name} in {store}", origin=source)


def snapshot(choice: Choice, name: str, target: str) -> Facts:
    store = inventory.where(name, choice)
    with Progress(f"snapshot {target} of {name}"):
        store.kind.admin.snapshot(store.settings, name, target)
    return _did(store, target, f"made snapshot {target} of volume {name} in {store}", origin=f"volume:{name}")


def rollback(choice: Choice, name: str, source: str) -> Facts:
    """Give a volume the content of a snapshot; of a disk of Ganeti's, its instance must be stopped."""
    store = inventory.where(name, choice)
    with Progress(f"rollback of {name} to {source}"):
        store.kind.admin.rollback(store.settings, name, source)
    return _did(store, name, f"volume {name} in {store} has the content of {source} now", origin=source)


def flatten(choice: Choice, name: str) -> Facts:
    store = inventory.where(name, choice)
    with Progress(f"flatten {name}"):
        store.kind.admin.flatten(store.settings, name)
    return _did(store, name, f"volume {name} in {store} shares its data with no origin any more")


def grow(choice: Choice, ganeti: Ganeti, name: str, size: int, *, force: bool) -> Facts:
    """Lengthen a volume that Ganeti has no disk for; for Ganeti's there is gnt-instance grow-disk."""
    store = inventory.where(name, choice)
    if not force:
        disk = owner(store, ganeti, name)
        if disk:
            todo = f"gnt-instance grow-disk --absolute {disk.instance} {disk.number} {size}"
            raise ExtError(f"volume {name!r} is {whose(disk)}, whose size Ganeti notes too: {todo}")
        _know(ganeti, name)
    call(store, "grow", name, None, size)
    return _did(store, name, f"volume {name} in {store} has at least {size} MiB now")


def remove(choice: Choice, ganeti: Ganeti, name: str, *, force: bool) -> Facts:
    """Delete a volume or a snapshot, unless Ganeti has a disk for it or a node has it open."""
    store = inventory.where(name, choice)
    if not force:
        disk = owner(store, ganeti, name)
        if disk:
            raise ExtError(f"volume {name!r} is {whose(disk)}: gnt-instance modify --disk={disk.number}:remove")
        _know(ganeti, name)
    with Progress(f"remove {name}"):
        store.kind.admin.remove(store.settings, name)
    return _did(store, name, f"removed {name} from {store}")


def locks(choice: Choice) -> Iterator[Facts]:
    """A row for each node that has a volume open."""
    for store in choice.stores():
        for name, holders in store.kind.admin.locks(store.settings):
            for one in holders:
                yield {"volume": name, "store": str(store), **holder(store, one)}


def unlock(choice: Choice, name: str, who: str | None, *, yes: bool) -> list[Facts]:
    """Take a volume away from a node, or from all; without `yes` only an error that says what that would mean."""
    store, held = _held(choice, name)
    found = [holder(store, one) for one in held if who in (None, one.node)]
    if not found:
        return []
    alive = [one["node"] for one in found if not one["down"]]
    if alive and not yes:
        raise ExtError(
            f"volume {name!r} is open on {', '.join(alive)}, which Ganeti does not know to be down: a guest that still"
            " runs there and one that is started elsewhere would destroy the disk. Make sure that the node is off or"
            " its guest stopped, then say --yes"
        )
    taken = store.kind.admin.unlock(store.settings, name, who)
    return [_did(store, name, f"took volume {name} in {store} away from {one}", node=one.node) for one in taken]


def owner(store: Store, ganeti: Ganeti, name: str) -> Disk | None:
    """The disk that a volume is, where this node can know."""
    configuration = ganeti.configuration()
    if configuration is None:
        return None
    return next((disk for disk in disks(store, configuration.disks) if disk.volume == name), None)


def disks(store: Store, every: Iterable[Disk]) -> list[Disk]:
    """Those that are in a store. A disk may name the pool that disks without a name are in."""
    default = getattr(store.settings, "pool", "") if not store.pool else store.pool
    return [disk for disk in every if disk.provider == store.provider and disk.pool in (store.pool, default)]


def whose(disk: Disk) -> str:
    """A disk in words."""
    return f"disk {disk.number} of instance {disk.instance}" if disk.instance else f"the detached disk {disk.uuid}"


def _held(choice: Choice, name: str) -> tuple[Store, tuple[Holder, ...]]:
    """The store and the holders of a lock, whose volume may be gone."""
    found = [(store, dict(store.kind.admin.locks(store.settings)).get(name)) for store in choice.stores()]
    locked = [(store, held) for store, held in found if held]
    if len(locked) == 1:
        return locked[0]
    return inventory.where(name, choice), ()


def _know(ganeti: Ganeti, name: str) -> None:
    master = ganeti.master()
    if master and ganeti.configuration() is None:
        raise ContractError(
            f"only master candidates know whether volume {name!r} is a disk of Ganeti's: run this on {master}, or say"
            " --force"
        )


def _did(store: Store, name: str, words: str, **more: Any) -> Facts:
    return {"did": words, "volume": name, "store": str(store), **more}
