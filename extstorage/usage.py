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
    found: list[tuple[int, int]] = []
    start, last = 0, False
    while not last:
        buffer = bytearray(FIEMAP_HEAD.size + ROOM * EXTENT.size)
        FIEMAP_HEAD.pack_into(buffer, 0, start, (1 << 64) - 1 - start, 0, 0, ROOM, 0)
        ioctl(fd, FIEMAP, buffer)
        count = FIEMAP_HEAD.unpack_from(buffer)[3]
        if not count:
            break
        for index in range(count):
            logical, _, length, flags = EXTENT.unpack_from(buffer, FIEMAP_HEAD.size + index * EXTENT.size)
            found.append((length, flags))
            start, last = logical + length, bool(flags & LAST)
    return found
