"""What images of a directory have in common is stored once: blocks of 64 KiB, which the kernel compares and shares.

FIDEDUPERANGE (ioctl_fideduperange(2)) of XFS and btrfs changes no content, whoever writes meanwhile. Smaller blocks
would scatter the files, and with them each clone; larger ones find whole copies alone.
"""

from __future__ import annotations

import contextlib
import errno
import os
from fcntl import ioctl
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from extstorage import image_content, image_index
from extstorage.image_digest import BLOCK, Blocks, Digests
from extstorage.layout import DISK, FILE, SUBVOLUME
from extstorage.warning import warn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from extstorage.image_index import Index
    from extstorage.image_report import Report

FIDEDUPERANGE = 0xC0189436  # linux/fs.h
_RANGE = Struct("=QQHHI qQQiI")  # struct file_dedupe_range with one info
_DIFFERS = 1  # FILE_DEDUPE_RANGE_DIFFERS
_LONGEST = (16 << 20) // BLOCK  # blocks in one call: btrfs and XFS do no more
_UNABLE = (errno.EOPNOTSUPP, errno.ENOTTY, errno.ENOSYS)
_UNLIKE = (
    errno.EINVAL,
    errno.EPERM,
    errno.EXDEV,
    errno.ETXTBSY,
)  # of this pair of files alone: with checksums and without
_PART = 4096  # blocks that are looked for at once


class Run(NamedTuple):
    """Blocks one behind the other that another image has one behind the other, too."""

    image: str
    there: int
    here: int
    length: int


class Unable(Exception):
    """The file system shares no blocks."""


def published(folder: str, ident: str, fd: int, blocks: Blocks, told: Report) -> int:
    """Let a new image share what others have; octets. Its blocks are noted for those to come."""
    with image_index.opened(folder) as index:
        if index is None:
            return 0
        try:
            shared = _share(index, folder, ident, fd, blocks, told)
        except Unable as err:
            warn("cow", f"{folder}: {err}: images that are alike are stored as often as they are there")
            return 0
        index.note(ident, _state(fd), blocks)
        return shared
    return 0


def again(folder: str, ident: str, path: str, told: Report, *, all_: bool) -> tuple[int, int] | None:
    """The same for an image that is there: octets that were looked at, and shared; None if it was looked at before."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with image_index.opened(folder) as index:
            if index is None or (index.state(ident) == _state(fd) and not all_):
                return None
        blocks = Blocks()
        size = os.fstat(fd).st_size
        with Digests((), blocks) as digests:
            image_content.scan(fd, digests, told.begin("digest", size))
            digests.end()
        return len(blocks) * BLOCK, published(folder, ident, fd, blocks, told.begin("dedup", size))
    finally:
        os.close(fd)


def forget(folder: str, ident: str) -> None:
    """Of an image that is gone."""
    with image_index.opened(folder, make=False) as index:
        if index is not None:
            index.forget(ident)


def runs(blocks: Iterable[tuple[int, bytes]], found: Mapping[bytes, list[tuple[str, int]]], own: str) -> Iterator[Run]:
    """What is to be shared, in as few pieces as can be; a block that the image itself has before counts as found."""
    run: Run | None = None
    first: dict[bytes, int] = {}
    for number, digest in blocks:
        places = [place for place in found.get(digest, ()) if place[0] != own]
        if digest in first:
            places.append((own, first[digest]))
        first.setdefault(digest, number)
        if run and run.here + run.length == number and run.length < _LONGEST and _next(run, own) in places:
            run = run._replace(length=run.length + 1)
            continue
        if run:
            yield run
        run = Run(places[0][0], places[0][1], number, 1) if places else None
    if run:
        yield run


def _next(run: Run, own: str) -> tuple[str, int] | None:
    """Where the block behind a run would be; nowhere when that is in the run itself, as the two must not overlap."""
    there = run.there + run.length
    return None if run.image == own and there >= run.here else (run.image, there)


def _share(index: Index, folder: str, ident: str, fd: int, blocks: Blocks, told: Report) -> int:
    shared = 0
    with contextlib.ExitStack() as files:
        sources: dict[str, int | None] = {ident: fd}
        for start in range(0, len(blocks), _PART):
            part = [blocks[number] for number in range(start, min(start + _PART, len(blocks)))]
            found = index.find([digest for _, digest in part])
            for run in runs(part, found, ident):
                if run.image not in sources:
                    sources[run.image] = _opened(folder, run.image, files)
                source = sources[run.image]
                if source is not None:
                    shared += _merge(source, fd, run)
            told(part[-1][0] * BLOCK)
    return shared


def _opened(folder: str, ident: str, files: contextlib.ExitStack) -> int | None:
    for ending in (FILE, f"{SUBVOLUME}/{DISK}"):
        with contextlib.suppress(OSError):
            fd = os.open(f"{folder}/{ident}{ending}", os.O_RDONLY | os.O_CLOEXEC)
            files.callback(os.close, fd)
            return fd
    return None


def _merge(source: int, target: int, run: Run) -> int:
    """Octets of a run that are shared now; block by block where they are not what the index says."""
    shared = _dedupe(source, target, run)
    if shared < 0:
        if run.length == 1:
            return 0
        ones = (Run(run.image, run.there + number, run.here + number, 1) for number in range(run.length))
        return sum(max(0, _dedupe(source, target, one)) for one in ones)
    return shared


def _dedupe(source: int, target: int, run: Run) -> int:
    """Octets, or -1 when they differ; Unable where the file system has no such thing."""
    done, length = 0, run.length * BLOCK
    while done < length:
        request = bytearray(
            _RANGE.pack(run.there * BLOCK + done, length - done, 1, 0, 0, target, run.here * BLOCK + done, 0, 0, 0)
        )
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


def _unable(number: int) -> Exception:
    if number in (*_UNABLE, errno.EINVAL):
        return Unable(os.strerror(number))
    return OSError(number, os.strerror(number))


def _state(fd: int) -> str:
    found = os.fstat(fd)
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"
