"""Move a running instance's disk, the part on its node: two volumes, QEMU, Ganeti's runtime file.

    old is MOVING       nobody migrates the instance meanwhile
    new is open         by its provider's verbs, as Ganeti would do
    mirror              blockdev-add, blockdev-mirror; when both are equal each write goes to both
    pivot               the guest stands still: old is MOVED, the runtime file names new, QEMU uses it
    settle              QEMU lets go the old one

Before the pivot an error, and the death of whoever asked, undoes all. An instance whose QEMU ends then is started from
the old disk. From the pivot on the old disk is not to be opened, and the same call goes on. Ganeti's link for a device
is made anew, too: a reboot and a migration go by the runtime file.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import TYPE_CHECKING

from extstorage import lock, mirror, mirror_lock, mirror_qemu
from extstorage.mirror_guard import Guard
from extstorage.move_copy import Meter, Place
from extstorage.tell_progress import Progress
from extstorage.warning import warn
from ganeti_ext.errors import ExtError
from ganeti_ext.files import remove, replace, taken
from ganeti_ext.qemusocket import listens
from ganeti_ext.volenv import Volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from extstorage.inventory import Store
    from extstorage.inventory_ganeti import Disk, Ganeti
    from extstorage.mirror_qemu import Pair
    from ganeti_ext.qemusocket import Monitor

GUARDED = 10.0  # seconds that the guard of a killed call may need yet


class Mirror:
    """One disk's. `place` tells the store of a disk, `wanted` whether whoever asked is there yet."""

    def __init__(
        self, ganeti: Ganeti, pair: Pair, place: Callable[[Disk], Store], wanted: Callable[[], bool] = lambda: True
    ) -> None:
        self._ganeti, self._pair, self._wanted = ganeti, pair, wanted
        self._instance = pair.old.instance
        self._old = Place(place(pair.old), pair.old.volume)
        self._new = Place(place(pair.new), pair.new.volume)
        self._qmp = ganeti.socket(self._instance, "qmp")
        self._conf = f"{ganeti.run}/conf/{self._instance}.runtime"
        self._told = ("", "")
        self._kept = f"{os.path.dirname(ganeti.run)}/.ganeti-ext-{self._instance}.disk"

    def run(self) -> None:
        """Let the guest have the new disk instead of the old one; what an earlier call has done is gone on with."""
        pair = self._pair = self._pair._replace(new=mirror.with_access(self._runtime(), *self._pair))
        with alone(self._ganeti, self._instance, "mirror", GUARDED):
            with self._qemu() as qemu:
                found = mirror_qemu.state(qemu, pair)
                stands = mirror_qemu.stands(qemu, pair)
                if stands and not found:
                    self._withdraw()
                    qemu.ask("cont")
            try:
                if found != mirror_qemu.DONE:
                    self._copied(begun=found == mirror_qemu.GOING)
                self._told = mirror.answered(self._verb("attach") or "")
                with Guard(lambda: self._pivot(stands=stands and bool(found))) as guard:
                    guard.work()
            except (ExtError, OSError, KeyboardInterrupt):
                with _told():
                    if not mirror_lock.moved(self._old):
                        self._undo()
                raise
            with self._qemu() as qemu:
                mirror_qemu.settle(qemu, pair)
            remove(self._kept)

    def drop(self) -> bool:
        """Let the new disk be fit for a removal: nobody may open it any more. Tells whether a QEMU runs."""
        with alone(self._ganeti, self._instance, "mirror", mirror_qemu.OPENED):
            if mirror_lock.moved(self._old):
                raise ExtError(
                    f"disk {self._pair.old.number} of instance {self._instance!r} has moved: nothing to undo"
                )
            runs = self._undo()
            mirror_lock.mark(self._new, lock.MOVED)
            return runs

    def _copied(self, *, begun: bool) -> None:
        """Make both disks equal, and let them stay so."""
        pair = self._pair
        if not begun:
            with self._qemu() as qemu:
                mirror_qemu.settle(qemu, pair)
            mirror_lock.mark(self._old, lock.MOVING)
            mirror_lock.free(self._new)
            self._verb("open_")
            self._begin(*mirror.answered(self._verb("attach") or ""))
        meter = Meter()
        what = f"mirror {pair.old.volume} from {self._old.store} to {self._new.store}"
        with Progress(what, pair.old.size << 20, lambda: meter.count):
            mirror_qemu.follow(self._qmp, pair, meter, self._wanted)

    def _begin(self, device: str, uri: str) -> None:
        access = self._pair.new.params["access"]
        if not (uri if access == "userspace" else device):
            raise ExtError(f"volume {self._new.volume!r} in {self._new.store} has no access={access}; -p says another")
        hvparams = self._runtime()[mirror.HVPARAMS]
        below = mirror.protocol(device, uri, hvparams.get("disk_aio", "threads"))
        tree = mirror.tree(self._pair.new, below)
        with contextlib.ExitStack() as close:
            fd = None if uri else os.open(device, os.O_RDWR | os.O_DIRECT | os.O_CLOEXEC)
            if fd is not None:
                close.callback(os.close, fd)
            qemu = close.enter_context(self._qemu())
            mirror_qemu.begin(qemu, self._pair, tree, fd)

    def _pivot(self, *, stands: bool) -> None:
        mirror_qemu.pivot(self._qmp, self._pair, self._note, self._withdraw, stands=stands)

    def _note(self) -> None:
        """The new disk is the true one, whatever happens from now on."""
        device, uri = self._told
        mirror_lock.mark(self._old, lock.MOVED)
        runtime = self._runtime()
        kept = mirror.entry(runtime, self._pair.old)
        if kept is None:
            return
        replace(self._kept, json.dumps(kept))
        link = f"{os.path.dirname(self._ganeti.run)}/instance-disks/{self._instance}:{self._pair.old.number}"
        if device:
            _link(device, link)
        self._write(mirror.exchanged(runtime, *self._pair, link, uri))

    def _withdraw(self) -> None:
        """The old disk is the true one yet."""
        with contextlib.suppress(FileNotFoundError), open(self._kept, encoding="utf-8") as file:
            kept = json.load(file)
            self._write(mirror.withdrawn(self._runtime(), kept, self._pair.new))
            if kept[1]:
                device = mirror.answered(_verb(self._old, "attach", kept[0].get("params", {})) or "")[0]
                _link(device, kept[1])
        mirror_lock.mark(self._old, lock.MOVING)
        remove(self._kept)

    def _undo(self) -> bool:
        """Leave nothing of the new disk in QEMU nor on this node; tells whether a QEMU runs."""
        runs = listens(self._qmp)
        if runs:
            with _told(), self._qemu() as qemu:
                mirror_qemu.cancel(qemu, self._pair)
        with _told():
            mirror_lock.unmark(self._old)
        with _told():
            self._verb("detach")
        return runs

    def _verb(self, verb: str) -> str | None:
        """A verb of the new volume's provider, as Ganeti calls it for this disk."""
        return _verb(self._new, verb, self._pair.new.params)

    def _qemu(self) -> Monitor:
        return mirror_qemu.connected(self._qmp)

    def _runtime(self) -> list[Any]:
        try:
            with open(self._conf, encoding="utf-8") as file:
                return mirror.parsed(file.read(), self._conf)
        except FileNotFoundError:
            raise ExtError(f"instance {self._instance!r} does not run on this node") from None

    def _write(self, runtime: list[Any]) -> None:
        replace(self._conf, json.dumps(runtime), mode=os.stat(self._conf).st_mode & 0o777)


@contextlib.contextmanager
def alone(ganeti: Ganeti, instance: str, what: str, patience: float = 0) -> Iterator[int]:
    """Nobody else on this node does that to the instance meanwhile; ExtError when somebody does for so many seconds.

    Gives the open file that is locked: a child that has it, too, goes on being alone if we die.
    """
    path = f"{os.path.dirname(ganeti.run)}/.ganeti-ext-{instance}.{what}"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    end = time.monotonic() + patience
    try:
        while not taken(fd):
            if time.monotonic() >= end:
                raise ExtError(f"disks of instance {instance!r} are being moved already: wait for the end of that")
            time.sleep(0.1)
        yield fd
    finally:
        os.close(fd)


def _verb(place: Place, verb: str, params: dict[str, str]) -> str | None:
    volume = Volume(place.volume, None, None, None, None, True, params)
    reply: str | None = getattr(place.store.kind.verbs, verb)(place.store.settings, volume)
    return reply


def _link(device: str, path: str) -> None:
    """Let a symbolic link lead to a device, from one moment to the next."""
    draft = f"{path}.{os.getpid()}"
    remove(draft)
    os.symlink(device, draft)
    os.rename(draft, path)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Another error is why this is done, and matters more."""
    try:
        yield
    except (ExtError, OSError) as err:
        warn("mirror", str(err))
