"""Checksums of one content, all in one pass, each in a thread of its own; and of its blocks, for deduplication."""

from __future__ import annotations

import hashlib
from array import array
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from types import TracebackType
    from typing import Any

ALGORITHMS = ("md5", "sha256", "sha512")
CHUNK = 1 << 20
BLOCK = 1 << 16  # what is deduplicated: smaller scatters files, larger finds whole copies alone
SHORT = 16  # octets of a block's SHA-256 that are kept: the kernel compares the blocks themselves
ZEROS = bytes(CHUNK)
_AHEAD = 16  # chunks that wait for the slowest


class Blocks:
    """The blocks of a file that are not zero: their numbers, and their checksums one behind the other."""

    def __init__(self) -> None:
        self.numbers = array("Q")
        self.digests = bytearray()

    def add(self, number: int, chunk: bytes) -> None:
        """All whole blocks of a chunk, the first of which has this number."""
        for offset in range(0, len(chunk) - BLOCK + 1, BLOCK):
            block = chunk[offset : offset + BLOCK]
            if block != ZEROS[:BLOCK]:
                self.numbers.append(number + offset // BLOCK)
                self.digests += hashlib.sha256(block).digest()[:SHORT]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> tuple[int, bytes]:
        return self.numbers[index], bytes(self.digests[SHORT * index : SHORT * (index + 1)])


class Digests:
    """Checksums of what is added, in its order; threads end with the `with` block."""

    def __init__(self, names: Collection[str], blocks: Blocks | None = None) -> None:
        self.size = 0
        self._blocks = blocks
        self._made = {name: hashlib.new(name, usedforsecurity=False) for name in sorted(names)}
        self._threads = {
            name: ThreadPoolExecutor(1) for name in (*self._made, *(["blocks"] if blocks is not None else []))
        }
        self._waiting: deque[list[Future[Any]]] = deque()

    def __enter__(self) -> Digests:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        for thread in self._threads.values():
            thread.shutdown(cancel_futures=err is not None)

    def add(self, chunk: bytes) -> None:
        """Pieces of CHUNK octets, but the last, so that blocks begin where they do in the file."""
        asked: list[Future[Any]] = [self._threads[name].submit(made.update, chunk) for name, made in self._made.items()]
        if self._blocks is not None:
            asked.append(self._threads["blocks"].submit(self._blocks.add, self.size // BLOCK, chunk))
        self._later(asked, len(chunk))

    def skip(self, count: int) -> None:
        """So many zeros."""
        while count > 0:
            chunk = memoryview(ZEROS)[: min(count, CHUNK)]
            self._later(
                [self._threads[name].submit(made.update, chunk) for name, made in self._made.items()], len(chunk)
            )
            count -= len(chunk)

    def end(self) -> dict[str, str]:
        """The checksums in hexadecimal digits."""
        while self._waiting:
            self._await()
        return {name: made.hexdigest() for name, made in self._made.items()}

    def _later(self, asked: list[Future[Any]], count: int) -> None:
        self.size += count
        self._waiting.append(asked)
        if len(self._waiting) > _AHEAD:
            self._await()

    def _await(self) -> None:
        for one in self._waiting.popleft():
            one.result()
