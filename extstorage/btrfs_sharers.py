"""Extents of which several images have parts: what they have is stored anew, once for them all, so that the rest goes.

Such are left when an image is removed that others share blocks with, and by versions that stored nothing anew. Whose an
extent is the kernel tells root alone (btrfs). See btrfs_remains.py.
"""

from __future__ import annotations

import contextlib
import os
from array import array
from fcntl import ioctl
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from extstorage import btrfs, btrfs_remains, reflink, usage
from extstorage.draft import FOLDER
from extstorage.layout import DISK, FILE, SUBVOLUME

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from extstorage.image_report import Report

    Owner = tuple[int, int]
    """The tree of a subvolume, and an inode in it."""

SYNC = 0x9408  # linux/btrfs.h
INO_LOOKUP = 0xD0009412
LOGICAL_INO_V2 = 0xC038943B
LOOKUP = Struct("=QQ4080x")  # struct btrfs_ioctl_ino_lookup_args: treeid objectid
LOGICAL = Struct("=7Q")  # struct btrfs_ioctl_logical_ino_args: logical size, reserved, flags inodes
WHOLE = 1  # BTRFS_LOGICAL_INO_ARGS_IGNORE_OFFSET: of all parts of the extent
ANSWER = 1 << 20  # octets
NAME = "all-remains"


class Part(NamedTuple):
    """What a file has of an extent, and where on the disk; octets."""

    fd: int
    offset: int
    place: int
    length: int


class Extent(NamedTuple):
    """`parts`: all that files have of it; `once`: the same, and no octet twice."""

    place: int
    parts: Sequence[Part]
    once: Sequence[Part]

    @property
    def held(self) -> int:
        return sum(part.length for part in self.once)


def rewrite(folder: str, told: Report) -> None:
    """Store anew what the images of a directory have of extents that they alone have parts of; nothing but by root.

    OSError when there is no room: what was not stored anew by then stays as it was.
    """
    with contextlib.ExitStack() as undo:
        directory = os.open(folder, FOLDER)
        undo.callback(os.close, directory)
        if not btrfs.here(directory):
            return
        ioctl(directory, SYNC)  # what is told of owners is what is on the disk
        with contextlib.suppress(PermissionError):
            files = _files(folder, undo)
            for nocow in (True, False):
                some = {owner: fd for owner, fd in files.items() if btrfs.is_nocow(fd) == nocow}
                _rewrite(folder, some, told, nocow=nocow)


def extents(fds: Iterable[int]) -> Iterator[Extent]:
    """Those of which these files have so little that it is worth to store it anew."""
    found: dict[tuple[int, int], list[Part]] = {}
    others = set()
    for fd in fds:
        size = os.fstat(fd).st_size
        for extent, offset, place, length, flags in btrfs_remains.pieces(btrfs_remains.searched(fd), usage.mapped(fd)):
            found.setdefault(extent, []).append(Part(fd, offset, place, length))
            # An end within a block could be shared with another file's end alone.
            if flags & ~(usage.LAST | usage.SHARED) or offset + length > size:
                others.add(extent)
    for place, whole in sorted(found.keys() - others):
        parts = found[place, whole]
        made = Extent(place, parts, list(once(parts)))
        if btrfs_remains.worth(whole, made.held):
            yield made


def once(parts: Iterable[Part]) -> Iterator[Part]:
    """What is in any of these parts, by its place on the disk, and no octet twice."""
    done = 0
    for part in sorted(parts, key=lambda part: part.place):
        skip = max(0, done - part.place)
        if skip < part.length:
            yield Part(part.fd, part.offset + skip, part.place + skip, part.length - skip)
            done = part.place + part.length


def owners(fd: int, place: int) -> set[Owner]:
    """Who has any part of the extent that begins there, clones of subvolumes too; nobody when they are too many."""
    answer = array("Q", bytes(ANSWER))
    address, _ = answer.buffer_info()
    try:
        ioctl(fd, LOGICAL_INO_V2, LOGICAL.pack(place, ANSWER, 0, 0, 0, WHOLE, address))
    except FileNotFoundError:  # it has just gone
        return set()
    count, missed = answer[1] & 0xFFFFFFFF, answer[1] >> 32  # struct btrfs_data_container
    triples = answer[2 : 2 + count]  # inode offset root
    return set() if missed else set(zip(triples[2::3], triples[::3], strict=True))


def _rewrite(folder: str, files: Mapping[Owner, int], told: Report, *, nocow: bool) -> None:
    found = list(extents(files.values()))
    if not found:
        return
    told = told.begin("rewrite", sum(extent.held for extent in found))
    with btrfs_remains.scratch(folder, NAME, nocow=nocow) as scratch:
        done = 0
        for batch in btrfs_remains.batches(found):
            _move(scratch, [extent for extent in batch if _alone(extent, files.keys())])
            done += sum(extent.held for extent in batch)
            told(done)


def _alone(extent: Extent, files: Collection[Owner]) -> bool:
    found = owners(extent.parts[0].fd, extent.place)
    return bool(found) and found <= set(files)


def _move(scratch: int, batch: Iterable[Extent]) -> None:
    """In the scratch file it is where it was on the disk."""
    batch = list(batch)
    for extent in batch:
        for fd, offset, place, length in extent.once:
            btrfs_remains.copy(fd, offset, scratch, place, length)
    os.fdatasync(scratch)
    for extent in batch:
        for fd, offset, place, length in extent.parts:
            reflink.dedupe(scratch, fd, place, offset, length)


def _files(folder: str, undo: contextlib.ExitStack) -> dict[Owner, int]:
    """Descriptors of all images of a directory."""
    found = {}
    for name in sorted(os.listdir(folder)):
        path = f"{folder}/{name}/{DISK}" if name.endswith(SUBVOLUME) else f"{folder}/{name}"
        if not name.startswith(".") and name.endswith((FILE, SUBVOLUME)):
            with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
                undo.callback(os.close, fd)
                os.fsync(fd)
                found[_tree(fd), os.fstat(fd).st_ino] = fd
    return found


def _tree(fd: int) -> int:
    request = bytearray(LOOKUP.pack(0, btrfs.SUBVOLUME_INODE))
    ioctl(fd, INO_LOOKUP, request)
    return int(LOOKUP.unpack(request)[0])
