"""Removal of an RBD image that is in nobody's use, though the dead may seem to use it."""

from __future__ import annotations

import errno
import time

from extstorage import rbd_fence, rbd_image, rbd_lineage, rbd_volume
from extstorage.rbd_image import Image
from extstorage.rbd_library import CephError
from extstorage.rbd_origin import STANDING, target
from extstorage.rbd_volume import REFUSED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extstorage.rbd_pool import Pool


PATIENCE = 3.0  # seconds that calls of ours which have it open may take to end
PAUSE = 0.05


def remove(pool: Pool, name: str) -> None:
    """Success when there is none; an error while a client that lives has it open, or when it has others' snapshots."""
    rbd_fence.fence(pool, name, others=False)  # RBD waits half a minute for the lock of a dead client
    end = time.monotonic() + PATIENCE
    while True:
        try:
            rbd_image.remove(pool, name)
        except CephError as err:
            if err.number not in REFUSED:
                raise
            reason = _obstacle(pool, name)
            if reason and time.monotonic() > end:
                raise CephError(f"volume {name!r} {reason}", err.number) from err
        else:
            return
        time.sleep(PAUSE)


def _obstacle(pool: Pool, name: str) -> str:
    """Why an image cannot be removed yet; an empty text when it was only what the dead left, which is cleared away."""
    try:
        with Image(pool, name, write=False) as image:
            clients = [address for address, _, _ in rbd_fence.watchers(image)]
            left = [one.name for one in rbd_lineage.snapshots(image) if one.visible]
    except CephError as err:
        if err.number != errno.ENOENT:
            raise
        return ""
    foreign = [text for text in left if not text.startswith(STANDING)]
    if foreign:
        return f"has snapshots of RBD, made by others: {', '.join(foreign)}; remove them first"
    if clients:
        return f"is open in the Ceph client {', '.join(clients)}"
    working = [text for text in left if _working(pool, text)]
    if working:
        return f"is the origin of a volume in the making: {', '.join(working)}"
    if left:
        with Image(pool, name) as image:
            for text in left:
                image.drop(text)
    return ""


def _working(pool: Pool, snapshot: str) -> bool:
    """Whether the call that made a passing snapshot is alive."""
    name = target(snapshot)
    doing = rbd_volume.record(pool, name).doing if name else None
    return doing is not None and not rbd_volume.gone(pool, doing)
