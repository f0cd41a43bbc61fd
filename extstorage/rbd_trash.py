"""RBD's trash, where images that were removed wait for the last of their clones."""

from __future__ import annotations

import errno
from ctypes import Structure, byref, c_char_p, c_int, c_int64, c_size_t

from extstorage import rbd_lineage
from extstorage.rbd_image import Image
from extstorage.rbd_library import CephError, checked, rbd
from ganeti_ext.named import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extstorage.rbd_pool import Pool

_PARENT = 4  # RBD_TRASH_IMAGE_SOURCE_USER_PARENT: removed while it had clones


class Waiting(NamedTuple):
    """A removed image and the images that still need it."""

    id: str
    name: str
    children: list[str]


class _Entry(Structure):
    """rbd_trash_image_info_t."""

    _fields_ = (
        ("id", c_char_p),
        ("name", c_char_p),
        ("source", c_int),
        ("deletion_time", c_int64),
        ("deferment_end_time", c_int64),
    )


def waiting(pool: Pool) -> list[Waiting]:
    """Not what an administrator put there by `rbd trash move`."""
    count = c_size_t(64)
    while True:
        found = (_Entry * count.value)()
        code = rbd().rbd_trash_list(pool.io, found, byref(count))
        if checked(code, f"trash of pool {pool.name!r}", {errno.ERANGE}) >= 0:
            break
    entries = [(one.id.decode(), one.name.decode()) for one in found[: count.value] if one.source == _PARENT]
    rbd().rbd_trash_list_cleanup(found, count)
    return [Waiting(*entry, _children(pool, entry[0])) for entry in entries]


def purge(pool: Pool, identity: str) -> None:
    """Remove for good; success when it has gone meanwhile."""
    code = rbd().rbd_trash_remove(pool.io, identity.encode(), True)
    checked(code, f"image {identity} in the trash of pool {pool.name!r}", {errno.ENOENT})


def _children(pool: Pool, identity: str) -> list[str]:
    try:
        with Image(pool, identity, write=False, by_id=True) as image:
            return rbd_lineage.children(image)
    except CephError as err:
        if err.number != errno.ENOENT:
            raise
        return []
