"""Give a volume the content that another has, most often its snapshot."""

from __future__ import annotations

from extstorage import rbd_origin, rbd_removal, rbd_volume
from extstorage.rbd_image import Image
from extstorage.rbd_library import CephError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extstorage.rbd_pool import Pool
    from extstorage.rbd_record import Doing, Record


def rollback(pool: Pool, name: str, source: str, size: int) -> None:
    """Make a volume of at least `size` bytes anew, with the content of `source`. No node may have it open.

    The record names the source until it is done: what is killed half-way, with the old content gone, is done again.
    """
    verb = f"{rbd_volume.ROLLBACK}{source}:{size}"
    mine, before = rbd_volume.claim(pool, name, verb, verb)
    try:
        rbd_volume.required(pool, source)
        with Image(pool, source, write=False) as image:
            size = max(size, image.size())
        rbd_removal.remove(pool, name)
    except CephError as err:
        if err.number not in rbd_volume.SILENT:
            _give_back(pool, name, mine, before)
        raise
    except BaseException:
        _give_back(pool, name, mine, before)
        raise
    new = rbd_origin.from_volume(pool, source, name, before.kind, size)
    rbd_volume.release(pool, name, mine, new)


def _give_back(pool: Pool, name: str, mine: Doing, before: Record) -> None:
    """Nothing was done yet, unless the volume has gone: then it has to be done again."""
    if pool.has(name):
        rbd_volume.release(pool, name, mine, before._replace(doing=None))
