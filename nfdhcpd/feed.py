"""What a watcher of guests gets: transactions of one tap, or of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ganeti_ext import feed

if TYPE_CHECKING:
    from collections.abc import Callable


class Feed(feed.Feed):
    """A watcher of the service (service.Watcher), of one tap or of all; `wake` is called when there is news.

    `clock` is that of the day.
    """

    def __init__(self, tap: str | None, wake: Callable[[], None], clock: Callable[[], float]) -> None:
        super().__init__(wake)
        self._tap = tap
        self._clock = clock

    def __call__(self, tap: str, instance: str, asked: str, told: str, seconds: float) -> None:
        """A packet was handled."""
        if self._tap in (None, tap):
            us = round(seconds * 1e6, 1)
            self.add({"time": self._clock(), "tap": tap, "instance": instance, "asked": asked, "told": told, "us": us})
