"""A disk copied into another store, as a snapshot there, that Ganeti can make the disk anew from in one job.

The copy has another name until all of it is seen to be equal: what is called as the job asks for it is whole, also when
Ganeti does not wait for this hook any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from extstorage import ctl_volumes, move
from extstorage.copying import Copying
from extstorage.found import SAVED
from extstorage.move_copy import Meter, Place
from extstorage.size import MIB
from ganeti_ext.errors import ExtError

if TYPE_CHECKING:
    from extstorage import image_snapshot
    from extstorage.inventory import Store

DRAFT = "copying-"
# Seconds. Ganeti waits 900 for a hook (constants.RPC_TMO_NORMAL), and then goes on as if there were none.
LIMIT = 840.0


class _Timed(Meter):
    """Tells eventd how far the copy is, and ends it when its time is over."""

    def __init__(self, told: Copying, total: int, limit: float, clock: Callable[[], float]) -> None:
        self._told, self._total, self._limit, self._clock = told, total, limit, clock
        self._until = clock() + limit
        self._count = 0

    @property
    def count(self) -> int:
        return self._count

    @count.setter
    def count(self, value: int) -> None:
        self._count = value
        self._told(min(value, self._total), self._total)
        if self._clock() > self._until:
            raise ExtError(
                f"after {self._limit:g} s only {value} of {self._total} bytes are copied or compared, and Ganeti waits"
                " no longer for a hook; an administrator can move it: ganeti-ext-storage migrate"
            )


def copy(
    place: image_snapshot.Place,
    source: tuple[str, str],
    target: tuple[str, str],
    ident: str,
    instance: str,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Copy a disk, (provider, volume), into a store, (provider, pool), as the snapshot saved-ID of that store.

    ExtError when a node has the disk open; nothing stays of a copy that failed.
    """
    provider, volume = source
    old, new = place.where(provider, volume), place.store(*target)
    name, draft = SAVED + ident, DRAFT + ident
    if old == new or new.kind.has(new.settings, name):  # the tag is of a job that has ended
        return
    _clear(new, draft)
    with Place(old, volume).opened() as content:
        size = content.size
    ctl_volumes.call(new, "create", draft, -(-size // MIB))
    try:
        meter = _Timed(Copying(instance, None), size, LIMIT, clock)
        move.transfer(Place(old, volume), Place(new, draft), meter)
        new.kind.admin.snapshot(new.settings, draft, name)
    finally:
        _clear(new, draft)


def _clear(store: Store, name: str) -> None:
    if store.kind.has(store.settings, name):
        store.kind.admin.remove(store.settings, name)
