"""When to compare: at the start, when something was or may have been lost, on a timer, and once more where needed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Protocol

# What waits in the source tells of the same by itself, if it is read at once.
_PATIENCE = 1.0
# A backlog that does not end must not put off for ever what is to be done behind it.
_BACKLOG = 60.0
# Reasons that are nobody's but the clock's.
AGAIN, TIMER = "again", "timer"


class Runs(Protocol):
    """frontend.reconcile.reconcile.Background."""

    again: float | None

    @property
    def is_busy(self) -> bool: ...

    def start(self, trigger: str) -> None: ...


class Schedule:
    """Starts a comparison for each trigger within a second, once at a time, and every `seconds` (0: on triggers alone).

    One that was started while messages still waited is repeated once these are applied.
    """

    def __init__(self, seconds: float, work: Runs, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._work, self._clock = seconds or math.inf, work, clock
        self._reason: str | None = None
        self._since = 0.0  # that the reason waits
        self._timer = math.inf
        self._again = False  # the timer is for a repetition
        self._behind: float | None = None  # a comparison behind the backlog is due, at the latest then
        self._running = False
        self.trigger("start")

    def trigger(self, reason: str) -> None:
        """Compare as soon as possible. One that goes on now began too early to count."""
        if self._reason is None:
            self._reason, self._since = reason, self._clock()

    def tick(self, idle: bool) -> None:
        """Once a second; `idle`: all messages that were there are applied."""
        now = self._clock()
        if self._work.is_busy:
            return
        if self._running:
            self._ended(now)
        reason = self._reason or self._due(idle, now)
        if reason is not None and (idle or reason != self._reason or now - self._since >= _PATIENCE):
            self._behind = None if idle else now + _BACKLOG
            self._reason, self._running = None, True
            self._work.start(reason)

    def _due(self, idle: bool, now: float) -> str | None:
        if self._behind is not None and (idle or now >= self._behind):
            return "backlog"
        if now >= self._timer:
            return AGAIN if self._again else TIMER
        return None

    def _ended(self, now: float) -> None:
        again = self._work.again
        self._running, self._again = False, again is not None
        self._timer = now + min(self._seconds, math.inf if again is None else again)
