"""The loop device of a volume on this node.

A loop is a volume's when its hint names it and it carries our mark; it is attached to the right file when device
and inode are those of that file. Everything happens under the hint's lock, the hint is written before the loop is
bound, and binding is one ioctl: whoever is killed at any point leaves nothing that the next call does not find.
"""

from __future__ import annotations

import errno
import os
import time
from stat import S_ISREG

from extstorage import loop
from extstorage.hint import Hint, mark
from ganeti_ext.errors import ExtError

TRIES = 256  # each loss means that another process got a loop
BLOCK_SIZES = (512, 4096)  # 4096: what direct I/O needs on disks with such sectors
PATIENCE = 2.0


def attach(hint: Hint, backing: int) -> str:
    """Bind the volume's opened file to a loop device, or find it bound; returns the device's path.

    ExtError where direct I/O is impossible: through the page cache a migrated guest would read on its new
    node what is no longer true.
    """
    file = os.fstat(backing)
    if not S_ISREG(file.st_mode):
        raise ExtError(f"volume {hint.name!r} is not a regular file")
    number = _reuse(hint, file)
    if number is None:
        number = _bind(hint, backing)
    return loop.path(number)


def detach(hint: Hint) -> bool:
    """Free the loop; tell whether it is gone, or will be only when its last user closes it.

    Needs no file: that may have been removed, or replaced, on another node.
    """
    fd = _ours(hint)
    if fd is not None:
        try:
            loop.release(fd)
        finally:
            os.close(fd)  # the kernel may free it only now
        fd = _ours(hint)
    if fd is None:
        hint.forget()
        return True
    os.close(fd)
    return False


def detach_patiently(hint: Hint) -> bool:
    """`detach`, and wait a while for the end of the loop's short-lived users; tell whether it is gone.

    udev looks into each new device: Ganeti's attach, detach, remove in one row meets it there.
    """
    deadline = time.monotonic() + PATIENCE
    while not detach(hint):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def detach_fully(hint: Hint) -> None:
    """`detach_patiently`; ExtError when somebody keeps the loop open."""
    if not detach_patiently(hint):
        raise ExtError(f"volume {hint.name!r} is in use: {loop.path(hint.number or 0)} is open on this node")


def bound(hint: Hint) -> bool:
    """Whether the volume has a loop here, which may be about to go when its last user closes it."""
    fd = _ours(hint)
    if fd is not None:
        os.close(fd)
    return fd is not None


def refresh(hint: Hint) -> None:
    """Give the loop, if there is one, the length of its grown file."""
    fd = _ours(hint)
    if fd is not None:
        try:
            loop.resize(fd)
        finally:
            os.close(fd)


def flush(hint: Hint) -> None:
    """Bring to the file what was written to the loop through the page cache (guests do not, dd does).

    Not to the disk: fsync would have the file system do that at once for all that a guest writes meanwhile.
    """
    fd = _ours(hint)
    if fd is not None:
        try:
            loop.write_back(fd)
        finally:
            os.close(fd)


def _ours(hint: Hint) -> int | None:
    """A descriptor of the volume's loop, whatever file it has."""
    if hint.number is None:
        return None
    try:
        fd = loop.opened(hint.number)
    except OSError as err:
        if err.errno in (errno.ENOENT, errno.ENXIO, errno.ENODEV):  # the loop itself is gone (LOOP_CTL_REMOVE)
            return None
        raise
    ours = False
    try:
        found = loop.status(fd)
        ours = found is not None and found.mark == mark(hint.directory, hint.name)
    finally:
        if not ours:
            os.close(fd)
    return fd if ours else None


def _reuse(hint: Hint, file: os.stat_result) -> int | None:
    """The number of the loop that has this very file."""
    fd = _ours(hint)
    if fd is None or hint.number is None:
        return None
    try:
        found = loop.status(fd)
        if found is None or (found.device, found.inode) != (file.st_dev, file.st_ino):
            loop.release(fd)  # of a volume that was removed elsewhere and whose name came back
            return None
        if not loop.is_direct(hint.number):  # we were killed before we could see this in _bind
            loop.release(fd)
            return None
        if found.flags & loop.AUTOCLEAR:
            loop.keep(fd, found)
        if loop.size(hint.number) < file.st_size:  # grown on another node
            loop.resize(fd)
        return hint.number
    finally:
        os.close(fd)


def _bind(hint: Hint, backing: int) -> int:
    for block_size in BLOCK_SIZES:
        number = _bind_free(hint, backing, block_size)
        if loop.is_direct(number):
            return number
        detach_fully(hint)
    raise ExtError(
        f"volume {hint.name!r}: its file system does no direct I/O for loop devices; a guest's disk needs it"
    )


def _bind_free(hint: Hint, backing: int, block_size: int) -> int:
    ours = mark(hint.directory, hint.name)
    for _ in range(TRIES):
        number = loop.free()
        hint.note(number)
        fd = loop.opened(number, os.O_RDWR)
        try:
            if loop.configure(fd, backing, block_size, ours):
                return number
        finally:
            os.close(fd)
        time.sleep(0.001)
    hint.forget()
    raise ExtError(f"no free loop device after {TRIES} tries; is {loop.path(number)} usable?")
