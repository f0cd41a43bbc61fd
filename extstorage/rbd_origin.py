"""What a new volume is filled with: nothing, an image, or another volume as it is at this moment."""

from __future__ import annotations

import errno

from extstorage import rbd_device, rbd_image, rbd_volume
from extstorage.found import IMAGE, SNAPSHOT, VOLUME
from extstorage.rbd_image import Image
from extstorage.rbd_library import CephError
from extstorage.rbd_record import Record
from extstorage.rbd_settings import image_name, volume_name
from extstorage.size import MIB
from extstorage.warning import warn
from ganeti_ext.errors import ExtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extstorage.origin import Origin
    from extstorage.rbd_pool import Pool

STANDING = "ganeti-ext"  # the snapshot of an image that all its clones share
PASSING = "ganeti-ext."  # and how those of volumes begin, which last as long as the call
DRAFT = "~"  # how the images end that take a volume's place when they are done; no volume's name may have it


def resolve(pool: Pool, origin: Origin) -> tuple[str, bool]:
    """The RBD image that an origin names, and whether it is an image of ours (which nobody writes)."""
    if origin.kind in ("", IMAGE):
        name = image_name(origin.name)
        if pool.has(name):
            return name, True
        if origin.kind:
            raise ExtError(f"origin {str(origin)!r} does not exist: there is no RBD image {pool.name}/{name}")
    name = volume_name(origin.name)
    found = rbd_volume.record(pool, name)  # asked for before the image: what is removed loses the image first
    if not pool.has(name):
        missing = f"{image_name(origin.name)} or {name}" if not origin.kind else name
        raise ExtError(f"origin {str(origin)!r} does not exist: there is no RBD image {missing} in pool {pool.name}")
    if origin.kind == SNAPSHOT and found.kind != SNAPSHOT:
        rbd_volume.whole(pool, name, found)  # of one in the making no kind is known yet
        raise ExtError(f"origin {str(origin)!r} is a volume, no snapshot; say volume:{origin.name}")
    return name, False


def fill(pool: Pool, origin: Origin, name: str, size: int) -> Record:
    """Make the image of a new volume of `size` bytes, with the content of an origin."""
    source, image = resolve(pool, origin)
    try:
        return from_image(pool, source, name, size) if image else from_volume(pool, source, name, VOLUME, size)
    except CephError as err:
        raise CephError(f"origin {str(origin)!r}: {err}", err.number) from err
    except ExtError as err:
        raise ExtError(f"origin {str(origin)!r}: {err}") from err


def from_image(pool: Pool, source: str, name: str, size: int) -> Record:
    """Clone an image, which has a snapshot for it since its first clone."""
    try:
        rbd_image.clone(pool, source, STANDING, name)
    except CephError as err:
        if err.number != errno.ENOENT:
            raise
        rbd_image.try_to_create(pool, name)
        with Image(pool, source) as image:
            image.take(STANDING)
        rbd_image.clone(pool, source, STANDING, name)
    found = pool.size(name)
    if found > size:
        raise _too_long(source, found, size)
    if found < size:
        with Image(pool, name) as image:
            image.grow(size)
    return Record(VOLUME, 1)


def from_volume(pool: Pool, source: str, name: str, kind: str, size: int | None = None) -> Record:
    """Clone a volume as it is at this moment. Its snapshot is out of sight at once, and gone with its last clone."""
    depth = rbd_volume.required(pool, source).depth + 1
    rbd_device.flush(pool.settings, source)
    passing = PASSING + name
    with Image(pool, source) as parent:
        found = parent.size()
        if size is not None and found > size:
            raise _too_long(source, found, size)
        try:
            parent.take(passing, again=True)
            rbd_image.clone(pool, source, passing, name)
        except CephError as err:
            if err.number not in rbd_volume.SILENT:
                parent.drop(passing)
            if err.number == errno.ENOENT:
                rbd_image.try_to_create(pool, name)
            raise
        parent.drop(passing)
    if size is not None and found < size:
        with Image(pool, name) as image:
            image.grow(size)
    if depth > pool.settings.depth:
        warn("rbd", deep(name, depth))
    return Record(kind, depth)


def target(snapshot: str) -> str:
    """The volume that a passing snapshot was made for, or an empty text for another snapshot."""
    return snapshot.removeprefix(PASSING).removesuffix(DRAFT) if snapshot.startswith(PASSING) else ""


def deep(name: str, depth: int) -> str:
    """A warning."""
    name = name.removesuffix(DRAFT)
    return (
        f"volume {name!r} is {depth} clones away from data of its own, each of which slows it and its clones;"
        f" run: ganeti-ext-storage flatten --provider=rbd {name}"
    )


def _too_long(source: str, found: int, size: int) -> ExtError:
    return ExtError(f"{source} has {found} bytes: more than the {size} ({size // MIB} MiB) asked for")
