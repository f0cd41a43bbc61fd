"""Give a running instance's disks to another provider, or to another pool, one after the other.

The order, of each disk; `old` is its disk in Ganeti's configuration, `new` the one that takes its place:

    add       gnt-instance modify --disk=N:add, an empty one behind all, whose name says whose copy it is
    detach    gnt-instance modify --disk=N:detach: an instance that is started anew must not see half a copy
    mirror    on the instance's node (mirror_node.py): QEMU copies old to new, then new takes its place
    attach    gnt-instance modify --disk=N:attach,uuid=..., in front of old
    remove    gnt-instance modify --disk=N+1:remove, old. Ganeti removes disks of instances that are up only with
              hotplug (_VerifyDiskModification); its HotDelDevice finds no such disk in the runtime file, says so in a
              warning, and goes on
    activate  gnt-instance activate-disks: attach has let the link of disk 0 lead to new, whatever its number
              (AssembleInstanceDisks counts the disks that it is given)
    rename    the new disk gets the old one's name

Which of the two is the true one is seen by old's lock (mirror_lock.py). Until it is MOVED, old is: an error undoes all,
and the same command again begins anew. From then on new is, an instance cannot be started from old, and the same
command again goes on. No job takes a disk's UUID along to another provider (--disk=N:modify refuses `provider`,
recreate-disks wants the instance stopped), so the new disk has one of its own: see mirror.py for what that means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from extstorage import mirror_lock
from extstorage.mirror_qemu import Pair
from extstorage.move import DOWN, Target, added, is_there, name_of, source
from extstorage.move_copy import Place
from extstorage.warning import warn
from ganeti_ext.errors import ExtError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from extstorage.inventory import Store
    from extstorage.inventory_ganeti import Configuration, Disk

    Pairs = list[tuple[Disk, Disk]]

RUN, DROP = "run", "drop"
ROUND = 4  # MiB (Ganeti's utils.ParseUnit)


class Jobs(Protocol):
    """Ganeti's jobs on one instance."""

    def modify(self, option: str, *, hotplug: bool = False) -> object:
        """gnt-instance modify."""

    def activate(self) -> object:
        """gnt-instance activate-disks."""

    def grow(self, number: int, size: int) -> object:
        """gnt-instance grow-disk, to so many MiB."""


class LiveMove:
    """One instance's move. `ask` has RUN or DROP done on a node, `read` gives Ganeti's configuration as it is now."""

    def __init__(
        self,
        instance: str,
        target: Target,
        place: Callable[[Disk], Store],
        jobs: Jobs,
        read: Callable[[], Configuration],
        ask: Callable[[str, str, Pair], dict[str, Any]],
    ) -> None:
        self.instance, self._target = instance, target
        self._place, self._jobs, self._read, self._ask = place, jobs, read, ask

    def plan(self) -> list[Disk]:
        """The disks that are to be moved."""
        return [disk for disk in self._disks() if not source(disk) and not is_there(self._target.store, disk)]

    def run(self) -> Pairs:
        """Move; returns each disk that was, with the one in its place."""
        self._end()
        return [self._moved(disk.uuid) for disk in self.plan()]

    def settle(self) -> Pairs:
        """End or undo, of an instance that is stopped now, what was begun while it ran."""
        pairs = []
        for disk in self._disks():
            copy = self._copy(disk)
            if copy is None:
                continue
            if self._is_moved(disk):
                pairs.append(self._switched(disk, copy))
            elif not copy.instance:
                mirror_lock.free(self._at(copy))
                self._remove(copy)
        return pairs

    def _moved(self, uuid: str) -> tuple[Disk, Disk]:
        old = self._disk(uuid)
        copy = self._copy(old) or self._added(old)
        if copy.instance and not self._is_moved(old):
            self._jobs.modify(f"--disk={copy.number}:detach")
        try:
            self._ask(RUN, old.node, Pair(old, copy))
        except (ExtError, OSError, KeyboardInterrupt) as err:
            self._recover(old, copy, err)
            raise
        return self._switched(old, copy)

    def _recover(self, old: Disk, copy: Disk, why: BaseException) -> None:
        """After an error on the node: remove the copy, unless it is the true disk by now."""
        try:
            moved = self._is_moved(old)
        except (ExtError, OSError) as err:
            self._tell_copy(old, copy, f"({err}) the same command again")
            return
        if moved:
            raise ExtError(
                f"{why}; disk {old.number} of instance {self.instance!r} has moved, but Ganeti does not know that: say"
                " the same again, or, if the instance does not run, after gnt-instance shutdown"
            ) from why
        self._drop(old, copy)

    def _added(self, old: Disk) -> Disk:
        if old.size % ROUND:
            wanted = old.size + ROUND - old.size % ROUND
            raise ExtError(
                f"disk {old.number} of instance {self.instance!r} has {old.size} MiB, of which gnt-instance would make"
                f" {wanted}, and QEMU mirrors to a disk of the same size alone: gnt-instance grow-disk --absolute"
                f" {self.instance} {old.number} {wanted}M, or stop the instance"
            )
        self._jobs.modify(added(old, self._target, len(self._disks())))
        copy = self._copy(old)
        if copy is None:
            raise ExtError(f"instance {self.instance!r}: Ganeti has made no copy of disk {old.number}")
        return copy

    def _switched(self, old: Disk, copy: Disk) -> tuple[Disk, Disk]:
        """Let Ganeti have the new disk in the old one's place."""
        where = self._at(old)
        if not copy.instance or not self._find(copy.uuid).instance:
            self._jobs.modify(f"--disk={self._disk(old.uuid).number}:attach,uuid={copy.uuid}")
        size = self._disk(old.uuid).size
        self._jobs.modify(f"--disk={self._disk(old.uuid).number}:remove", hotplug=True)
        self._end()
        new = self._disk(copy.uuid)
        if size > new.size:  # it was grown meanwhile, which QEMU does not let a guest know of a disk that is mirrored
            self._jobs.grow(new.number, size)
        if where.store.kind.has(where.store.settings, where.volume):
            warn("move", f"volume {where.volume!r} stays in {where.store}, though its disk is removed; see verify")
        return old, new

    def _drop(self, old: Disk, copy: Disk) -> None:
        """Remove a copy that is not wanted any more; the error that makes us do so is what matters."""
        try:
            runs = self._ask(DROP, old.node, Pair(old, copy))["runs"]
            if runs or not self._up():
                self._remove(copy)
                return
            todo = f"gnt-instance shutdown {self.instance}, and the same command again"
        except (ExtError, OSError) as err:
            todo = f"({err}) the same command again"
        self._tell_copy(old, copy, todo)

    def _tell_copy(self, old: Disk, copy: Disk, todo: str) -> None:
        words = f"the copy of disk {old.number} of instance {self.instance!r} stays as the detached disk {copy.uuid}"
        warn("move", f"{words}, until: {todo}")

    def _remove(self, copy: Disk) -> None:
        """Ganeti removes disks of instances alone."""
        if not self._find(copy.uuid).instance:
            self._jobs.modify(f"--disk={len(self._disks())}:attach,uuid={copy.uuid}")
        self._jobs.modify(f"--disk={self._disk(copy.uuid).number}:remove", hotplug=True)
        if self._up():
            self._jobs.activate()

    def _end(self) -> None:
        """What is left to do for a disk when the old one is removed."""
        there = {disk.uuid for disk in self._disks()}
        for disk in self._disks():
            if source(disk) and source(disk) not in there:
                if self._up():
                    self._jobs.activate()
                self._jobs.modify(f"--disk={disk.number}:modify,name={name_of(disk) or 'none'}")

    def _copy(self, old: Disk) -> Disk | None:
        return next((disk for disk in self._read().disks if source(disk) == old.uuid), None)

    def _find(self, uuid: str) -> Disk:
        found = next((disk for disk in self._read().disks if disk.uuid == uuid), None)
        if found is None:
            raise ExtError(f"instance {self.instance!r}: its disk {uuid} was removed meanwhile")
        return found

    def _disk(self, uuid: str) -> Disk:
        found = self._find(uuid)
        if found.instance != self.instance:
            raise ExtError(f"instance {self.instance!r}: its disk {uuid} was detached meanwhile")
        return found

    def _disks(self) -> tuple[Disk, ...]:
        return self._read().of(self.instance)

    def _up(self) -> bool:
        return self._read().states[self.instance] not in (DOWN, "offline")

    def _is_moved(self, old: Disk) -> bool:
        return mirror_lock.moved(self._at(old))

    def _at(self, disk: Disk) -> Place:
        return Place(self._place(disk), disk.volume)
