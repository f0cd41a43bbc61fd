"""What the verbs of `cow` do to the files of volumes."""

from __future__ import annotations

import errno
import os
import time

from extstorage import btrfs, draft, hint, reflink
from extstorage.attachment import flush
from extstorage.found import SAVED, SNAPSHOT, VOLUME
from extstorage.layout import DISK, FILE, NAME_MAX, SUBVOLUME, existing, in_subvolume, required, subvolume, volumes
from extstorage.origin import Origin
from extstorage.size import MIB
from extstorage.warning import warn
from ganeti_ext.errors import ExtError
from ganeti_ext.files import remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extstorage.copying import Told
    from extstorage.layout import Settings

OLD = 86400.0  # seconds


def origin(settings: Settings, wanted: Origin) -> tuple[str, str]:
    """The file of what a new volume is to be a clone of, ready for that, and the origin's name with its kind."""
    image = ""
    if wanted.kind in ("", "image"):
        image = settings.image(wanted.name)
        for path in (image, in_subvolume(image)):
            if os.path.isfile(path):
                return path, f"image:{wanted.name}"
    found = existing(settings, wanted.name) if wanted.kind != "image" and len(wanted.name) <= NAME_MAX else None
    if found:  # which another node may remove from here on: who opens it says so
        _settle(settings, wanted.name)
        return found, f"volume:{wanted.name}"
    if wanted.kind == "":
        raise ExtError(f"origin {wanted.name!r} does not exist: there is no {image}, and no volume of that name")
    lacks = image or f"volume of that name in {settings.directory}/volumes"
    raise ExtError(f"origin {str(wanted)!r} does not exist: there is no {lacks}")


def create(
    settings: Settings,
    name: str,
    size: int | None,
    source: tuple[str, str] | None,
    kind: str = VOLUME,
    told: Told | None = None,
) -> None:
    """Make a volume of `size` bytes, empty or with the content of another file, which has a size of its own.

    An existing volume is an error even if it looks like what was asked for: Ganeti never repeats a name, so
    to accept it could mean to hand out another guest's disk.
    """
    path = settings.volume(name)
    notes = {draft.KIND: kind}
    if source:
        notes[draft.ORIGIN] = source[1]
    with settings.hint(name):
        found = existing(settings, name)
        if found:
            _tidy(settings, name)
            raise ExtError(f"volume {name!r} exists already: {found}")
        try:
            draft.make(path, size, source[0] if source else None, notes, told)
        except FileExistsError as err:
            raise ExtError(f"volume {name!r} exists already: {err.filename2 or err.filename or path}") from None


def snapshot(settings: Settings, name: str, target: str) -> None:
    """Make a volume of its own with another's content of this moment."""
    create(settings, target, None, (settled(settings, name), f"volume:{name}"), SNAPSHOT)
    if target.startswith(SAVED):
        from extstorage import image_rights  # noqa: PLC0415 (verbs have no time for it)

        image_rights.show(required(settings, target), f"{settings.directory}/images")


def adopt(settings: Settings, name: str, size: int) -> None:
    """See to it that there is a volume of exactly this size."""
    path = required(settings, name)
    found = os.stat(path).st_size
    if found != size:
        raise ExtError(
            f"volume {name!r} cannot be reused: it has {found} bytes, not the {size} ({size // MIB} MiB) asked for"
        )


def grow(settings: Settings, name: str, size: int) -> None:
    """Lengthen a volume to `size` bytes; a longer one is left: Ganeti asks again after a job whose end it lost."""
    fd = os.open(required(settings, name), os.O_RDWR | os.O_CLOEXEC)
    try:
        found = os.fstat(fd).st_size
        if found > size:
            warn("cow", f"volume {name!r} has {found // MIB} MiB already, it is not cut to {size // MIB}")
        if found < size:
            draft.lengthen(fd, size)
            os.fsync(fd)
    finally:
        os.close(fd)


def discard(settings: Settings, name: str) -> None:
    """Delete a volume and what a killed `create` left of it."""
    path = existing(settings, name)
    folder = os.open(volumes(settings), draft.FOLDER)
    try:
        if path and subvolume(path):
            btrfs.destroy(folder, os.path.basename(subvolume(path)))
        elif path:
            remove(path)
        draft.discard(folder, settings.volume(name))
    finally:
        os.close(folder)


def describe(settings: Settings, name: str, text: str) -> None:
    """Keep Ganeti's text on a volume (its instance's name) beside it, where the file system can."""
    try:
        os.setxattr(required(settings, name), draft.INFO, text.encode())
    except OSError as err:
        if err.errno != errno.ENOTSUP:
            raise


def verify(settings: Settings) -> None:
    """ExtError when volumes cannot be made here; warnings for what only makes it slow or empty."""
    folder = volumes(settings)
    if not os.path.isdir(f"{settings.directory}/images"):
        warn("cow", f"{settings.directory}/images does not exist: there is nothing to clone from")
    reason = _probe(folder)
    if reason:
        warn("cow", f"no reflinks in {folder} ({reason}): each clone will be a full copy")


def drafts(settings: Settings, age: float = OLD) -> list[str]:
    """What killed calls left: drafts that nobody has written to for so many seconds."""
    folder = volumes(settings)
    found = (f"{folder}/{name}" for name in sorted(os.listdir(folder)))
    paths = (path for path in found if draft.volume(path))
    inner = (draft.draft_of(f"{folder}/{name}{SUBVOLUME}/{DISK}") for name in names(settings))
    return [path for path in (*paths, *inner) if _touched(path) < time.time() - age]


def sweep(settings: Settings, path: str) -> None:
    """Remove a draft."""
    name = draft.volume(path) or draft.volume_of_inner(path)
    with settings.hint(name):  # of this node, nobody works on it
        _tidy(settings, name)


def settled(settings: Settings, name: str) -> str:
    """The volume's file, with all in it that was written to its device on this node."""
    path = required(settings, name)
    _settle(settings, name)
    return path


def names(settings: Settings) -> list[str]:
    """All volumes."""
    found = [entry for entry in os.listdir(volumes(settings)) if not entry.startswith(".")]
    return sorted(entry[:-4] for entry in found if entry.endswith((FILE, SUBVOLUME)))


def _settle(settings: Settings, name: str) -> None:
    if name.startswith(SAVED) and name not in hint.names(settings.run_directory):
        return  # an image, without a device: who reads it need not be root
    with settings.hint(name) as held:
        flush(held)


def _tidy(settings: Settings, name: str) -> None:
    """Throw away what a call left that was killed on this node; the volume's hint is held."""
    folder = os.open(volumes(settings), draft.FOLDER)
    try:
        draft.discard(folder, settings.volume(name))
        remove(draft.draft_of(in_subvolume(settings.volume(name))))
    finally:
        os.close(folder)


def _touched(path: str) -> float:
    """When a draft, or the file in it, was written to; the future for one that was published meanwhile."""
    try:
        times = [os.stat(path).st_mtime]
        if os.path.isdir(path):
            times += [os.stat(f"{path}/{name}").st_mtime for name in os.listdir(path)]
    except FileNotFoundError:
        return time.time() + OLD
    return max(times)


def _probe(folder: str) -> str:
    """Write a file and clone it; returns an empty text, or why the latter does not work."""
    source = _scratch(folder)
    try:
        os.write(source, bytes(4096))
        target = _scratch(folder)
        try:
            return reflink.clone(source, target)
        finally:
            os.close(target)
    finally:
        os.close(source)


def _scratch(folder: str) -> int:
    """A descriptor of a file that is gone when it is closed."""
    path = f"{folder}/.verify-{os.getpid()}"
    fd = os.open(path, draft.NEW, 0o600)
    remove(path)
    return fd
