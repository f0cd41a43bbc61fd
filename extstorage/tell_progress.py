"""How far long work has come: a line on a terminal that is written anew each second, or a line each ten seconds."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

from extstorage import tell

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import TextIO

FIRST = 1.0  # seconds: what is done sooner is not told
ON_TERMINAL, IN_LOG = 1.0, 10.0
LITTLE = 1 << 20  # bytes: less is a note that was written, and says nothing of how far the work has come


def line(what: str, count: int, total: int | None, seconds: float) -> str:
    """What there is to say: bytes, of how many, how fast, how long yet."""
    if not count:
        return f"{what}: {seconds:.0f} s"
    rate = count / seconds if seconds else 0.0
    words = f"{what}: {tell.size(count)}"
    if total:
        words += f" of {tell.size(total)} ({min(100, 100 * count // total)} %)"
    words += f", {tell.size(int(rate))}/s"
    if total and rate and count < total:
        words += f", {(total - count) / rate:.0f} s to go"
    return words


def written(path: str = "/proc/self/io") -> int:
    """Bytes that this process has written by system calls so far; what Ceph's libraries send is not among them."""
    with open(path, encoding="ascii") as file:
        facts = dict(text.split(": ") for text in file.read().splitlines())
    return int(facts["wchar"])


class Progress:
    """Tells of the work in its `with` block. `count` says how many bytes are done; without it: what was written."""

    def __init__(
        self, what: str, total: int | None = None, count: Callable[[], int] | None = None, out: TextIO | None = None
    ) -> None:
        self._what, self._total = what, total
        self._out = out or sys.stderr
        self._before = 0 if count else written()
        self._count = count or self._since
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self) -> Progress:
        self._start = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _since(self) -> int:
        count = written() - self._before
        return count if count >= LITTLE else 0

    def _tell(self) -> None:
        terminal = self._out.isatty()
        wait, told = FIRST, False
        while not self._end.wait(wait):
            words = line(self._what, self._count(), self._total, time.monotonic() - self._start)
            self._out.write(f"\r{words}\x1b[K" if terminal else f"{words}\n")
            self._out.flush()
            wait, told = (ON_TERMINAL if terminal else IN_LOG), True
        if terminal and told:
            self._out.write("\r\x1b[K")
            self._out.flush()
