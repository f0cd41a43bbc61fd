"""Volumes as raw files on a shared directory, clones by reflink."""

from __future__ import annotations

import errno
import os
import sys
import time

from extstorage import reflink
from extstorage.attachment import flush
from extstorage.layout import NAME_MAX, Settings, existing, required, volumes
from extstorage.size import MIB
from ganeti_ext.errors import ExtError
from ganeti_ext.files import remove

NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
DRAFT = ".new"
OLD = 86400.0  # seconds
INFO = "user.ganeti.info"


def warn(text: str) -> None:
    sys.stderr.write(f"cow: warning: {text}\n")


def origin(settings: Settings, name: str) -> str:
    """The file of an image or, failing that, of a volume, ready to be cloned."""
    image = settings.image(name)
    if os.path.isfile(image):
        return image
    if len(name) <= NAME_MAX and existing(settings, name):
        return _settled(settings, name)
    raise ExtError(f"origin {name!r} does not exist: there is no {image}, and no volume of that name")


def create(settings: Settings, name: str, size: int, source: str | None) -> None:
    """Make a volume of `size` bytes, empty or with the content of another file.

    An existing volume is an error even if it looks like what was asked for: Ganeti never repeats a name, so
    to accept it could mean to hand out another guest's disk.
    """
    path = settings.volume(name)
    with settings.hint(name):
        if existing(settings, name):
            raise ExtError(f"volume {name!r} exists already: {path}")
        draft = _draft(path)
        remove(draft)  # of a call that was killed
        fd = os.open(draft, NEW, 0o600)
        try:
            if source:
                _fill(fd, source, size)
            os.ftruncate(fd, size)
            os.fsync(fd)
            _publish(fd, path, name)
        finally:
            os.close(fd)
            remove(draft)


def snapshot(settings: Settings, name: str, target: str) -> None:
    """Make a volume of its own with another's content of this moment."""
    path = _settled(settings, name)
    create(settings, target, os.stat(path).st_size, path)


def grow(settings: Settings, name: str, size: int) -> None:
    """Lengthen a volume to `size` bytes; a longer one is left: Ganeti asks again after a job whose end it lost."""
    fd = os.open(required(settings, name), os.O_RDWR | os.O_CLOEXEC)
    try:
        found = os.fstat(fd).st_size
        if found > size:
            warn(f"volume {name!r} has {found // MIB} MiB already, it is not cut to {size // MIB}")
        if found < size:
            os.ftruncate(fd, size)
            os.fsync(fd)
    finally:
        os.close(fd)


def discard(settings: Settings, name: str) -> None:
    """Delete a volume and what a killed `create` left of it."""
    path = settings.volume(name)
    if existing(settings, name):
        remove(path)
    remove(_draft(path))


def describe(settings: Settings, name: str, text: str) -> None:
    """Keep Ganeti's text on a volume (its instance's name) beside it, where the file system can."""
    try:
        os.setxattr(required(settings, name), INFO, text.encode())
    except OSError as err:
        if err.errno != errno.ENOTSUP:
            raise


def verify(settings: Settings) -> None:
    """ExtError when volumes cannot be made here; warnings for what only makes it slow or empty."""
    folder = volumes(settings)
    if not os.path.isdir(f"{settings.directory}/images"):
        warn(f"{settings.directory}/images does not exist: there is nothing to clone from")
    reason = _probe(folder)
    if reason:
        warn(f"no reflinks in {folder} ({reason}): each clone will be a full copy")


def sweep(settings: Settings) -> None:
    """Remove what killed `create`s left; one that works writes to its draft all the time."""
    folder = volumes(settings)
    for name in os.listdir(folder):
        path = f"{folder}/{name}"
        try:
            if name.startswith(".") and name.endswith(DRAFT) and os.stat(path).st_mtime < time.time() - OLD:
                remove(path)
        except FileNotFoundError:
            continue  # published meanwhile


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
    fd = os.open(path, NEW, 0o600)
    remove(path)
    return fd


def _settled(settings: Settings, name: str) -> str:
    """The volume's file, with all in it that was written to its device on this node."""
    path = required(settings, name)
    with settings.hint(name) as hint:
        flush(hint)
    return path


def _draft(path: str) -> str:
    folder, name = os.path.split(path)
    return f"{folder}/.{name}{DRAFT}"


def _fill(fd: int, source: str, size: int) -> None:
    from_fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        length = os.fstat(from_fd).st_size
        if length > size:
            raise ExtError(f"origin {source} has {length} bytes: more than the {size} ({size // MIB} MiB) asked for")
        reason = reflink.clone(from_fd, fd)
        if reason:
            warn(f"no reflink of {source} ({reason}): it is copied, and is of one moment only if nobody writes to it")
            reflink.copy(from_fd, fd)
    finally:
        os.close(from_fd)


def _publish(fd: int, path: str, name: str) -> None:
    # link(2) never overwrites, unlike rename. It takes the file by its descriptor: had another node thrown our draft
    # away for a leftover, this fails instead of publishing that node's half-written one.
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # With a src_dir_fd Python calls linkat(AT_SYMLINK_FOLLOW), which /proc needs; the path is absolute.
        os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=folder, follow_symlinks=True)
        os.fsync(folder)
    except FileExistsError:
        raise ExtError(f"volume {name!r} exists already: {path}") from None
    finally:
        os.close(folder)
