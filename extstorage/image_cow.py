"""Images of `cow`: files in the directory images, each with a file of facts beside it."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, NamedTuple

from extstorage import draft, image_dedup, image_draft, image_record, layout, usage, volumefile
from extstorage.found import IMAGE, SAVED, SNAPSHOT
from extstorage.image_error import Known
from extstorage.image_place import Entry, Made, Removed
from extstorage.layout import FILE, SUBVOLUME, in_subvolume
from extstorage.warning import warn
from ganeti_ext import files
from ganeti_ext.errors import ExtError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extstorage.image_place import Offer
    from extstorage.image_record import Record
    from extstorage.image_report import Report
    from extstorage.layout import Settings

NOTES = ".json"
_OLD = 3600.0  # seconds after which facts without an image are nobody's who is about to make it


class Cow:
    """The images of one directory."""

    MERGES = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.folder = f"{settings.directory}/images"

    def path(self, ident: str) -> str | None:
        """The file of an image, or of a snapshot that is one; None without it."""
        file = self._settings.image(ident)
        found = next((path for path in (file, in_subvolume(file)) if os.path.isfile(path)), None)
        if found or not ident.startswith(SAVED) or len(ident) > layout.NAME_MAX:
            return found
        return layout.existing(self._settings, ident)

    def has(self, ident: str) -> bool:
        return self.path(ident) is not None

    def entries(self) -> Iterator[Entry]:
        """Images, then snapshots that are."""
        for name in self._names():
            yield from self._entry(name, IMAGE)
        for name in volumefile.names(self._settings):
            if name.startswith(SAVED):
                yield from self._entry(name, SNAPSHOT)

    def entry(self, ident: str) -> Entry | None:
        kind = SNAPSHOT if ident not in self._names() else IMAGE
        return next(self._entry(ident, kind), None)

    def record(self, ident: str) -> Record:
        try:
            with open(self.notes(ident), encoding="utf-8") as file:
                return image_record.from_text(file.read(), ident)
        except FileNotFoundError:
            return image_record.Record()

    def put(self, ident: str, record: Record) -> None:
        files.replace(self.notes(ident), image_record.to_text(record))

    def remove(self, ident: str) -> Removed | None:
        """Delete an image at once; disks that are clones of it stay whole. None when there was none."""
        path = self.path(ident)
        if path is None or not path.startswith(f"{self.folder}/"):
            self._forget(ident)
            return None
        if layout.subvolume(path):
            hidden = f".{ident}-{os.getpid()}-removed{image_draft.ENDING}"
            with contextlib.suppress(FileNotFoundError):  # another removes it
                os.rename(layout.subvolume(path), f"{self.folder}/{hidden}")
                self._discard(hidden)
        else:
            files.remove(path)
        self._forget(ident)
        return Removed()

    @contextlib.contextmanager
    def opened(self, ident: str) -> Iterator[Reader]:
        """Its content. It stays readable if it is removed meanwhile."""
        path = self.path(ident)
        if path is not None and not path.startswith(f"{self.folder}/"):
            path = volumefile.settled(self._settings, ident)
        fd = os.open(path or self._settings.image(ident), os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield Reader(fd, os.fstat(fd).st_size)
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def making(self, ident: str, _work: str) -> Iterator[Making]:
        """Files for a new image; Known when there is one."""
        if not os.path.isdir(self.folder):
            raise ExtError(f"{self.folder} does not exist: is the shared directory mounted on this node?")
        if self.has(ident):
            raise Known(f"image {ident!r} exists already: {self.path(ident)}")
        with contextlib.ExitStack() as undo:
            yield Making(self, ident, undo.enter_context(image_draft.Draft(self.folder, ident)), undo)

    def left(self) -> Iterator[str]:
        """What killed calls left: drafts, and facts of what is gone."""
        if not os.path.isdir(self.folder):
            return
        yield from (f"{self.folder}/{name}" for name in image_draft.left(self.folder))
        for name in sorted(os.listdir(self.folder)):
            path = f"{self.folder}/{name}"
            with contextlib.suppress(FileNotFoundError):
                old = os.stat(path).st_mtime < time.time() - _OLD
                notes = name.endswith(NOTES) and not name.startswith(".") and not self.has(name.removesuffix(NOTES))
                if old and (notes or (f"{NOTES}." in name[1:] and name.startswith("."))):
                    yield path

    def sweep(self) -> list[str]:
        found = list(self.left())
        for path in found:
            self.sweep_one(path)
        return found

    def sweep_one(self, path: str) -> None:
        """Remove one of those, if it is still left."""
        if path in self.left():
            with contextlib.suppress(FileNotFoundError):
                self._discard(os.path.basename(path))

    def share(self, ident: str, told: Report, *, again: bool) -> tuple[int, int] | None:
        path = self.path(ident)
        return image_dedup.again(self.folder, ident, path, told, all_=again) if path else None

    def settle(self, told: Report) -> None:
        if os.path.isdir(self.folder):
            image_dedup.settle(self.folder, told)

    def _names(self) -> list[str]:
        entries = os.listdir(self.folder) if os.path.isdir(self.folder) else []
        return sorted({name[:-4] for name in entries if name.endswith((FILE, SUBVOLUME)) and not name.startswith(".")})

    def _entry(self, ident: str, kind: str) -> Iterator[Entry]:
        """What there is to say of an image, if it is still there."""
        path = self.path(ident)
        if path is None:
            return
        try:
            texts, octets = draft.notes(path), usage.of(path)
        except FileNotFoundError:
            return
        yield Entry(ident, kind, texts.get(draft.ORIGIN), *octets, self._record_or_none(ident))

    def _record_or_none(self, ident: str) -> Record:
        try:
            return self.record(ident)
        except ExtError as err:
            warn("cow", str(err))  # the others are worth to be told of
            return image_record.Record()

    def notes(self, ident: str) -> str:
        return f"{self._settings.image(ident).removesuffix(FILE)}{NOTES}"

    def _forget(self, ident: str) -> None:
        files.remove(self.notes(ident))
        image_dedup.forget(self.folder, ident)

    def _discard(self, name: str) -> None:
        directory = os.open(self.folder, draft.FOLDER)
        try:
            image_draft.discard(directory, name)
        finally:
            os.close(directory)


class Reader(NamedTuple):
    """The content of an image."""

    fd: int
    size: int

    def read(self, offset: int, count: int) -> bytes:
        return os.pread(self.fd, count, offset)


class Making:
    """A new image: `scratch` files, and the empty file `content`, which becomes it."""

    def __init__(self, cow: Cow, ident: str, made: image_draft.Draft, undo: contextlib.ExitStack) -> None:
        self._cow, self._ident, self._draft, self._undo = cow, ident, made, undo
        self.content = made.fd

    def scratch(self) -> int:
        """An empty file that is nobody else's."""
        made = self._undo.enter_context(image_draft.Draft(self._cow.folder, f"{self._ident}-brought"))
        made.hide()
        return made.fd

    def publish(self, offer: Offer, _told: Report) -> Made:
        """The image is there, whole, with its facts."""
        draft.annotate(self._draft.fd, {draft.KIND: IMAGE})
        self._cow.put(self._ident, offer.record)
        try:
            self._draft.publish()
        except BaseException:
            files.remove(self._cow.notes(self._ident))
            raise
        return Made(os.fstat(self._draft.fd).st_blocks * 512, 0)

    def dedup(self, offer: Offer, told: Report) -> int:
        """Octets that it shares now with what was there; 0, and a warning, where nothing can be shared."""
        return image_dedup.published(self._cow.folder, self._ident, self._draft.fd, offer.blocks, told)
