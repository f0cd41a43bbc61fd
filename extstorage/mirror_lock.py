"""The lock of a volume whose disk moves to another store: MOVING while QEMU copies it, MOVED from then on (lock.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extstorage import ctl_volumes, lock, lockfile, rbd_volume
from extstorage.rbd_pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from extstorage.inventory import Store
    from extstorage.layout import Settings
    from extstorage.lock import Holder
    from extstorage.move_copy import Place
    from extstorage.rbd_settings import Settings as RbdSettings

    Holders = tuple[Holder, ...]
    Alter = Callable[[Holders], Holders]


def mark(place: Place, mode: str) -> None:
    """Let this node have the volume, alone and in that mode; Held when another node has a part."""
    mine = ctl_volumes.this(place.store).holder(exclusive=True)._replace(mode=mode)
    _change(place, lambda before: lock.marked(place.volume, before, mine))


def unmark(place: Place) -> None:
    """Let this node's part, if it has one, be an exclusive one again."""
    node = ctl_volumes.this(place.store).name
    _change(place, lambda before: lock.unmarked(before, node))


def free(place: Place) -> None:
    """Nobody has the volume: what says that it may not be opened is no longer true."""
    _change(place, lambda before: tuple(holder for holder in before if holder.mode != lock.MOVED))


def moved(place: Place) -> bool:
    """Whether the volume is no longer the disk that Ganeti's configuration has it for."""
    return any(
        holder.mode == lock.MOVED for holder in _HOLDERS[place.store.provider](place.store.settings, place.volume)
    )


def _change(place: Place, alter: Alter) -> None:
    _CHANGES[place.store.provider](place.store, place.volume, alter)


def _cow_change(store: Store, volume: str, alter: Alter) -> None:
    settings: Settings = store.settings
    with settings.hint(volume):
        lockfile.change(settings.locks(volume), ctl_volumes.this(store).name, alter)


def _rbd_change(store: Store, volume: str, alter: Alter) -> None:
    with Pool(store.settings) as pool:
        rbd_volume.change(pool, volume, lambda found: found._replace(holders=alter(found.holders)))


def _cow_holders(settings: Settings, volume: str) -> Holders:
    return lockfile.holders(settings.locks(volume))


def _rbd_holders(settings: RbdSettings, volume: str) -> Holders:
    with Pool(settings) as pool:
        return rbd_volume.record(pool, volume).holders


_CHANGES: Mapping[str, Callable[[Store, str, Alter], None]] = {"cow": _cow_change, "rbd": _rbd_change}
_HOLDERS: Mapping[str, Callable[[Any, str], Holders]] = {"cow": _cow_holders, "rbd": _rbd_holders}
