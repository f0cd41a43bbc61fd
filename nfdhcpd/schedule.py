"""When each tap's next periodic advertisement is due (RFC 4861, 6.2.4). No clock: the time is an argument."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Schedule:
    """The taps and their times.

    `jitter` gives numbers from 0 to 1. The first comes within two seconds, two more within half a minute for a
    guest that was still booting, then one within each period.
    """

    FIRST = (2.0, 16.0, 16.0)

    def __init__(self, period: float, jitter: Callable[[], float]) -> None:
        self.period = period
        self._jitter = jitter
        self._heap: list[tuple[float, int]] = []
        self._due: dict[int, float] = {}
        self._sent: dict[int, int] = {}

    def start(self, ifindex: int, now: float) -> None:
        """Begin with a tap, or begin again."""
        self._sent[ifindex] = 0
        self._push(ifindex, now)

    def stop(self, ifindex: int) -> None:
        self._due.pop(ifindex, None)
        self._sent.pop(ifindex, None)

    def due(self, now: float) -> Iterator[int]:
        """Taps whose time has come; each is scheduled anew."""
        while self._heap and self._heap[0][0] <= now:
            when, ifindex = heapq.heappop(self._heap)
            if self._due.get(ifindex) == when:  # else it was stopped or begun again since
                self._sent[ifindex] += 1
                self._push(ifindex, now)
                yield ifindex

    def _push(self, ifindex: int, now: float) -> None:
        sent = self._sent[ifindex]
        wait = min(self.FIRST[sent], self.period) if sent < len(self.FIRST) else self.period
        when = now + wait * (0.75 + self._jitter() / 4)
        self._due[ifindex] = when
        heapq.heappush(self._heap, (when, ifindex))
