"""What a file takes of its file system, told by FIEMAP: blocks that it shares, and blocks of its own."""

from __future__ import annotations

import errno
import os
from fcntl import ioctl
from struct import Struct

from extstorage.reflink import FIEMAP, FIEMAP_HEAD
from ganeti_ext.named import NamedTuple

EXTENT = Struct("=3Q16xI12x")  # struct fiemap_extent: logical physical length, flags
ROOM = 2000  # extents in one call
END = (1 << 64) - 1
LAST = 1
DELALLOC = 4
SHARED = 0x2000


class Usage(NamedTuple):
    """Bytes; `exclusive` is None where the file system does not tell. `created`: seconds since the epoch."""

    logical: int
    physical: int
    exclusive: int | None
    created: float


def of(path: str) -> Usage:
    """How much a file holds and how much of it is shared with others.

    `created` is the time of the last change of the inode, the nearest that the standard library tells.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)
        try:
            shared = sum(length for length, flags in extents(fd) if flags & SHARED)
        except OSError as err:
            if err.errno not in (errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL):
                raise
            return Usage(found.st_size, found.st_blocks * 512, None, found.st_ctime)
        physical = found.st_blocks * 512
        return Usage(found.st_size, physical, max(0, physical - shared), found.st_ctime)
    finally:
        os.close(fd)


def extents(fd: int) -> list[tuple[int, int]]:
    """Length and flags of each extent of a file."""
    return [(length, flags) for _, _, length, flags in mapped(fd)]


def mapped(fd: int, start: int = 0, stop: int = END, room: int = ROOM) -> list[tuple[int, int, int, int]]:
    """Offset in the file, place on the disk, length and flags of each extent that has something of this range.

    Those that are neighbours in both are told as one, but for what the kernel was asked for in another call: with
    `room` for one, and a range of one octet, it tells of what is stored as one.
    """
    found: list[tuple[int, int, int, int]] = []
    while start < stop:
        buffer = bytearray(FIEMAP_HEAD.size + room * EXTENT.size)
        FIEMAP_HEAD.pack_into(buffer, 0, start, stop - start, 0, 0, room, 0)
        ioctl(fd, FIEMAP, buffer)
        count = FIEMAP_HEAD.unpack_from(buffer)[3]
        found += (EXTENT.unpack_from(buffer, FIEMAP_HEAD.size + index * EXTENT.size) for index in range(count))
        if not count or found[-1][3] & LAST:
            break
        start = found[-1][0] + found[-1][2]
    return found
