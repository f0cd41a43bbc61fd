"""A volume in the making: under a name of its own until it is complete, then published in one step.

On btrfs it is a subvolume with the file in it, elsewhere the file. A call that is killed leaves a draft, which the
next one on the same name, `remove` and `verify` throw away.
"""

from __future__ import annotations

import errno
import os

from extstorage import btrfs, reflink
from extstorage.layout import DISK, FILE, SUBVOLUME, subvolume
from extstorage.size import MIB
from extstorage.warning import warn
from ganeti_ext.errors import ExtError
from ganeti_ext.files import remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from extstorage.copying import Told

NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
DRAFT = ".new"
INFO = "user.ganeti.info"
ORIGIN = "user.ganeti-ext.origin"
KIND = "user.ganeti-ext.kind"
NOTES = (INFO, ORIGIN, KIND)
BLOCK = 4096  # of a file system, at most: what is shared or cut within one goes through the page cache
MANY = 25_000  # extents; a reflink takes some 20 us for each, and writers of the source wait as long


def make(path: str, size: int | None, source: str | None, texts: Mapping[str, str], told: Told | None = None) -> None:
    """Make the volume that would be the file `path`, with the content of `source`, of `size` bytes or as long as that.

    FileExistsError when one of that name was published meanwhile.
    """
    folder = os.open(os.path.dirname(path), FOLDER)
    try:
        discard(folder, path)
        if btrfs.here(folder):
            _subvolume(folder, path, size, source, texts, told)
        else:
            _file(folder, path, size, source, texts, told)
    finally:
        discard(folder, path)
        os.close(folder)


def discard(folder: int, path: str) -> None:
    """Throw away what a killed call left."""
    remove(draft_of(path))
    name = os.path.basename(draft_of(_whole(path)))
    try:
        os.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return
    btrfs.destroy(folder, name)


def draft_of(path: str) -> str:
    folder, name = os.path.split(path)
    return f"{folder}/.{name}{DRAFT}"


def volume(path: str) -> str:
    """Whose draft a path is, or an empty text."""
    name = os.path.basename(path)
    for ending in (f"{FILE}{DRAFT}", f"{SUBVOLUME}{DRAFT}"):
        if name.startswith(".") and name.endswith(ending):
            return name[1:].removesuffix(ending)
    return ""


def volume_of_inner(path: str) -> str:
    """Whose subvolume a draft is in."""
    return os.path.basename(os.path.dirname(path)).removesuffix(SUBVOLUME)


def annotate(path: str | int, texts: Mapping[str, str]) -> None:
    """Keep short texts with a file, and only these of ours, where its file system can."""
    try:
        found = os.listxattr(path)
        for key in NOTES:
            if key in texts:
                os.setxattr(path, key, texts[key].encode())
            elif key in found:
                os.removexattr(path, key)
    except OSError as err:
        if err.errno != errno.ENOTSUP:
            raise


def notes(path: str | int) -> dict[str, str]:
    """What `annotate` kept; nothing where the file system cannot keep it."""
    try:
        found = os.listxattr(path)
        return {key: os.getxattr(path, key).decode() for key in NOTES if key in found}
    except OSError as err:
        if err.errno != errno.ENOTSUP:
            raise
        return {}


def fill(target: int, source: str, size: int | None, told: Told | None = None) -> bool:
    """Give an empty file the content of another, shared where that can be, and a length if one is wanted.

    Tells whether some of its data may be in the page cache alone.
    """
    origin = opened(source, size)
    try:
        copied = not _share(origin, target, source, told)
    finally:
        os.close(origin)
    return lengthen(target, size) or copied


def opened(source: str, size: int | None) -> int:
    """A descriptor of an origin that is to become `size` bytes long."""
    try:
        fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise _removed(source) from None
    length = os.fstat(fd).st_size
    if size is not None and length > size:
        os.close(fd)
        raise ExtError(f"origin {source} has {length} bytes: more than the {size} ({size // MIB} MiB) asked for")
    return fd


def lengthen(fd: int, size: int | None) -> bool:
    """Give a file a length, if one is wanted; tell whether zeros behind its old end may be in the page cache alone."""
    torn = os.fstat(fd).st_size % BLOCK != 0
    if size is None:
        return torn
    try:
        os.ftruncate(fd, size)
    except OSError as err:
        if err.errno != errno.EFBIG:
            raise
        raise ExtError(f"{size // MIB} MiB are more than a file may have on this file system") from err
    return torn


def _file(
    folder: int, path: str, size: int | None, source: str | None, texts: Mapping[str, str], told: Told | None
) -> None:
    fd = os.open(draft_of(path), NEW, 0o600)
    try:
        _complete(fd, size, source, texts, told)
        os.fsync(fd)
        # link(2) never overwrites, unlike rename. It takes the file by its descriptor: had another node thrown our
        # draft away for a leftover, this fails instead of publishing that node's half-written one.
        # With a src_dir_fd Python calls linkat(AT_SYMLINK_FOLLOW), which /proc needs; the path is absolute.
        os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=folder, follow_symlinks=True)
        os.fsync(folder)
    finally:
        os.close(fd)


def _subvolume(
    folder: int, path: str, size: int | None, source: str | None, texts: Mapping[str, str], told: Told | None
) -> None:
    draft, whole = draft_of(_whole(path)), os.path.basename(_whole(path))
    if source and _fits(source, size) and _snapshot(folder, whole, source, size):
        # Complete and on the disk in one step, where a draft's rename would have to be waited for. Killed here, it has
        # its origin's texts.
        _own(f"{_whole(path)}/{DISK}", texts)
        return
    snapshot = bool(source) and _snapshot(folder, os.path.basename(draft), str(source), size)
    if not snapshot:
        btrfs.create(folder, os.path.basename(draft))
    fd = os.open(f"{draft}/{DISK}", os.O_RDWR | os.O_CLOEXEC if snapshot else NEW, 0o600)
    try:
        if not snapshot and not (source and _checksummed(source)):
            btrfs.set_nocow(fd)
        if _complete(fd, size, None if snapshot else source, texts, told):
            os.fsync(fd)
    finally:
        os.close(fd)
    try:
        os.rename(draft, _whole(path))  # onto a subvolume with a disk in it this fails
        # The name of a subvolume is brought to the disk by a commit of the whole file system (btrfs_rename), so all of
        # the above is there before it or with it, but for data in the page cache.
        os.fsync(folder)
    except OSError as err:
        if err.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), _whole(path)) from None


def _fits(source: str, size: int | None) -> bool:
    """Whether an origin has the wanted length already."""
    fd = opened(source, size)
    try:
        return size is None or os.fstat(fd).st_size == size
    finally:
        os.close(fd)


def _snapshot(folder: int, name: str, source: str, size: int | None) -> bool:
    """Make the draft a snapshot of the origin's subvolume; False when that is no subvolume of this file system."""
    if not subvolume(source):
        return False
    os.close(opened(source, size))
    try:
        origin = os.open(subvolume(source), FOLDER)
    except FileNotFoundError:
        raise _removed(source) from None
    try:
        btrfs.snapshot(origin, folder, name)
    except FileNotFoundError:
        raise _removed(source) from None
    except OSError as err:
        if err.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOTTY):
            raise
        return False
    finally:
        os.close(origin)
    return True


def _checksummed(source: str) -> bool:
    """Whether the origin is a file of btrfs with checksums, as most images: its clones must have them too."""
    fd = opened(source, None)
    try:
        return btrfs.here(fd) and not btrfs.is_nocow(fd)
    finally:
        os.close(fd)


def _removed(source: str) -> ExtError:
    return ExtError(f"origin {source} has just been removed")


def _complete(fd: int, size: int | None, source: str | None, texts: Mapping[str, str], told: Told | None) -> bool:
    """Tells what `fill` does."""
    waiting = fill(fd, source, size, told) if source else lengthen(fd, size)
    _own(fd, texts)
    return waiting


def _own(target: int | str, texts: Mapping[str, str]) -> None:
    """What a snapshot of a subvolume has of its origin, an image that anybody may read: a guest's disk is root's."""
    annotate(target, texts)
    os.chown(target, os.geteuid(), os.getegid())
    os.chmod(target, 0o600)


def _share(source: int, target: int, name: str, told: Told | None) -> bool:
    """Tells whether the blocks are shared now, not copied."""
    count = reflink.pieces(source)
    if count > MANY:
        warn(
            "cow",
            f"{name} is in {count} pieces: its reflink takes about {count / 50_000:.1f} s, and its guest's writes wait"
            " as long (on btrfs, volumes made anew are subvolumes, whose snapshots do not)",
        )
    reason = reflink.clone(source, target)
    if reason:
        warn(
            "cow",
            f"no reflink of {name} ({reason}): it is copied, and is of one moment only if nobody writes to it",
        )
        reflink.copy(source, target, told)
    return not reason


def _whole(path: str) -> str:
    """The subvolume that stands for the file NAME.raw."""
    return f"{path.removesuffix(FILE)}{SUBVOLUME}"
