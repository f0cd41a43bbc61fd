"""A volume's lock on the shared directory, changed by link(2).

DIRECTORY/locks/NAME holds one file per generation of the lock; the highest is true and names all holders (lock.py). Who
wants to change it writes the next generation under a name of his own and links it to its number: link(2) is atomic on
NFS too and never overwrites, so one of two nodes fails and starts again. The number that was linked counts only if it
is the highest then: a slow node may have linked one that others had already left behind. All happens below one
descriptor of the directory: in one that was removed, and made anew, meanwhile, nothing can be linked by a slow node.
Killed anywhere, a call leaves the old truth or the new one, and at most a draft or an older generation, which the next
call removes.
"""

from __future__ import annotations

import errno
import os
import time

from extstorage.lock import from_text, to_text
from ganeti_ext.errors import ExtError
from ganeti_ext.files import remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from extstorage.lock import Holder

    Holders = tuple[Holder, ...]

TRIES = 50
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
GONE = (errno.ENOENT, errno.ESTALE)
FULL = (errno.ENOSPC, errno.EDQUOT)


def holders(folder: str) -> Holders:
    """Who holds it, for information: NFS may answer from a cache."""
    for _ in range(TRIES):
        try:
            fd = os.open(folder, FOLDER)
        except FileNotFoundError:
            return ()
        try:
            return _read(fd, folder)[1]
        except OSError as err:
            if err.errno not in GONE:
                raise
        finally:
            os.close(fd)
    raise ExtError(f"{folder} changes all the time")


def change(folder: str, node: str, alter: Callable[[Holders], Holders]) -> Holders:
    """Let `alter` make new holders of the present ones, which it may refuse by an error; returns what is true then.

    To be called with the volume's hint held: of this node's processes one may be here. `alter` may be called again,
    also with holders that it has made itself: another node was quick to build on them.
    """
    for _ in range(TRIES):
        try:
            return _attempt(folder, node, alter)
        except OSError as err:
            if err.errno in FULL:
                return _without_room(folder, alter, err)
            # Another node was faster, or removed the directory under us.
            if err.errno not in (*GONE, errno.EEXIST):
                raise
        time.sleep(0.002)
    raise ExtError(f"{folder} changes all the time: another node took it before us {TRIES} times")


def forget(folder: str) -> None:
    """Remove the lock of a volume that is no more."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return
    for name in names:
        remove(f"{folder}/{name}")
    _drop(folder)


def _attempt(folder: str, node: str, alter: Callable[[Holders], Holders]) -> Holders:
    os.makedirs(folder, exist_ok=True)
    fd = os.open(folder, FOLDER)
    draft = f".{node}"
    try:
        _unlink(fd, draft)
        # Made before we look: a change of our own makes the NFS client read the directory anew.
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=fd)
        try:
            number, before = _read(fd, folder)
            after = alter(before)
            if after != before:
                os.write(file, to_text(after).encode())
                os.fsync(file)
                _publish(fd, draft, number + 1)
        finally:
            os.close(file)
            _unlink(fd, draft)
    finally:
        os.close(fd)
        _drop(folder)  # if nobody ever held it
    return after


def _publish(folder: int, draft: str, number: int) -> None:
    os.link(draft, str(number), src_dir_fd=folder, dst_dir_fd=folder)
    found = _numbers(folder)
    if max(found, default=0) != number:  # or another node has forgotten the lock
        _unlink(folder, str(number))
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(number))
    for older in found:
        if older != number:
            _unlink(folder, str(older))


def _without_room(folder: str, alter: Callable[[Holders], Holders], full: OSError) -> Holders:
    """What can be done where no file can be made: nothing at all, or give up what nobody else holds.

    A volume must be removable from a full store, and an instance stoppable.
    """
    try:
        fd = os.open(folder, FOLDER)
    except FileNotFoundError:
        if alter(()):
            raise full from None
        return ()
    try:
        number, before = _read(fd, folder)
        after = alter(before)
        if after and after != before:
            raise full
        if after != before:
            _unlink(fd, str(number))
            if _numbers(fd):  # another node came in meanwhile
                raise full
        return after
    finally:
        os.close(fd)


def _read(folder: int, name: str) -> tuple[int, Holders]:
    """The highest generation and what it says."""
    found = _numbers(folder)
    if not found:
        return 0, ()
    fd = os.open(str(max(found)), os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        return max(found), from_text(os.read(fd, 65536).decode(), f"{name}/{max(found)}")
    finally:
        os.close(fd)


def _numbers(folder: int) -> list[int]:
    fd = os.open(".", FOLDER, dir_fd=folder)  # anew: btrfs shows through a descriptor what was there when it was opened
    try:
        return [int(name) for name in os.listdir(fd) if name.isdigit()]
    finally:
        os.close(fd)


def _unlink(folder: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return


def _drop(folder: str) -> None:
    try:
        os.rmdir(folder)
    except OSError as err:
        if err.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise
