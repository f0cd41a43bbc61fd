"""What images of a directory have in common is stored once: blocks of 64 KiB, which the kernel compares and shares.

FIDEDUPERANGE (ioctl_fideduperange(2)) of XFS and btrfs changes no content, whoever writes meanwhile. Smaller blocks
would scatter the files, and with them each clone; larger ones find whole copies alone.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NamedTuple

from extstorage import btrfs_remains, btrfs_sharers, image_content, image_index, reflink
from extstorage.image_digest import BLOCK, Blocks, Digests
from extstorage.layout import DISK, FILE, SUBVOLUME
from extstorage.warning import warn
from ganeti_ext.errors import ExtError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from extstorage.image_index import Index
    from extstorage.image_report import Report

_LONGEST = (16 << 20) // BLOCK  # blocks in one call: btrfs and XFS do no more
_PART = 4096  # blocks that are looked for at once


class Run(NamedTuple):
    """Blocks one behind the other that another image has one behind the other, too."""

    image: str
    there: int
    here: int
    length: int


def published(folder: str, ident: str, fd: int, blocks: Blocks, told: Report) -> int:
    """Let a new image share what others have; octets. Its blocks are noted for those to come."""
    with image_index.opened(folder) as index:
        if index is None:
            return 0
        known = btrfs_remains.extents(fd)
        try:
            shared = _share(index, folder, ident, fd, blocks, told)
        except reflink.Unable as err:
            warn("cow", f"{folder}: {err}: images that are alike are stored as often as they are there")
            return 0
        index.note(ident, "", blocks)
        if _freed(folder, ident, fd, known, told):
            index.mark(ident, _state(fd))  # not before: what ended here is done when it is asked for again
        return shared
    return 0


def again(folder: str, ident: str, path: str, told: Report, *, all_: bool) -> tuple[int, int] | None:
    """The same for an image that is there: octets that were looked at, and shared; None if it was looked at before.

    Or if somebody has just removed it.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
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


def settle(folder: str, told: Report) -> None:
    """Free what is left of extents that several images have parts of, where that can be."""
    try:
        btrfs_sharers.rewrite(folder, told)
    except (ExtError, OSError, reflink.Unable) as err:
        warn("cow", f"{folder}: {err}: what images share keeps its room until: ganeti-ext-storage image dedup --again")


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


def _freed(folder: str, ident: str, fd: int, known: Sequence[tuple[int, int]], told: Report) -> bool:
    """Whether the room of what is shared now is free, as far as it can be."""
    try:
        btrfs_remains.rewrite(folder, ident, fd, known, told)
    except (ExtError, OSError, reflink.Unable) as err:
        text = f"{folder}: {err}: what {ident} shares now keeps its room until: ganeti-ext-storage image dedup {ident}"
        warn("cow", text)
        return False
    return True


def _opened(folder: str, ident: str, files: contextlib.ExitStack) -> int | None:
    for ending in (FILE, f"{SUBVOLUME}/{DISK}"):
        with contextlib.suppress(OSError):
            fd = os.open(f"{folder}/{ident}{ending}", os.O_RDONLY | os.O_CLOEXEC)
            files.callback(os.close, fd)
            return fd
    return None


def _merge(source: int, target: int, run: Run) -> int:
    """Octets of a run that are shared now; block by block where they are not what the index says."""
    there, here = run.there * BLOCK, run.here * BLOCK
    shared = reflink.dedupe(source, target, there, here, run.length * BLOCK)
    if shared < 0:
        if run.length == 1:
            return 0
        places = (number * BLOCK for number in range(run.length))
        return sum(max(0, reflink.dedupe(source, target, there + at, here + at, BLOCK)) for at in places)
    return shared


def _state(fd: int) -> str:
    found = os.fstat(fd)
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"
