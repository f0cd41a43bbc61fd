"""What happens, for somebody who watches: kept until he takes it, counted when he is too slow."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ganeti_ext.session import Record

WAITING = 1000  # records that wait for the watcher


class Feed:
    """Records for one watcher; `wake` is called when there is news."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._waiting: list[Record] = []
        self._lost = 0

    def add(self, record: Record) -> None:
        """One more, if there is place for it."""
        if len(self._waiting) >= WAITING:
            self._lost += 1
            return
        self._waiting.append(record)
        self._wake()

    def taken(self) -> Iterator[Record]:
        """What waits, and {"lost": N} for those that there was no place for after it; what comes meanwhile, too."""
        while self._waiting:
            found, self._waiting = self._waiting, []
            lost, self._lost = self._lost, 0
            yield from found
            if lost:
                yield {"lost": lost}
