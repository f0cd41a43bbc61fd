"""Images of `rbd`: the RBD images image.ID of a pool, with facts in their image-meta, and a snapshot for clones."""

from __future__ import annotations

import contextlib
import errno
import tempfile
from typing import TYPE_CHECKING

from extstorage import (
    image_content,
    image_record,
    rbd_image,
    rbd_lineage,
    rbd_making,
    rbd_meta,
    rbd_origin,
    rbd_record,
    rbd_removal,
    rbd_settings,
    rbd_volume,
)
from extstorage.found import IMAGE, SAVED, SNAPSHOT
from extstorage.image_digest import CHUNK
from extstorage.image_error import Known
from extstorage.image_place import Entry, Made, Removed
from extstorage.image_record import Record
from extstorage.move_copy import Rbd
from extstorage.rbd_image import Image
from extstorage.rbd_library import CephError
from extstorage.rbd_pool import Pool
from extstorage.warning import warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extstorage.image_place import Offer
    from extstorage.image_report import Report
    from extstorage.rbd_settings import Settings

NOTES = "ganeti-ext.image"
DIGEST = "ganeti-ext.sha256"  # beside the record, so that it can be compared without it
_VERB = (
    "create"  # what calls that are at work on a draft are called: those of the dead are cleared away as volumes' are
)


class Ceph:
    """The images of one pool."""

    MERGES = False  # an image that is there is nobody's clone: its own clones and their guests go by its data

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def has(self, ident: str) -> bool:
        with Pool(self._settings) as pool:
            return pool.has(_name(ident))

    def entries(self) -> Iterator[Entry]:
        with Pool(self._settings) as pool:
            found = [name for name in rbd_lineage.images(pool) if not name.endswith(rbd_origin.DRAFT)]
            for prefix in (rbd_settings.IMAGE, SAVED):
                for name in sorted(name for name in found if name.startswith(prefix)):
                    one = _entry(pool, name)
                    if one:
                        yield one

    def entry(self, ident: str) -> Entry | None:
        with Pool(self._settings) as pool:
            return _entry(pool, _name(ident)) if pool.has(_name(ident)) else None

    def record(self, ident: str) -> Record:
        with Pool(self._settings) as pool:
            if not pool.has(_name(ident)):
                return Record()
            with Image(pool, _name(ident), write=False) as image:
                return image_record.from_text(rbd_meta.get(image, NOTES), ident)

    def put(self, ident: str, record: Record) -> None:
        with Pool(self._settings) as pool, Image(pool, _name(ident)) as image:
            rbd_meta.put(image, NOTES, image_record.to_text(record))

    def remove(self, ident: str) -> Removed | None:
        """Clones keep the data: it is moved to the trash of RBD, from where it goes with the last of them."""
        name = rbd_settings.image_name(ident)
        with Pool(self._settings) as pool:
            try:
                with Image(pool, name, write=False) as image:
                    clones = tuple(_shown(one) for one in rbd_lineage.children(image))
            except CephError as err:
                if err.number != errno.ENOENT:
                    raise
                return None
            rbd_removal.remove(pool, name)
        return Removed(clones)

    @contextlib.contextmanager
    def opened(self, ident: str) -> Iterator[Rbd]:
        with Pool(self._settings) as pool, Image(pool, _name(ident), write=False) as image:
            yield Rbd(image)

    @contextlib.contextmanager
    def making(self, ident: str, work: str) -> Iterator[Making]:
        """What comes is put into files without a name in `work`, and into the pool when it is known to be whole."""
        if self.has(ident):
            raise Known(f"image {ident!r} exists already in pool {self._settings.pool}")
        with contextlib.ExitStack() as undo:
            yield Making(self._settings, ident, work, undo)

    def left(self) -> Iterator[str]:
        """Drafts whose makers are dead."""
        with Pool(self._settings) as pool:
            yield from _left(pool)

    def sweep(self) -> list[str]:
        done = []
        with Pool(self._settings) as pool:
            for name in list(_left(pool)):
                try:
                    _discard(pool, name)
                    done.append(name)
                except CephError as err:
                    warn("rbd", f"{name}: {err}")
        return done

    def share(self, ident: str, told: Report, *, again: bool) -> tuple[int, int] | None:
        """Its checksum is computed where none is kept: what is imported later and is the same will be a clone of it."""
        name = _name(ident)
        with Pool(self._settings) as pool:
            try:
                return _digested(pool, name, told, again=again)
            except CephError as err:
                if err.number != errno.ENOENT or pool.has(name):
                    raise
                return None  # it was removed meanwhile

    def settle(self, _told: Report) -> None:
        """An object that nobody has any more is no part of another."""


class Making:
    """A new image of a pool."""

    def __init__(self, settings: Settings, ident: str, work: str, undo: contextlib.ExitStack) -> None:
        self._settings, self._ident, self._work, self._undo = settings, ident, work, undo
        self.content = self.scratch()

    def scratch(self) -> int:
        """An empty file without a name."""
        return self._undo.enter_context(tempfile.TemporaryFile(dir=self._work, buffering=0)).fileno()

    def publish(self, offer: Offer, told: Report) -> Made:
        """The image is there, with a snapshot for its clones; the same content as another's is a clone of that."""
        name = rbd_settings.image_name(self._ident)
        draft = name + rbd_origin.DRAFT
        shared = 0

        def fill() -> rbd_record.Record:
            nonlocal shared
            if _cloned(pool, _twin(pool, offer), draft):
                shared = offer.size
            else:
                self._store(pool, draft, offer, told.begin("store", offer.size))
            with Image(pool, draft) as image:
                rbd_meta.put(image, NOTES, image_record.to_text(offer.record))
                rbd_meta.put(image, DIGEST, offer.sha256)
                image.take(rbd_origin.STANDING)
            try:
                rbd_image.rename(pool, draft, name)
            except CephError as err:
                if not pool.has(name):
                    raise
                raise Known(f"image {self._ident!r} has just been made by another") from err
            return rbd_record.Record()

        with Pool(self._settings) as pool:
            if not rbd_making.make(pool, draft, _VERB, fill):
                raise Known(f"image {self._ident!r} is being made by another call")
            with Image(pool, name, write=False) as image:
                return Made(rbd_lineage.usage(image, offer.size)[0], shared)

    def dedup(self, _offer: Offer, _told: Report) -> int:
        """Was done before anything was written."""
        return 0

    def _store(self, pool: Pool, draft: str, offer: Offer, told: Report) -> None:
        rbd_image.create(pool, draft, rbd_image.fitting(self._ident, offer.size))
        with Image(pool, draft) as image:
            disk = Rbd(image)
            for start, stop in image_content.extents(self.content):
                for offset in range(start, stop, CHUNK):
                    chunk = image_content.read(self.content, offset, min(CHUNK, stop - offset))
                    for first, last in image_content.runs(chunk):
                        disk.write(offset + first, chunk[first:last])
                    told(offset)
            disk.flush()


def _twin(pool: Pool, offer: Offer) -> str:
    """An image with the same content, by its checksum; its snapshot is what that was computed of."""
    for name in rbd_lineage.images(pool) if offer.sha256 else ():
        if name.startswith(rbd_settings.IMAGE) and not name.endswith(rbd_origin.DRAFT):
            try:
                with Image(pool, name, write=False) as image:
                    standing = rbd_origin.STANDING in [one.name for one in rbd_lineage.snapshots(image) if one.visible]
                    if standing and image.size() == offer.size and rbd_meta.get(image, DIGEST) == offer.sha256:
                        return name
            except CephError as err:
                if err.number in rbd_volume.SILENT:
                    raise
    return ""


def _cloned(pool: Pool, twin: str, draft: str) -> bool:
    """Whether the draft is a clone now; not of an image that was removed since it was found."""
    try:
        if twin:
            rbd_image.clone(pool, twin, rbd_origin.STANDING, draft)
    except CephError as err:
        if err.number != errno.ENOENT:
            raise
        return False
    return bool(twin)


def _digested(pool: Pool, name: str, told: Report, *, again: bool) -> tuple[int, int] | None:
    """Keep an image's checksum with it; its octets, or None where it is kept already."""
    with Image(pool, name, write=False) as image:
        if rbd_meta.get(image, DIGEST) and not again:
            return None
    with Image(pool, name) as image:
        image.take(rbd_origin.STANDING)
    with Image(pool, name, write=False) as image:
        image.show(rbd_origin.STANDING)
        disk = Rbd(image)
        digest = image_content.sha256(disk, told.begin("digest", disk.size))
    with Image(pool, name) as image:
        rbd_meta.put(image, DIGEST, digest)
    return disk.size, 0


def _entry(pool: Pool, name: str) -> Entry | None:
    try:
        with Image(pool, name, write=False) as image:
            size = image.size()
            kind = IMAGE if name.startswith(rbd_settings.IMAGE) else SNAPSHOT
            octets = rbd_lineage.usage(image, size)
            above = rbd_lineage.ancestor(pool, image)
            kept = image_record.from_text(rbd_meta.get(image, NOTES), name)
            origin = _shown(above) if above else None
            return Entry(_ident(name), kind, origin, size, *octets, rbd_lineage.created(image), kept)
    except CephError as err:
        if err.number in rbd_volume.SILENT:
            raise
        if pool.has(name):
            warn("rbd", str(err))  # the others are worth to be told of
        return None


def _left(pool: Pool) -> Iterator[str]:
    for name, text in sorted(pool.texts().items()):
        if name.startswith(rbd_settings.IMAGE) and name.endswith(rbd_origin.DRAFT):
            doing = rbd_record.from_text(text, name).doing
            if doing and rbd_volume.gone(pool, doing):
                yield name


def _discard(pool: Pool, name: str) -> None:
    rbd_volume.discard(pool, name, lambda: rbd_removal.remove(pool, name))


def _name(ident: str) -> str:
    """The RBD image of an image or, where there is none, of a snapshot."""
    return rbd_settings.volume_name(ident) if ident.startswith(SAVED) else rbd_settings.image_name(ident)


def _ident(name: str) -> str:
    return name.removeprefix(rbd_settings.IMAGE)


def _shown(name: str) -> str:
    return f"{IMAGE}:{_ident(name)}" if name.startswith(rbd_settings.IMAGE) else f"volume:{name}"
