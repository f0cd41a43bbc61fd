"""What the consumer did since it started, for whoever asks it. Plain numbers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ganeti_ext import event

DEAD = "dead"


@dataclass(slots=True)
class Counts:
    """Times in seconds since the epoch, 0.0 for never; `clock` is that of the day."""

    clock: Callable[[], float] = time.time
    taken: dict[tuple[str, str], int] = field(default_factory=dict)
    """Messages that were taken, by type and by what became of them: applied, skipped, dead (of no type)."""
    last_message: float = 0.0
    """When the last one was taken, but for samples, by this machine's clock."""
    last_event: float = 0.0
    """The newest event_time, by the clock of whoever wrote the message."""
    lag: float | None = None
    """Seconds from the last event to its being applied: a difference of two machines' clocks."""

    def seen(self, message: Mapping[str, Any], outcome: str) -> None:
        """One message was taken: frontend.update.mirror.Mirror's `seen`."""
        key = str(message.get("type", "")), outcome
        self.taken[key] = self.taken.get(key, 0) + 1
        if message.get("type") == event.SAMPLES:
            return  # each node sends them, whether the master's jobs are told or not
        self.last_message = self.clock()
        moment = event.seconds(message.get("event_time"))
        if moment is not None:
            self.last_event = max(self.last_event, moment)
            self.lag = self.last_message - moment

    @property
    def applied(self) -> int:
        """Messages that were understood."""
        return sum(count for (_, outcome), count in self.taken.items() if outcome != DEAD)

    @property
    def dead(self) -> int:
        """Messages that were not."""
        return sum(count for (_, outcome), count in self.taken.items() if outcome == DEAD)
