"""The octets of an image: from whoever brings them into a file that keeps the holes, and out of one, with checksums."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

from extstorage import image_format, reflink
from extstorage.image_digest import BLOCK, CHUNK, ZEROS
from extstorage.image_error import Refused
from extstorage.size import MIB
from ganeti_ext.errors import ExtError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extstorage.image_digest import Digests
    from extstorage.image_place import Reader
    from extstorage.image_report import Report


_STEP = 1 << 30  # octets by which a file is lengthened whose length is not known


class Source:
    """What is brought: a descriptor, whose head can be looked at before the whole is there."""

    def __init__(self, fd: int, limit: int, expected: int | None = None) -> None:
        """ExtError or Refused when it is longer than `limit` or not as long as `expected`, as soon as that is known."""
        self._fd, self._limit, self._expected = fd, limit, expected
        found = os.fstat(fd)
        if stat.S_ISDIR(found.st_mode):
            raise ExtError("the image is to be made of a directory: say a file")
        self._file = found if stat.S_ISREG(found.st_mode) else None
        self.total = expected if self._file is None else found.st_size - os.lseek(fd, 0, os.SEEK_CUR)
        if self.total is not None:
            self._check_length(self.total, end=self._file is not None)
        self.head = self._read(image_format.HEAD)

    def read_head(self, offset: int, count: int) -> bytes:
        return self.head[offset : offset + count]

    def chunks(self) -> Iterator[bytes]:
        """All of it, in pieces of CHUNK octets but the last."""
        done = 0
        chunk = self.head
        while chunk:
            done += len(chunk)
            self._check_length(done, end=False)
            yield chunk
            chunk = self._read(CHUNK)
        self._check_length(done, end=True)
        self._check_unchanged()

    def share(self, target: int) -> bool:
        """Let an empty file have all the blocks of a whole one; False, and nothing done, where that cannot be."""
        if self._file is None or self.total != self._file.st_size or reflink.clone(self._fd, target):
            return False
        self._check_unchanged()
        return True

    def _read(self, count: int) -> bytes:
        pieces, length = [], 0
        while length < count and (piece := os.read(self._fd, count - length)):
            pieces.append(piece)
            length += len(piece)
        return b"".join(pieces)

    def _check_length(self, count: int, *, end: bool) -> None:
        if count > self._limit:
            raise Refused("too-large", f"the image has more than the {self._limit} octets that one may have")
        if self._expected is not None and (count > self._expected or (end and count != self._expected)):
            raise Refused("size", f"the image was to have {self._expected} octets, and {count} came")

    def _check_unchanged(self) -> None:
        now = os.fstat(self._fd)
        if self._file and (now.st_size, now.st_mtime_ns) != (self._file.st_size, self._file.st_mtime_ns):
            raise ExtError("the file was written to while it was read")


def receive(source: Source, target: int, digests: Digests, told: Report) -> None:
    """Write to an empty file what comes. What is zero stays a hole."""
    offset = length = 0
    for chunk in source.chunks():
        if offset + len(chunk) > length:
            # Behind a file's end XFS takes more room than is written, which would stay.
            length = max(source.total or 0, offset + _STEP)
            os.ftruncate(target, length)
        digests.add(chunk)
        write(target, offset, chunk)
        offset += len(chunk)
        told(offset)
    os.ftruncate(target, offset)


def scan(fd: int, digests: Digests, told: Report) -> None:
    """Add all of a file to checksums; its holes are not read."""
    size = os.fstat(fd).st_size
    done = 0
    for start, stop in extents(fd):
        digests.skip(start - done)
        for done in range(start, stop, CHUNK):
            digests.add(read(fd, done, min(CHUNK, stop - done)))
            told(done)
        done = stop
    digests.skip(size - done)
    told(size)


def sha256(content: Reader, told: Report) -> str:
    """Of all that there is to read."""
    made = hashlib.sha256()
    for offset in range(0, content.size, CHUNK):
        made.update(content.read(offset, min(CHUNK, content.size - offset)))
        told(offset)
    return made.hexdigest()


def extents(fd: int) -> Iterator[tuple[int, int]]:
    """The parts of a file that are no holes, in whole blocks."""
    size = os.fstat(fd).st_size
    return _aligned(reflink.extents(fd, size), size)


def read(fd: int, offset: int, count: int) -> bytes:
    """All of that many octets; ExtError when the file ends before."""
    found = os.pread(fd, count, offset)
    while len(found) < count:
        more = os.pread(fd, count - len(found), offset + len(found))
        if not more:
            raise ExtError(f"the file ends at {offset + len(found)}: it was cut while it was read")
        found += more
    return found


def write(fd: int, offset: int, chunk: bytes) -> None:
    """All of a chunk but its blocks that are zero."""
    for start, stop in runs(chunk):
        data = memoryview(chunk)[start:stop]
        at = offset + start
        while data:
            count = os.pwrite(fd, data, at)
            data, at = data[count:], at + count


def runs(chunk: bytes) -> Iterator[tuple[int, int]]:
    """Where there are blocks that are not zero, neighbours together."""
    start = -1
    for offset in range(0, len(chunk), BLOCK):
        block = chunk[offset : offset + BLOCK]
        if block == ZEROS[: len(block)]:
            if start >= 0:
                yield start, offset
            start = -1
        elif start < 0:
            start = offset
    if start >= 0:
        yield start, len(chunk)


def _aligned(found: list[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    """Extents that begin and end with whole blocks, none twice."""
    before = 0
    for start, stop in found:
        first = max(before, start // BLOCK * BLOCK)
        last = min(size, -(-stop // BLOCK) * BLOCK)
        if first < last:
            yield first, last
            before = last


def parse_size(text: str) -> int:
    """Octets: 4096, 512M, 10G, 1T; ValueError for anything else."""
    units = {"K": 1 << 10, "M": MIB, "G": 1 << 30, "T": 1 << 40}
    number, unit = (text[:-1], units[text[-1].upper()]) if text[-1:].upper() in units else (text, 1)
    if not (number.isascii() and number.isdecimal()) or not int(number):
        raise ValueError(f"{text!r} is no number of octets above 0, such as 10G")
    return int(number) * unit
