"""Files of the image store: a raw disk image copied in whole, with its holes, or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ganeti_ext.errors import ExtError

_FICLONE = 0x40049409  # linux/fs.h, _IOW(0x94, 9, int)
_CHUNK = 1 << 20
_ZEROS = bytes(_CHUNK)
# What begins with one of these would be handed to guests as it is, and none could boot it.
_FORMATS = {b"QFI\xfb": "qcow2", b"KDMV": "VMDK", b"conectix": "VHD", b"vhdxfile": "VHDX", b"\x1f\x8b": "gzip"}


class Stored(NamedTuple):
    size: int
    """Octets."""
    sha256: str


def store(source: str, target: str, progress: Callable[[int, int], None]) -> Stored:
    """Copy `source` to `target`, which appears when it is complete and can only be read.

    On one file system that can, the copy shares the source's blocks. `progress` hears octets done and of all.
    ExtError when the source is no raw image or a file cannot be read or written.
    """
    folder, name = os.path.split(target)
    draft = os.path.join(folder, f".{name}.{os.getpid()}")
    try:
        # Not blocked by a FIFO, which is refused below.
        fd = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with contextlib.ExitStack() as opened, contextlib.ExitStack() as undo:
            opened.callback(os.close, fd)
            before = _checked(source, fd)
            out = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            opened.callback(os.close, out)
            undo.callback(os.unlink, draft)
            digest = _copy(fd, out, before.st_size, progress)
            _check_unchanged(source, before, os.fstat(fd))
            os.fchmod(out, 0o444)
            os.fsync(out)
            os.rename(draft, target)
            undo.pop_all()
        _sync_folder(folder)
    except OSError as err:
        raise ExtError(f"image {source} to {target}: {err}") from err
    return Stored(before.st_size, digest)


def _checked(source: str, fd: int) -> os.stat_result:
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise ExtError(f"image {source}: not a regular file")
    if found.st_size == 0:
        raise ExtError(f"image {source}: the file is empty")
    head = os.pread(fd, 16, 0)
    for magic, name in _FORMATS.items():
        if head.startswith(magic):
            raise ExtError(f"image {source}: a {name} file, and only raw ones can be used (qemu-img convert -O raw)")
    return found


def _check_unchanged(source: str, before: os.stat_result, after: os.stat_result) -> None:
    if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
        raise ExtError(f"image {source}: the file was written to while it was copied")


def _copy(source: int, target: int, size: int, progress: Callable[[int, int], None]) -> str:
    """The SHA-256 of what is in the target afterwards."""
    cloned = _clone(source, target)
    os.ftruncate(target, size)
    digest, done = hashlib.sha256(), 0
    reader = target if cloned else source
    for start, end in _data(reader, size):
        _hash_zeros(digest, start - done)
        for done in range(start, end, _CHUNK):
            chunk = _read(reader, min(_CHUNK, end - done), done)
            digest.update(chunk)
            if not cloned:
                _write(target, chunk, done)
            progress(done, size)
        done = end
    _hash_zeros(digest, size - done)
    progress(size, size)
    return digest.hexdigest()


def _clone(source: int, target: int) -> bool:
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:  # another file system, or one that cannot: the blocks are copied
        return False
    return True


def _data(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """What of a file is not a hole: first octet and the one behind the last."""
    end = 0
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
            end = os.lseek(fd, start, os.SEEK_HOLE)
        except OSError as err:
            if err.errno != errno.ENXIO:  # only a hole up to the end
                raise
            return
        yield start, min(end, size)


def _hash_zeros(digest: hashlib._Hash, count: int) -> None:
    while count > 0:
        digest.update(_ZEROS[: min(count, _CHUNK)])
        count -= _CHUNK


def _read(fd: int, count: int, offset: int) -> bytes:
    chunk = b""
    while len(chunk) < count:
        more = os.pread(fd, count - len(chunk), offset + len(chunk))
        if not more:
            raise OSError(f"the file ends at {offset + len(chunk)}: it was shortened meanwhile")
        chunk += more
    return chunk


def _write(fd: int, chunk: bytes, offset: int) -> None:
    view = memoryview(chunk)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def _sync_folder(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
