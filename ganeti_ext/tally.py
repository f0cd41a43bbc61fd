"""Calls that several processes of one service count in a file that all of them map, and that others may read.

The file has a header of JSON, then a block of numbers for each process: nobody writes where another does, so nothing
is locked between processes. A block stays as it is when its process ends, and the next process goes on with it, so
that sums never fall. Whoever made the file holds a lock on it, and with it his children: without the lock, the
service is down and its numbers are old.

Each row is a kind of call. It has a number for each code, for each class of duration, and the sum of durations.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import mmap
import os
import threading
import time
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, NamedTuple

from ganeti_ext import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

_START = 1 << 16  # of the numbers: the header is shorter
_NUMBER = 8  # bytes


class Shape(NamedTuple):
    """What is counted: `other` among the codes takes those that are not there; `bounds` are upper ones, in seconds."""

    rows: Sequence[str]
    codes: Sequence[str]
    bounds: Sequence[float]

    @property
    def width(self) -> int:
        """Numbers of a row: codes, classes of duration, sum of durations."""
        return len(self.codes) + len(self.bounds) + 2

    @property
    def size(self) -> int:
        """Numbers of a block."""
        return len(self.rows) * self.width


class Row(NamedTuple):
    """The sums of one row: calls by code, by class of duration (one more than bounds), seconds."""

    codes: dict[str, int]
    times: list[int]
    seconds: float


class Found(NamedTuple):
    """What a reader gets; `started` in seconds since the epoch."""

    version: str
    started: float
    bounds: list[float]
    rows: dict[str, Row]


OTHER = "other"


class Tally:
    """The writers' end. One process makes it, its children write; OSError when there is no place for it."""

    def __init__(self, path: str, shape: Shape, blocks: int) -> None:
        self._shape = shape
        self._rows = {name: number for number, name in enumerate(shape.rows)}
        self._codes = {name: number for number, name in enumerate(shape.codes)}
        self._free = list(range(blocks))
        self._block = 0
        self._lock = threading.Lock()
        self._file = _make(path, shape, blocks)
        self._numbers = memoryview(mmap.mmap(self._file, _START + blocks * shape.size * _NUMBER))[_START:].cast("d")

    def claim(self) -> int:
        """A block for a child that is about to start, told to it by `use`; the last one serves all who are too many."""
        return self._free.pop(0) if len(self._free) > 1 else self._free[0]

    def release(self, block: int) -> None:
        """A child is gone."""
        if block not in self._free:
            self._free = sorted([*self._free, block])

    def use(self, block: int) -> None:
        """Count there: called in the child."""
        self._block = block
        self._lock = threading.Lock()

    def count(self, row: str, code: str, seconds: float) -> None:
        """One call, from any thread. `row` must be one of the shape's."""
        shape, numbers = self._shape, self._numbers
        place = self._block * shape.size + self._rows[row] * shape.width
        times = place + len(shape.codes)
        with self._lock:
            numbers[place + self._codes.get(code, len(shape.codes) - 1)] += 1
            numbers[times + bisect_left(shape.bounds, seconds)] += 1
            numbers[times + len(shape.bounds) + 1] += seconds


def read(path: str) -> Found | None:
    """The sums so far; None when there is no such file or whoever made it is gone. OSError, ValueError as they come."""
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        if _held(file.fileno()):
            return _sums(file.read())
    return None


def _make(path: str, shape: Shape, blocks: int) -> int:
    header = json.dumps({"version": __version__, "started": time.time(), "blocks": blocks, **shape._asdict()}).encode()
    if shape.codes[-1] != OTHER or len(header) >= _START:
        raise ValueError(f"tally {path}: the last code is not {OTHER!r}, or too many rows")
    draft = f"{path}.{os.getpid()}"
    file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.write(file, header.ljust(_START, b"\n"))
        os.ftruncate(file, _START + blocks * shape.size * _NUMBER)
        os.rename(draft, path)
    except OSError:
        os.close(file)
        os.unlink(draft)
        raise
    return file


def _held(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def _sums(content: bytes) -> Found:
    header: dict[str, Any] = json.loads(content[:_START])
    shape = Shape(header["rows"], header["codes"], header["bounds"])
    numbers = memoryview(content)[_START:].cast("d")
    blocks = [numbers[start : start + shape.size] for start in range(0, len(numbers), shape.size)]
    sums = [sum(same) for same in zip(*blocks, strict=True)]
    rows = {}
    for number, name in enumerate(shape.rows):
        own = sums[number * shape.width : (number + 1) * shape.width]
        codes, times = own[: len(shape.codes)], own[len(shape.codes) : -1]
        counted = {code: int(count) for code, count in zip(shape.codes, codes, strict=True) if count}
        rows[name] = Row(counted, [int(count) for count in times], own[-1])
    return Found(header["version"], header["started"], header["bounds"], rows)
