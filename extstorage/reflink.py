"""Copy a file so that both share their blocks, or else block by block, keeping the holes."""

from __future__ import annotations

import errno
import os
from fcntl import ioctl
from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extstorage.copying import Told

FICLONE = 0x40049409  # linux/fs.h
FIEMAP = 0xC020660B  # linux/fiemap.h
FIEMAP_HEAD = Struct("=2Q4I")  # start length flags mapped count reserved
CHUNK = 1 << 20
PIECE = 32 << 20  # bytes to copy between two words about it

# man ioctl_ficlone: no file system support (EOPNOTSUPP, EINVAL, on old or foreign ones ENOTTY), or two of them (EXDEV).
UNABLE = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EXDEV)


def clone(source: int, target: int) -> str:
    """Let an empty file share all blocks of another.

    The result is the source at one moment, whatever is written to it meanwhile. Returns an empty text, or
    why the file system cannot do it (nothing is changed then).
    """
    try:
        ioctl(target, FICLONE, source)
    except OSError as err:
        if err.errno not in UNABLE:
            raise
        return os.strerror(err.errno)
    return ""


def pieces(fd: int) -> int:
    """Into how many extents a file is scattered, 0 where the file system does not tell."""
    head = bytearray(FIEMAP_HEAD.pack(0, (1 << 64) - 1, 0, 0, 0, 0))
    try:
        ioctl(fd, FIEMAP, head)
    except OSError as err:
        if err.errno not in UNABLE:
            raise
        return 0
    return int(FIEMAP_HEAD.unpack(head)[3])


def copy(source: int, target: int, told: Told | None = None) -> int:
    """Copy what is not a hole to the same places of an empty file; returns the number of bytes."""
    end = os.fstat(source).st_size
    parts = extents(source, end)
    total = sum(stop - start for start, stop in parts)
    copied = 0
    for start, stop in parts:
        for offset in range(start, stop, PIECE):
            copied += _copy_range(source, target, offset, min(offset + PIECE, stop))
            if told:
                told(copied, total)
    os.ftruncate(target, end)  # a hole at the end
    return copied


def extents(fd: int, end: int) -> list[tuple[int, int]]:
    """The parts of a file that hold data, as (start, stop)."""
    found: list[tuple[int, int]] = []
    stop = 0
    while stop < end:
        try:
            start = os.lseek(fd, stop, os.SEEK_DATA)
        except OSError as err:
            if err.errno == errno.ENXIO:  # man lseek: only a hole remains
                break
            raise
        stop = min(os.lseek(fd, start, os.SEEK_HOLE), end)
        found.append((start, stop))
    return found


def _copy_range(source: int, target: int, start: int, stop: int) -> int:
    offset = start
    while offset < stop:
        try:
            count = os.copy_file_range(source, target, stop - offset, offset, offset)
        except OSError as err:
            if err.errno not in UNABLE:
                raise
            block = os.pread(source, min(CHUNK, stop - offset), offset)
            count = os.pwrite(target, block, offset) if block else 0
        if not count:  # the source was cut shorter meanwhile
            break
        offset += count
    return offset - start
