"""Volumes are made whole or not at all: what was begun is undone, by us or, if we are killed, by the next."""

from __future__ import annotations

from extstorage import rbd_image, rbd_process, rbd_removal, rbd_volume
from extstorage.rbd_library import CephError
from extstorage.rbd_record import Record
from extstorage.warning import warn
from ganeti_ext.errors import ExtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from extstorage.rbd_pool import Pool
    from extstorage.rbd_record import Doing


def make(pool: Pool, name: str, verb: str, fill: Callable[[], Record]) -> bool:
    """Make a volume by `fill`, which returns its record; False, and nothing done, when there is one of that name.

    While it is at work the record says so; whoever is killed leaves that to see. On an error nothing is left.
    """
    mine = rbd_process.doing(verb, pool.settings.this())
    before = rbd_volume.begin(pool, name, mine)
    half = before.doing is not None and before.doing.verb in rbd_volume.WORTHLESS
    if not half and pool.has(name):
        rbd_volume.release(pool, name, mine, before)
        return False
    try:
        if half:
            rbd_removal.remove(pool, name)  # who began it may be dead and still seem to have it open
        new = fill()
    except BaseException as err:
        _undo(pool, name, mine, err)
        raise
    rbd_volume.release(pool, name, mine, new)
    return True


def _undo(pool: Pool, name: str, mine: Doing, err: BaseException) -> None:
    if isinstance(err, CephError) and err.number in rbd_volume.SILENT:
        return  # to ask again would only take as long again; the record says what is left
    try:
        rbd_image.remove(pool, name)
        rbd_volume.release(pool, name, mine, Record())
    except ExtError as second:
        warn("rbd", f"what was begun could not be undone: {second}")
