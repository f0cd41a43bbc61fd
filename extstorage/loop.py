"""Loop devices by ioctl (linux/loop.h, drivers/block/loop.c)."""

from __future__ import annotations

import errno
import os
from fcntl import ioctl
from stat import S_IFBLK, S_ISBLK
from struct import Struct

from ganeti_ext.errors import ExtError
from ganeti_ext.named import NamedTuple

CONTROL = "/dev/loop-control"
CTL_GET_FREE = 0x4C82
CONFIGURE = 0x4C0A
CLR_FD = 0x4C01
SET_STATUS64 = 0x4C04
GET_STATUS64 = 0x4C05
SET_CAPACITY = 0x4C07
BLKFLSBUF = 0x1261  # linux/fs.h
AUTOCLEAR = 4
DIRECT_IO = 16

# struct loop_info64: device inode rdevice offset sizelimit, number encrypt_type encrypt_key_size flags,
# file_name crypt_name encrypt_key, init[2]; struct loop_config: fd block_size, the former, reserved.
INFO = Struct("=5Q4I64s64s32s2Q")
CONFIG = Struct(f"=2I{INFO.size}s64x")
MARK_MAX = 63  # file_name with its NUL


class Status(NamedTuple):
    """What a bound loop says of itself (LOOP_GET_STATUS64); `raw` is the whole loop_info64."""

    device: int
    inode: int
    flags: int
    mark: bytes
    raw: bytes


def path(number: int) -> str:
    return f"/dev/loop{number}"


def free(control: str = CONTROL) -> int:
    """The number of a loop that nobody had bound a moment ago; the kernel makes one if there is none."""
    try:
        fd = os.open(control, os.O_RDWR | os.O_CLOEXEC)
    except OSError as err:
        raise ExtError(f"cannot get a loop device: {err.strerror}: {control}") from err
    try:
        return ioctl(fd, CTL_GET_FREE)
    finally:
        os.close(fd)


def opened(number: int, mode: int = os.O_RDONLY) -> int:
    """A descriptor of a loop device, whose node is made if it lacks.

    Read-only unless the loop is about to be bound: udev probes a device again each time that a writer closes it.
    """
    name = path(number)
    try:
        return os.open(name, mode | os.O_CLOEXEC)
    except FileNotFoundError:
        _make_node(number)
        return os.open(name, mode | os.O_CLOEXEC)


def write_back(fd: int) -> None:
    """Bring to the file what waits in the loop's page cache; with a file system on it, what waits there too."""
    ioctl(fd, BLKFLSBUF)


def status(fd: int) -> Status | None:
    """What the loop is bound to, or None when it is free (or being freed)."""
    try:
        raw = ioctl(fd, GET_STATUS64, bytes(INFO.size))
    except OSError as err:
        if err.errno == errno.ENXIO:
            return None
        raise
    fields = INFO.unpack(raw)
    return Status(fields[0], fields[1], fields[8], fields[9].rstrip(b"\0"), raw)


def configure(fd: int, backing: int, block_size: int, mark: bytes) -> bool:
    """Bind a file for direct I/O, in one atomic step of the kernel; False when another process was faster."""
    info = INFO.pack(0, 0, 0, 0, 0, 0, 0, 0, DIRECT_IO, mark, b"", b"", 0, 0)
    try:
        ioctl(fd, CONFIGURE, CONFIG.pack(backing, block_size, info))
    except OSError as err:
        if err.errno in (errno.EBUSY, errno.ENXIO, errno.ENODEV):
            return False
        raise
    return True


def keep(fd: int, found: Status) -> None:
    """Take back what `release` ordered for a loop that was in use: it shall outlive its last user."""
    fields = list(INFO.unpack(found.raw))
    fields[8] &= ~AUTOCLEAR
    ioctl(fd, SET_STATUS64, INFO.pack(*fields))


def release(fd: int) -> None:
    """Free the loop, now or, when somebody else has it open, at his close; a free one is left as it is."""
    try:
        ioctl(fd, CLR_FD)
    except OSError as err:
        if err.errno != errno.ENXIO:
            raise


def resize(fd: int) -> None:
    """Make the device as long as its file has become."""
    ioctl(fd, SET_CAPACITY)


def size(number: int) -> int:
    """Length of the device in bytes."""
    return int(_attribute(number, "size")) * 512


def is_direct(number: int) -> bool:
    """Whether the kernel really does direct I/O: it falls back to the page cache without a word."""
    return _attribute(number, "loop/dio") == "1"


def _attribute(number: int, name: str) -> str:
    fd = os.open(f"/sys/block/loop{number}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 64).decode().strip()
    finally:
        os.close(fd)


def _make_node(number: int) -> None:
    # A container's /dev is no devtmpfs: a loop that the kernel makes anew has no node there.
    name = path(number)
    major, minor = _attribute(number, "dev").split(":")
    device = os.makedev(int(major), int(minor))
    try:
        os.mknod(name, 0o660 | S_IFBLK, device)
    except FileExistsError:
        found = os.stat(name)
        if not S_ISBLK(found.st_mode) or found.st_rdev != device:
            raise ExtError(f"{name} is not block device {major}:{minor}") from None
