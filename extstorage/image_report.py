"""What is said of an import while it is at work: JSON lines for programs, a line on a terminal for people."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from extstorage import tell_progress

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

_OFTEN = 0.1  # seconds between two words to a program
# Where on the way from 0 to 100 a phase begins and ends: what is raw already needs no conversion.
PLAIN = {"receive": (0, 70), "digest": (40, 70), "store": (70, 90), "dedup": (90, 95), "rewrite": (95, 99)}
CONVERTED = {"receive": (0, 30), "check": (30, 32), "convert": (32, 60), "digest": (60, 80), "store": (80, 92)}
CONVERTED.update({"dedup": (92, 96), "rewrite": (96, 99)})


class Report:
    """Tells how far the phase is that was begun last. Called with what is done of it, in octets."""

    def __init__(self, what: str, out: TextIO, err: TextIO, *, program: bool) -> None:
        self._what, self._out, self._err, self._program = what, out, err, program
        self.shares: Mapping[str, tuple[int, int]] = PLAIN
        self._phase, self._total, self._percent = "", None, 0
        self._start = self._last = 0.0
        self._pending = False

    _total: int | None

    def begin(self, phase: str, total: int | None) -> Report:
        self._phase, self._total, self._start = phase, total, time.monotonic()
        self._last = 0.0 if self._program else self._start
        self(0)
        return self

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if self._program:
            if now - self._last >= _OFTEN:
                self._last = now
                self._out.write(json.dumps(self._facts(done)) + "\n")
                self._out.flush()
            return
        terminal = self._err.isatty()
        if now - self._last >= (tell_progress.ON_TERMINAL if terminal else tell_progress.IN_LOG):
            self._last = now
            words = tell_progress.line(f"{self._what}: {self._phase}", done, self._total, now - self._start)
            self._err.write(f"\r{words}\x1b[K" if terminal else f"{words}\n")
            self._err.flush()
            self._pending = terminal

    def end(self) -> None:
        """Wipe the line on the terminal."""
        if self._pending:
            self._err.write("\r\x1b[K")
            self._err.flush()
            self._pending = False

    def _facts(self, done: int) -> dict[str, object]:
        first, last = self.shares.get(self._phase, (self._percent, self._percent))
        percent = None
        if self._total:
            percent = first + (last - first) * min(done, self._total) // self._total
        elif self._phase != "receive":
            percent = first
        if percent is not None:
            percent = self._percent = max(self._percent, percent)
        return {"progress": done, "total": self._total, "phase": self._phase, "percent": percent}
