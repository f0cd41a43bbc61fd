"""Give an instance's disks to another provider, or to another pool, while it is stopped.

Ganeti's own conversion (gnt-instance modify -t ext -e provider=..., backend.BlockdevConvert) pipes one dd into another:
it fills every hole, does not see when the first of them fails, and writes nothing at all to a disk that only has a URI
(its dev_path is None, and so is dd's file); then it removes the old disks. So Ganeti's jobs do here what only they can:

    offline    gnt-instance modify --offline: nobody starts it meanwhile
    add        for each disk gnt-instance modify --disk=N:add, an empty one behind it, whose name says whose copy it is
    copy       what is not zero; then both are compared
    remove     when all are equal: gnt-instance modify --disk=N:remove for each old one
    online     gnt-instance modify --online: it is as stopped as it was
    rename     the copies get the names of the old ones

Until the first removal an error undoes all. Whoever is killed leaves an instance that cannot be started; the same
command again sees by the names what was done, and goes on.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from extstorage import ctl_volumes, move_copy
from extstorage.inventory_ganeti import Configuration, Disk
from extstorage.move_copy import Meter, Place
from extstorage.tell_progress import Progress
from extstorage.warning import warn
from ganeti_ext.errors import ExtError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from extstorage.inventory import Store

COPY = "copy-of-"
OFFLINE, DOWN = "offline", "down"
_UUID = 36


class Target(NamedTuple):
    """Where the disks shall be: `params` go to Ganeti with each of them."""

    store: Store
    params: Mapping[str, str]


def mark(disk: Disk) -> str:
    """The name of the disk that is made to become a copy of this one."""
    return f"{COPY}{disk.uuid}" + (f".{disk.name}" if disk.name else "")


def source(disk: Disk) -> str:
    """The UUID of the disk that this one is a copy of, or an empty text."""
    return disk.name.removeprefix(COPY)[:_UUID] if disk.name.startswith(COPY) else ""


def name_of(disk: Disk) -> str:
    """The name that a copy shall have in the end: its source's."""
    return disk.name.removeprefix(COPY)[_UUID + 1 :]


def is_there(store: Store, disk: Disk) -> bool:
    """Whether a disk is in a store."""
    return bool(ctl_volumes.disks(store, [disk]))


def added(disk: Disk, target: Target, number: int) -> str:
    """Ganeti's option that makes the copy of a disk, as the instance's disk of that number."""
    params = {**({"access": disk.params["access"]} if "access" in disk.params else {}), **target.params}
    params |= {"pool": target.store.pool} if target.store.pool else {}
    words = [f"size={disk.size}m", f"mode={disk.mode}", f"provider={target.store.provider}", f"name={mark(disk)}"]
    words += [f"{key}={value}" for key, value in params.items()]
    return f"--disk={number}:add,{','.join(words)}"


class Move:
    """One instance's move. `modify` runs gnt-instance modify, `read` gives Ganeti's configuration as it is now."""

    def __init__(
        self,
        instance: str,
        target: Target,
        place: Callable[[Disk], Store],
        modify: Callable[[str], object],
        read: Callable[[], Configuration],
    ) -> None:
        self.instance, self._target = instance, target
        self._place, self._modify, self._read = place, modify, read

    def plan(self) -> list[Disk]:
        """The disks that are to be moved; ExtError when the instance is not stopped."""
        configuration = self._read()
        disks = configuration.of(self.instance)
        state = configuration.states[self.instance]
        if state not in (OFFLINE, DOWN):
            raise ExtError(f"instance {self.instance!r} is {state}: stop it (gnt-instance shutdown {self.instance})")
        return [disk for disk in disks if not source(disk) and not is_there(self._target.store, disk)]

    def run(self) -> list[tuple[Disk, Disk]]:
        """Move; returns each disk that was, with the one in its place."""
        self.plan()
        down = self._read().states[self.instance] == DOWN
        ours = down or any(source(disk) for disk in self._disks())  # else it is offline by an administrator's will
        if down:
            self._modify("--offline")
        self._drop_unfinished()
        with ExitStack() as undo:
            if ours:
                undo.callback(self._try, "--online")
            pairs = [(disk, self._copied(disk, undo)) for disk in self.plan()]
            undo.pop_all()
        for old, _ in pairs:
            self._modify(f"--disk={self._number(old.uuid)}:remove")
        if ours:
            self._modify("--online")
        for disk in self._disks():
            if source(disk):
                self._modify(f"--disk={disk.number}:modify,name={name_of(disk) or 'none'}")
        return pairs

    def _drop_unfinished(self) -> None:
        """Remove copies whose sources are still there: whoever made them was killed before they were whole."""
        there = {disk.uuid for disk in self._disks()}
        for disk in sorted(self._disks(), key=lambda disk: -disk.number):
            if source(disk) in there:
                self._modify(f"--disk={disk.number}:remove")

    def _copied(self, disk: Disk, undo: ExitStack) -> Disk:
        here = next(one for one in self._disks() if one.uuid == disk.uuid)
        self._modify(added(here, self._target, here.number + 1))
        copy = next((one for one in self._disks() if source(one) == disk.uuid), None)
        if copy is None:
            raise ExtError(f"instance {self.instance!r}: Ganeti has made no disk of the name {mark(disk)}")
        undo.callback(lambda: self._try(f"--disk={self._number(copy.uuid)}:remove"))
        transfer(Place(self._place(here), here.volume), Place(self._place(copy), copy.volume))
        return copy

    def _try(self, option: str) -> None:
        """Undo something; the error that makes us do so is what matters."""
        try:
            self._modify(option)
        except ExtError as err:
            warn("move", f"instance {self.instance!r}: {err}")

    def _disks(self) -> tuple[Disk, ...]:
        return self._read().of(self.instance)

    def _number(self, uuid: str) -> int:
        return next(disk.number for disk in self._disks() if disk.uuid == uuid)


def transfer(old: Place, new: Place, told: Meter | None = None) -> None:
    """Copy a volume to an empty one and compare both; no node may have either open. `told` is told how far it is."""
    with ExitStack() as undo:
        for place in (old, new):
            ctl_volumes.call(place.store, "open_", place.volume)
            undo.callback(ctl_volumes.call, place.store, "close", place.volume)
        meter = told or Meter()
        with old.opened() as one, new.opened(write=True) as two:
            what = f"{old.volume} from {old.store} to {new.store}"
            with Progress(f"copy {what}", one.size, lambda: meter.count):
                move_copy.copy(one, two, meter)
            with Progress(f"compare {what}", one.size, lambda: meter.count):
                move_copy.compare(one, two, meter)


def told(pairs: Iterable[tuple[Disk, Disk]], how: str = "equal to") -> list[dict[str, object]]:
    """A row for each disk that was moved; `how` the new one was seen to have the old one's content."""
    return [
        {
            "did": f"disk {old.number} of {old.instance} is {new.provider} volume {new.volume} now, {how}"
            f" {old.provider} volume {old.volume}, which is removed",
            "instance": old.instance,
            "disk": old.number,
            "was": {"provider": old.provider, "pool": old.pool, "volume": old.volume},
            "is": {"provider": new.provider, "pool": new.pool, "volume": new.volume},
        }
        for old, new in pairs
    ]
