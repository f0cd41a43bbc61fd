"""What remains of extents of which deduplication shared a part elsewhere is stored anew, so that they go: btrfs alone.

btrfs frees an extent, of up to 128 MiB, when no file refers to any part of it; what is still referred to keeps all of
it on the disk (a "bookend extent"). So remains are copied to a file without a name, and the kernel lets the image share
that one's blocks (FIDEDUPERANGE), which compares them first: whatever ends us, and whoever writes or reads meanwhile,
the image has its content, and its times.
"""

from __future__ import annotations

import contextlib
import os
from bisect import bisect_right
from fcntl import ioctl
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from extstorage import btrfs, image_draft, reflink, usage
from extstorage.image_digest import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from extstorage.image_report import Report

TREE_SEARCH_V2 = 0xC0709411  # linux/btrfs.h
KEY = Struct("=7Q4I4QQ")  # struct btrfs_ioctl_search_args_v2: a btrfs_ioctl_search_key, and the room behind it
HEADER = Struct("=3Q2I")  # struct btrfs_ioctl_search_header: transid objectid offset type len
ITEM = Struct("=QQBBHB4Q")  # struct btrfs_file_extent_item
EXTENT_DATA = 108  # linux/btrfs_tree.h
REGULAR = 1  # BTRFS_FILE_EXTENT_REG: neither kept with the metadata nor allocated alone
ANSWER = 1 << 20  # octets
MAX = (1 << 64) - 1

WORTH = 16  # a rest is written when at least such a part of it is freed: else it costs more writing than it is room
BATCH = 64 << 20  # octets that are written before what they were in goes


class Rest(NamedTuple):
    """What a file alone has of an extent: the length of that, and ranges of the file, offset and length; octets."""

    whole: int
    parts: list[tuple[int, int]]

    @property
    def held(self) -> int:
        return sum(length for _, length in self.parts)


class _Held(Protocol):
    @property
    def held(self) -> int: ...


Held = TypeVar("Held", bound=_Held)


def extents(fd: int) -> list[tuple[int, int]]:
    """Place and length of each extent that a file of btrfs refers to, in the order of their places; else nothing.

    Who is not root may not ask how long an extent is. He is told what the file has of it, which is all of it as long
    as the file is new and nothing of it was shared.
    """
    if not btrfs.here(fd):
        return []
    os.fsync(fd)
    try:
        return searched(fd)
    except PermissionError:
        return sorted(set(_mapped(fd)))


def searched(fd: int) -> list[tuple[int, int]]:
    """The same as the file system's tree has it; PermissionError for who is not root."""
    found: set[tuple[int, int]] = set()
    inode, start = os.fstat(fd).st_ino, 0
    while True:
        buffer = bytearray(KEY.size + ANSWER)
        types = (EXTENT_DATA, EXTENT_DATA, MAX >> 32, 0)
        KEY.pack_into(buffer, 0, 0, inode, inode, start, MAX, 0, MAX, *types, 0, 0, 0, 0, ANSWER)
        ioctl(fd, TREE_SEARCH_V2, buffer)
        count, at = KEY.unpack_from(buffer)[9], KEY.size
        if not count:
            return sorted(found)
        for _ in range(count):
            _, _, start, _, length = HEADER.unpack_from(buffer, at)
            at += HEADER.size
            if length == ITEM.size:
                _, _, compressed, _, _, kind, place, whole, _, _ = ITEM.unpack_from(buffer, at)
                if kind == REGULAR and place and not compressed:  # what is compressed is 128 KiB at most
                    found.add((place, whole))
            at += length
        start += 1


def rewrite(folder: str, ident: str, fd: int, known: Sequence[tuple[int, int]], told: Report) -> None:
    """Store anew what a file has left of these extents, where that frees room.

    It never takes more than BATCH and an extent beyond what it has freed. OSError when even that is not there: what
    was not stored anew by then stays as it was.
    """
    found = list(rests(known, usage.mapped(fd))) if known else []
    if not found:
        return
    with scratch(folder, f"{ident}-remains", nocow=btrfs.is_nocow(fd)) as made:
        os.ftruncate(made, os.fstat(fd).st_size)  # an end within a block is shared with another's end alone
        _rewrite(fd, made, found, told.begin("rewrite", sum(rest.held for rest in found)))


@contextlib.contextmanager
def scratch(folder: str, name: str, *, nocow: bool) -> Iterator[int]:
    """The descriptor of a file without a name, with or without checksums as those that are to share its blocks."""
    with image_draft.Draft(folder, name) as made:
        made.hide()
        if not nocow:
            btrfs.set_nocow(made.fd, wanted=False)
        try:
            yield made.fd
        finally:
            os.ftruncate(made.fd, 0)  # what a file without a name has, the kernel lets go at its leisure


def rests(known: Sequence[tuple[int, int]], mapped: Iterable[tuple[int, int, int, int]]) -> Iterator[Rest]:
    """What is to be stored anew of extents, when `mapped` is what usage.mapped() tells of the file.

    Nothing of one that another file has, too, or a clone: it would stay.
    """
    parts: dict[tuple[int, int], list[tuple[int, int]]] = {}
    others = set()
    for extent, offset, _, length, flags in pieces(known, mapped):
        parts.setdefault(extent, []).append((offset, length))
        if flags & ~usage.LAST:
            others.add(extent)
    for extent in sorted(parts.keys() - others):
        rest = Rest(extent[1], parts[extent])
        if worth(rest.whole, rest.held):
            yield rest


def pieces(
    known: Sequence[tuple[int, int]], mapped: Iterable[tuple[int, int, int, int]]
) -> Iterator[tuple[tuple[int, int], int, int, int, int]]:
    """What is mapped of each extent that is known: the extent, offset in the file, place on the disk, length, flags."""
    starts = [start for start, _ in known]
    for offset, place, length, flags in mapped:
        index = max(0, bisect_right(starts, place) - 1)
        while index < len(known) and starts[index] < place + length:
            first, last = max(place, starts[index]), min(place + length, sum(known[index]))
            if first < last:
                yield known[index], offset + first - place, first, last - first, flags
            index += 1


def worth(whole: int, held: int) -> bool:
    return (whole - held) * WORTH >= held


def batches(found: Iterable[Held]) -> Iterator[list[Held]]:
    """What is written before the kernel shares it: BATCH octets, or the rest of an extent more."""
    batch: list[Held] = []
    waiting = 0
    for one in found:
        batch.append(one)
        waiting += one.held
        if waiting >= BATCH:
            yield batch
            batch, waiting = [], 0
    if batch:
        yield batch


def copy(source: int, offset: int, target: int, place: int, length: int) -> None:
    """So many octets, or as many as there are."""
    done = 0
    while done < length and (chunk := os.pread(source, min(CHUNK, length - done), offset + done)):
        done += os.pwrite(target, chunk, place + done)


def _rewrite(fd: int, scratch: int, found: Iterable[Rest], told: Report) -> None:
    done = 0
    for batch in batches(found):
        # A clone may have been made since: then the extent would stay.
        ranges = [part for rest in batch if not _shared(fd, rest.parts[0][0]) for part in rest.parts]
        for offset, length in ranges:
            copy(fd, offset, scratch, offset, length)
        os.fdatasync(scratch)  # all at once: the kernel writes what it is to share
        size = os.fstat(fd).st_size
        for offset, length in ranges:
            reflink.dedupe(scratch, fd, offset, offset, min(length, size - offset))
        done += sum(rest.held for rest in batch)
        told(done)


def _shared(fd: int, offset: int) -> bool:
    return any(flags & usage.SHARED for *_, flags in usage.mapped(fd, offset, offset + 1, 1))


def _mapped(fd: int) -> Iterator[tuple[int, int]]:
    """As far as anybody is told, by Linux 6.1 and later."""
    for offset, _, length, _ in usage.mapped(fd):
        at = offset
        while at < offset + length and (found := usage.mapped(fd, at, at + 1, 1)):
            start, place, count, flags = found[0]
            if not flags & ~usage.LAST:
                yield place, count
            at = start + count
