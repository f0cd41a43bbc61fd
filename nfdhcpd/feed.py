"""What happens, for somebody who watches: kept until he takes it, counted when he is too slow."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nfdhcpd.session import Record

WAITING = 1000  # transactions that wait for the watcher


class Feed:
    """A watcher of the service (service.Watcher), of one tap or of all; `wake` is called when there is news.

    `clock` is that of the day.
    """

    def __init__(self, tap: str | None, wake: Callable[[], None], clock: Callable[[], float]) -> None:
        self._tap = tap
        self._wake = wake
        self._clock = clock
        self._waiting: list[Record] = []
        self._lost = 0

    def __call__(self, tap: str, instance: str, asked: str, told: str, seconds: float) -> None:
        """A packet was handled."""
        if self._tap not in (None, tap):
            return
        if len(self._waiting) >= WAITING:
            self._lost += 1
            return
        us = round(seconds * 1e6, 1)
        self._waiting.append(
            {"time": self._clock(), "tap": tap, "instance": instance, "asked": asked, "told": told, "us": us}
        )
        self._wake()

    def taken(self) -> Iterator[Record]:
        """What waits, and how many there was no place for after it; what comes meanwhile, too."""
        while self._waiting:
            found, self._waiting = self._waiting, []
            lost, self._lost = self._lost, 0
            yield from found
            if lost:
                yield {"lost": lost}
