"""The content of one volume into another, whatever their providers: what is not zero is written, then all compared."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from typing import TYPE_CHECKING, NamedTuple, Protocol

from extstorage import layout, rbd_library, volumefile
from extstorage.rbd_image import Image
from extstorage.rbd_pool import Pool
from ganeti_ext.errors import ExtError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from extstorage.inventory import Store
    from extstorage.rbd_settings import Settings

CHUNK = 4 << 20
PIECE = 64 << 10  # what is zero from end to end stays a hole
_ZERO = bytes(PIECE)


class Content(Protocol):
    """A volume's bytes."""

    size: int

    def read(self, offset: int, length: int) -> bytes:
        """All of that many bytes."""

    def write(self, offset: int, data: bytes) -> None:
        """All of it."""

    def skip(self, offset: int) -> int:
        """Where something other than a hole may begin, from there on; the size when nothing does."""

    def flush(self) -> None:
        """Have all on the disk, and read from there what is read later."""


class File:
    """A file."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.size = os.fstat(fd).st_size

    def read(self, offset: int, length: int) -> bytes:
        found = os.pread(self._fd, length, offset)
        if len(found) != length:
            raise ExtError(f"a volume was cut to {offset + len(found)} bytes while it was read")
        return found

    def write(self, offset: int, data: bytes) -> None:
        while data:
            count = os.pwrite(self._fd, data, offset)
            data, offset = data[count:], offset + count

    def skip(self, offset: int) -> int:
        try:
            return os.lseek(self._fd, offset, os.SEEK_DATA)
        except OSError as err:
            if err.errno != errno.ENXIO:
                raise
            return self.size

    def flush(self) -> None:
        os.fsync(self._fd)
        os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)


class Rbd:
    """An RBD image."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self.size = image.size()
        self._buffer = ctypes.create_string_buffer(CHUNK)

    def read(self, offset: int, length: int) -> bytes:
        arguments = (self._image.handle, ctypes.c_uint64(offset), ctypes.c_size_t(length), self._buffer)
        count = rbd_library.checked(rbd_library.rbd().rbd_read(*arguments), f"volume {self._image.name!r}, to read it")
        if count != length:
            raise ExtError(f"volume {self._image.name!r} was cut to {offset + count} bytes while it was read")
        return self._buffer.raw[:length]

    def write(self, offset: int, data: bytes) -> None:
        arguments = (self._image.handle, ctypes.c_uint64(offset), ctypes.c_size_t(len(data)), data)
        rbd_library.checked(rbd_library.rbd().rbd_write(*arguments), f"volume {self._image.name!r}, to write it")

    def skip(self, offset: int) -> int:
        return offset  # librbd makes zeros of a hole without asking an OSD for each

    def flush(self) -> None:
        code = rbd_library.rbd().rbd_flush(self._image.handle)
        rbd_library.checked(code, f"volume {self._image.name!r}, to write it out")


@contextlib.contextmanager
def _file(settings: layout.Settings, name: str, write: bool) -> Iterator[Content]:
    path = volumefile.settled(settings, name)
    fd = os.open(path, (os.O_RDWR if write else os.O_RDONLY) | os.O_CLOEXEC)
    try:
        yield File(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def _image(settings: Settings, name: str, write: bool) -> Iterator[Content]:
    with Pool(settings) as pool, Image(pool, name, write=write) as image:
        yield Rbd(image)


OPENERS: dict[str, Callable[[Any, str, bool], contextlib.AbstractContextManager[Content]]] = {
    "cow": _file,
    "rbd": _image,
}


class Place(NamedTuple):
    """A volume in its store."""

    store: Store
    volume: str

    def opened(self, *, write: bool = False) -> contextlib.AbstractContextManager[Content]:
        return OPENERS[self.store.provider](self.store.settings, self.volume, write)


class Meter:
    """How many bytes are dealt with."""

    count = 0


def copy(source: Content, target: Content, meter: Meter) -> None:
    """Let an empty volume have the content of another, which must not be longer."""
    if source.size > target.size:
        raise ExtError(f"{source.size} bytes do not go into a volume of {target.size}")
    for offset, chunk in _chunks(source, meter):
        for start, data in _runs(chunk):
            target.write(offset + start, data)
    target.flush()


def compare(source: Content, target: Content, meter: Meter) -> None:
    """ExtError naming the first place that differs; what a longer target has behind it must be zero."""
    for offset, chunk in _pairs(source, target, meter):
        length = max(0, min(len(chunk), source.size - offset))
        wanted = (source.read(offset, length) if length else b"").ljust(len(chunk), b"\0")
        if wanted != chunk:
            at = next(index for index, (one, two) in enumerate(zip(wanted, chunk, strict=True)) if one != two)
            raise ExtError(f"the copy differs from byte {offset + at} on")


def _chunks(source: Content, meter: Meter) -> Iterator[tuple[int, bytes]]:
    meter.count = offset = source.skip(0) if source.size else 0
    while offset < source.size:
        chunk = source.read(offset, min(CHUNK, source.size - offset))
        yield offset, chunk
        offset += len(chunk)
        offset = source.skip(offset) if offset < source.size else offset
        meter.count = offset


def _pairs(source: Content, target: Content, meter: Meter) -> Iterator[tuple[int, bytes]]:
    """Chunks of the target, without what is a hole in both."""
    offset = 0
    while offset < target.size:
        begins = source.skip(offset) if offset < source.size else target.size
        offset = min(begins, target.skip(offset))
        if offset >= target.size:
            break
        chunk = target.read(offset, min(CHUNK, target.size - offset))
        yield offset, chunk
        offset += len(chunk)
        meter.count = offset


def _runs(chunk: bytes) -> Iterator[tuple[int, bytes]]:
    """The parts that are not zero, neighbours together."""
    start = -1
    for offset in range(0, len(chunk), PIECE):
        piece = chunk[offset : offset + PIECE]
        empty = piece == _ZERO[: len(piece)]
        if empty and start >= 0:
            yield start, chunk[start:offset]
            start = -1
        elif not empty and start < 0:
            start = offset
    if start >= 0:
        yield start, chunk[start:]
