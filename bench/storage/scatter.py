"""A file in many pieces, and a guest's writes all over a disk: python3 -m bench.storage.scatter DEVICE LENGTH."""

from __future__ import annotations

import fcntl
import mmap
import os
import random
import select
import struct
import sys
import time

BLOCK = 4096
_FIEMAP = 0xC020660B  # linux/fiemap.h
_HEAD = struct.Struct("=2Q4I")  # start length flags mapped count reserved
_SYNC = 1  # FIEMAP_FLAG_SYNC


def scatter(path: str, pieces: int) -> int:
    """Write every other block of a sparse file, so that no two can be of one piece; returns how many there are."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        for number in range(pieces):
            os.pwrite(fd, number.to_bytes(4, "big") * (BLOCK // 4), 2 * BLOCK * number)
        os.fsync(fd)
        return count(fd)
    finally:
        os.close(fd)


def count(fd: int) -> int:
    """The pieces of a file, by the file system's word (Documentation/filesystems/fiemap.rst)."""
    head = bytearray(_HEAD.pack(0, (1 << 64) - 1, _SYNC, 0, 0, 0))
    fcntl.ioctl(fd, _FIEMAP, head)
    return int(_HEAD.unpack(head)[3])


def write(device: str, length: int) -> tuple[int, float]:
    """Write single blocks anywhere, past the page cache, until stdin ends: how many, and the longest wait in ms."""
    chance = random.Random(1)
    done, worst = 0, 0.0
    with mmap.mmap(-1, BLOCK) as block:
        block.write(os.urandom(BLOCK))
        fd = os.open(device, os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC)
        try:
            while not select.select([sys.stdin], [], [], 0)[0]:
                start = time.perf_counter()
                os.pwrite(fd, block, BLOCK * chance.randrange(length // BLOCK))
                worst = max(worst, time.perf_counter() - start)
                done += 1
                if done == 1:
                    print("writing", flush=True)
        finally:
            os.close(fd)
    return done, 1000 * worst


if __name__ == "__main__":
    print(*write(sys.argv[1], int(sys.argv[2])))
