"""Give a volume another content in one step: a draft beside it takes its place."""

from __future__ import annotations

import ctypes
import errno
import os

from extstorage import btrfs, draft
from extstorage.layout import DISK, Settings, required, subvolume, volumes
from ganeti_ext.errors import ExtError
from ganeti_ext.files import remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 1 << 20
AT_FDCWD = -100
RENAME_EXCHANGE = 2  # man renameat2


def restore(settings: Settings, name: str, source: str) -> None:
    """Let a volume have the content of another file and its own length, its texts and origin stay."""
    path = required(settings, name)
    size = max(os.stat(path).st_size, os.stat(source).st_size)
    if subvolume(path) and subvolume(source):
        _exchange(settings, path, source, size)
    else:
        _replace(path, lambda target: draft.fill(target, source, size))


def flatten(settings: Settings, name: str) -> None:
    """Write all of a volume's blocks anew; it forgets its origin."""
    path = required(settings, name)
    source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _replace(path, lambda target: _copy(source, target))
        texts = draft.notes(path)
        texts.pop(draft.ORIGIN, "")
        draft.annotate(path, texts)
    finally:
        os.close(source)


def _replace(path: str, fill: Callable[[int], object]) -> None:
    """rename(2) a new file over the disk; in a subvolume, within that."""
    new = draft.draft_of(path)
    remove(new)
    fd = os.open(new, draft.NEW, 0o600)
    try:
        if subvolume(path):
            _like(path, fd)
        fill(fd)
        draft.annotate(fd, draft.notes(path))
        os.fsync(fd)
        os.rename(new, path)
        _sync(os.path.dirname(path))
    finally:
        os.close(fd)
        remove(new)


def _exchange(settings: Settings, path: str, source: str, size: int) -> None:
    """Let a snapshot of the source's subvolume and the volume's change names, then delete the latter."""
    folder = os.open(volumes(settings), draft.FOLDER)
    whole = subvolume(path)
    new = draft.draft_of(whole)
    origin = os.open(subvolume(source), draft.FOLDER)
    try:
        draft.discard(folder, settings.volume(os.path.basename(whole)[:-4]))
        btrfs.snapshot(origin, folder, os.path.basename(new))
        fd = os.open(f"{new}/{DISK}", os.O_RDWR | os.O_CLOEXEC)
        try:
            draft.lengthen(fd, size)
            draft.annotate(fd, draft.notes(path))
            os.fsync(fd)
        finally:
            os.close(fd)
        if ctypes.CDLL(None, use_errno=True).renameat2(
            AT_FDCWD, new.encode(), AT_FDCWD, whole.encode(), RENAME_EXCHANGE
        ):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), whole)
        os.fsync(folder)
    finally:
        btrfs.destroy(folder, os.path.basename(new))
        os.close(origin)
        os.close(folder)


def _like(path: str, fd: int) -> None:
    old = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if btrfs.is_nocow(old):
            btrfs.set_nocow(fd)
    finally:
        os.close(old)


def _copy(source: int, target: int) -> None:
    """The data, read and written: copy_file_range would share it again."""
    end = os.fstat(source).st_size
    os.ftruncate(target, end)  # first: XFS would keep what it had allocated ahead of the last write
    offset = 0
    while offset < end:
        try:
            offset = os.lseek(source, offset, os.SEEK_DATA)
        except OSError as err:
            if err.errno == errno.ENXIO:
                break
            raise
        block = os.pread(source, min(CHUNK, end - offset), offset)
        if not block:
            raise ExtError("a volume was cut while it was copied")
        if block.count(0) != len(block):
            os.pwrite(target, block, offset)
        offset += len(block)


def _sync(folder: str) -> None:
    fd = os.open(folder, draft.FOLDER)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
