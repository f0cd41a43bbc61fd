"""Give a volume the content that another has, most often its snapshot."""

from __future__ import annotations

from extstorage import rbd_image, rbd_origin, rbd_removal, rbd_volume
from extstorage.rbd_image import Image
from extstorage.rbd_library import CephError
from extstorage.rbd_origin import DRAFT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extstorage.rbd_pool import Pool
    from extstorage.rbd_record import Doing, Record


def rollback(pool: Pool, name: str, source: str, size: int) -> None:
    """Make a volume of at least `size` bytes anew, with the content of `source`. No node may have it open.

    The new image is made beside the old one, which goes last: after an error the old content is there. The record names
    the source until all is done; what is killed half-way is done again.
    """
    verb = f"{rbd_volume.ROLLBACK}{source}:{size}"
    mine, before = rbd_volume.claim(pool, name, verb, verb)
    draft, depth = name + DRAFT, before.depth
    try:
        # Without the old image, but with the new one, a call was killed when all but the name was done.
        if pool.has(name) or not pool.has(draft):
            depth = _draft(pool, source, draft, size).depth
            rbd_removal.remove(pool, name)
    except BaseException as err:
        if not (isinstance(err, CephError) and err.number in rbd_volume.SILENT):
            _give_back(pool, name, draft, mine, before)
        raise
    rbd_image.rename(pool, draft, name)
    rbd_volume.release(pool, name, mine, before._replace(doing=None, depth=depth))


def _draft(pool: Pool, source: str, draft: str, size: int) -> Record:
    rbd_volume.required(pool, source)
    with Image(pool, source, write=False) as image:
        size = max(size, image.size())
    rbd_removal.remove(pool, draft)
    return rbd_origin.from_volume(pool, source, draft, "", size)


def _give_back(pool: Pool, name: str, draft: str, mine: Doing, before: Record) -> None:
    """Undo what was begun, unless the old image has gone: then it has to be done again."""
    if pool.has(name):
        rbd_image.remove(pool, draft)
        rbd_volume.release(pool, name, mine, before._replace(doing=None))
