"""Removal of an RBD image that is in nobody's use, though the dead may seem to use it."""

from __future__ import annotations

import errno

from extstorage import rbd_fence, rbd_image, rbd_lineage
from extstorage.rbd_image import Image
from extstorage.rbd_library import CephError
from extstorage.rbd_origin import STANDING
from extstorage.rbd_volume import REFUSED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extstorage.rbd_pool import Pool


def remove(pool: Pool, name: str) -> None:
    """Success when there is none; an error while a client that lives has it open, or when it has others' snapshots."""
    try:
        rbd_image.remove(pool, name)
    except CephError as err:
        if err.number not in REFUSED:
            raise
        _clear(pool, name, err)
        rbd_image.remove(pool, name)


def _clear(pool: Pool, name: str, err: CephError) -> None:
    """Take away what keeps an image from being removed, if that is dead: clients, and snapshots of killed calls."""
    with Image(pool, name, write=False) as image:
        left = [one.name for one in rbd_lineage.snapshots(image) if one.visible]
    foreign = [text for text in left if not text.startswith(STANDING)]
    if foreign:
        raise CephError(f"volume {name!r} has snapshots of RBD ({', '.join(foreign)}): remove them first", err.number)
    if err.number == errno.EBUSY:
        rbd_fence.fence(pool, name, others=False)
    if left:
        with Image(pool, name) as image:
            for text in left:
                image.drop(text)
