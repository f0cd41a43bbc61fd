"""Copy a file so that both share their blocks, or else block by block, keeping the holes. Share what is equal."""

from __future__ import annotations

import errno
import os
from fcntl import ioctl
from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extstorage.copying import Told

FICLONE = 0x40049409  # linux/fs.h
FIDEDUPERANGE = 0xC0189436
FIEMAP = 0xC020660B  # linux/fiemap.h
FIEMAP_HEAD = Struct("=2Q4I")  # start length flags mapped count reserved
CHUNK = 1 << 20
PIECE = 32 << 20  # bytes to copy between two words about it

# man ioctl_ficlone: no file system support (EOPNOTSUPP, EINVAL, on old or foreign ones ENOTTY), or two of them (EXDEV).
UNABLE = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EXDEV)

_RANGE = Struct("=QQHHI qQQiI")  # struct file_dedupe_range with one info
_DIFFERS = 1  # FILE_DEDUPE_RANGE_DIFFERS
# Of this pair of files alone: with checksums and without.
_UNLIKE = (errno.EINVAL, errno.EPERM, errno.EXDEV, errno.ETXTBSY)


class Unable(Exception):
    """The file system shares no blocks."""


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


def dedupe(source: int, target: int, there: int, here: int, length: int) -> int:
    """Let a range of the target share the blocks of one of the source, if they are equal: no content changes by it.

    Offsets are of whole blocks, and so is the length, unless it ends where both files do. Returns the octets that are
    shared now, or -1 when the ranges differ or these two files can share none; Unable where none can.
    """
    done = 0
    while done < length:
        request = bytearray(_RANGE.pack(there + done, length - done, 1, 0, 0, target, here + done, 0, 0, 0))
        try:
            ioctl(source, FIDEDUPERANGE, request)
        except OSError as err:
            raise _unable(err.errno or 0) from None
        _, _, _, _, _, _, _, count, status, _ = _RANGE.unpack(request)
        if status == _DIFFERS or -status in _UNLIKE:
            return -1
        if status < 0:
            raise _unable(-status)
        if not count:
            break
        done += count
    return done


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


def _unable(number: int) -> Exception:
    if number in UNABLE and number != errno.EXDEV:
        return Unable(os.strerror(number))
    return OSError(number, os.strerror(number))
