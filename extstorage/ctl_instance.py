"""Commands on all disks of an instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extstorage import consistency, ctl_volumes, node
from extstorage.consistency import Guest, Held, Keeper
from extstorage.inventory import Choice, Store
from extstorage.tell_progress import Progress
from extstorage.warning import warn
from ganeti_ext.errors import ExtError
from ganeti_ext.qemusocket import listens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from extstorage.inventory_ganeti import Disk, Ganeti

    Facts = dict[str, Any]


def snapshot(choice: Choice, ganeti: Ganeti, instance: str, prefix: str, *, freeze: bool) -> list[Facts]:
    """Snapshots PREFIX.disk0 and so on of all disks, of one moment; nothing stays when one of them fails."""
    disks, runs = here(ganeti, instance, me(choice, ganeti))
    wanted = [(store, disk, f"{prefix}.disk{disk.number}") for store, disk in placed(choice, disks)]
    for store, _, name in wanted:
        if store.kind.has(store.settings, name):
            raise ExtError(f"volume {name!r} exists already in {store}")
    made: list[tuple[Store, str]] = []
    try:
        if runs:
            guest = Guest(ganeti.socket(instance, "qmp"), ganeti.socket(instance, "qga"), freeze=freeze)
            held = _held(guest, wanted, made)
        else:
            held = Held(consistency.STOPPED, "")
            _make(wanted, made)
    except BaseException:
        for store, name in made:
            _unmake(store, name)
        raise
    return [_told(instance, held, *one) for one in wanted]


_WORDS = {
    consistency.STOPPED: "consistent, the instance does not run",
    consistency.FILES: "consistent, the guest's file systems were frozen",
    consistency.CRASH: "crash-consistent, of one moment over all disks",
}


def here(ganeti: Ganeti, instance: str, mine: str) -> tuple[Sequence[Disk], bool]:
    """An instance's disks, and whether it runs on this node, `mine`; ExtError when it runs elsewhere."""
    disks = ganeti.disks(instance, mine)
    if disks is not None and listens(ganeti.socket(instance, "qmp")):
        return disks, True
    configuration = ganeti.configuration()
    if configuration is None:
        master = ganeti.master()
        where = f"; where it does says: gnt-instance list -o name,pnode {instance}, on {master}" if master else ""
        raise ExtError(f"instance {instance!r} does not run on this node{where}")
    found = configuration.of(instance)
    if configuration.states[instance] == "up" and found and found[0].node != mine:
        raise ExtError(f"instance {instance!r} runs on {found[0].node}: run this there")
    if configuration.states[instance] == "up" and disks is None:  # under Xen it may run
        raise ExtError(f"instance {instance!r} is up, but there is no QEMU of it: gnt-instance shutdown {instance}")
    return found, False


def placed(choice: Choice, disks: Iterable[Disk]) -> Iterator[tuple[Store, Disk]]:
    """Each disk with the store that it is in."""
    every = list(disks)
    if not every:
        raise ExtError("the instance has no disks")
    for disk in every:
        stores = Choice(choice.folder, disk.provider).stores({(disk.provider, disk.pool)})
        yield next(store for store in stores if ctl_volumes.disks(store, [disk])), disk


def _held(guest: Guest, wanted: Sequence[tuple[Store, Disk, str]], made: list[tuple[Store, str]]) -> Held:
    with Keeper(guest) as keeper:
        _make(wanted, made)
        lost = keeper.end()
    if lost:
        raise ExtError(f"the snapshots were not of one moment, and are removed: {lost}")
    return keeper.held


def _make(wanted: Iterable[tuple[Store, Disk, str]], made: list[tuple[Store, str]]) -> None:
    with Progress("snapshots"):
        for store, disk, name in wanted:
            store.kind.admin.snapshot(store.settings, disk.volume, name)
            made.append((store, name))


def _unmake(store: Store, name: str) -> None:
    try:
        store.kind.admin.remove(store.settings, name)
    except (ExtError, OSError) as err:
        warn(str(store), f"snapshot {name!r} stays: {err}")


def _told(instance: str, held: Held, store: Store, disk: Disk, name: str) -> Facts:
    how = f"{_WORDS[held.consistency]} ({held.why})" if held.why else _WORDS[held.consistency]
    return {
        "did": f"made snapshot {name} of disk {disk.number} of {instance}: {how}",
        "volume": name,
        "store": str(store),
        "origin": f"volume:{disk.volume}",
        "instance": instance,
        "disk": disk.number,
        "consistency": held.consistency,
        "why": held.why,
    }


def me(choice: Choice, ganeti: Ganeti) -> str:
    """This node's name, as the providers have it."""
    return node.this(ganeti.data, choice.stores()[0].settings.node).name


def words(disk: Disk) -> str:
    """A disk, for people."""
    return f"disk {disk.number} of {disk.instance} ({disk.size} MiB) from {disk.provider} volume {disk.volume}"
