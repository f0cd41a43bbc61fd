"""Subvolumes by ioctl (linux/btrfs.h): a snapshot of one costs the same however many pieces its file is in."""

from __future__ import annotations

import errno
import os
from fcntl import ioctl
from struct import Struct

FS_INFO = 0x8400941F
SUBVOL_CREATE = 0x5000940E
SNAP_CREATE_V2 = 0x50009417
SNAP_DESTROY = 0x5000940F
GETFLAGS = 0x80086601  # linux/fs.h
SETFLAGS = 0x40086602
NOCOW = 0x00800000

VOL_ARGS = Struct("=q4088s")  # struct btrfs_ioctl_vol_args: fd name
VOL_ARGS_V2 = Struct("=qQQ32x4040s")  # struct btrfs_ioctl_vol_args_v2: fd transid flags, name
FLAGS = Struct("=q")
SUBVOLUME_INODE = 256  # BTRFS_FIRST_FREE_OBJECTID


def here(folder: int) -> bool:
    """Whether a directory is on btrfs itself; through NFS it is not, whatever the server has."""
    try:
        ioctl(folder, FS_INFO, bytearray(1024))
    except OSError as err:
        if err.errno not in (errno.ENOTTY, errno.EINVAL, errno.EOPNOTSUPP):
            raise
        return False
    return True


def create(folder: int, name: str) -> None:
    """Make an empty subvolume in a directory; FileExistsError when the name is taken."""
    ioctl(folder, SUBVOL_CREATE, bytearray(VOL_ARGS.pack(0, name.encode())))


def snapshot(source: int, folder: int, name: str) -> None:
    """Make the subvolume `name` with all that the opened one has at this moment.

    What was written with direct I/O is of one moment; what is in the page cache is not (measured). FileNotFoundError
    when that one has been deleted since it was opened.
    """
    ioctl(folder, SNAP_CREATE_V2, bytearray(VOL_ARGS_V2.pack(source, 0, 0, name.encode())))


def destroy(folder: int, name: str) -> bool:
    """Delete a subvolume with its content, in one step; tell whether it was there."""
    try:
        ioctl(folder, SNAP_DESTROY, bytearray(VOL_ARGS.pack(0, name.encode())))
    except FileNotFoundError:
        return False
    return True


def is_nocow(fd: int) -> bool:
    """Whether a file is written in place. Only files that agree in this can share blocks."""
    return bool(FLAGS.unpack(ioctl(fd, GETFLAGS, bytes(FLAGS.size)))[0] & NOCOW)


def set_nocow(fd: int, *, wanted: bool = True) -> None:
    """Let an empty file be written in place but where a snapshot shares its blocks: no checksums, little scatter."""
    (flags,) = FLAGS.unpack(ioctl(fd, GETFLAGS, bytes(FLAGS.size)))
    ioctl(fd, SETFLAGS, FLAGS.pack(flags | NOCOW if wanted else flags & ~NOCOW))


def is_subvolume(path: str) -> bool:
    """Whether a directory of a btrfs is the root of a subvolume."""
    return os.lstat(path).st_ino == SUBVOLUME_INODE
