"""Log lines that a guest can cause, a few for each guest in a while: it must not fill the journal."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

BURST, SECONDS = 5, 60.0


class Notices:
    """At most BURST lines for a key within SECONDS; how many were held back is said with the next one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[str, tuple[float, int]] = {}  # key → start of its span, lines asked for since

    def say(self, key: str, text: str, *values: object, level: int = logging.INFO) -> None:
        """Log a line, unless the key has said enough."""
        now = self._clock()
        start, lines = self._said.get(key, (now, 0))
        if now - start >= SECONDS:
            if lines > BURST:
                log.info("%s: %d lines held back", key, lines - BURST)
            start, lines = now, 0
        self._said[key] = start, lines + 1
        if lines < BURST:
            log.log(level, "%s: %s", key, text % values)

    def forget(self, key: str) -> None:
        """The guest is gone."""
        self._said.pop(key, None)
