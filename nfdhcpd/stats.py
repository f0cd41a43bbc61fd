"""What was asked and answered, counted. Plain numbers: the path of a packet adds to them and does nothing else."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

# Upper bounds in seconds of the classes of a handling time; what is above the last has a class of its own.
BOUNDS = (0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.01, 0.1)


@dataclass(slots=True)
class Counts:
    """One tap's: messages answered by kind (DISCOVER, RS, ...), others by why they were not (answer.REASONS)."""

    answered: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)


class Stats:
    """Counts by tap since the tap is served, and of the whole daemon since its start.

    `times` has one number more than BOUNDS; `seconds` is their sum. Of taps without binding, `foreign` counts what
    was left to the kernel. `bugs` counts packets that were dropped because the daemon itself failed.
    """

    bounds = BOUNDS

    def __init__(self) -> None:
        self.taps: dict[str, Counts] = {}
        self.times = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0
        self.foreign = 0
        self.bugs = 0

    def of(self, tap: str) -> Counts:
        """The counts of a tap."""
        return self.taps.setdefault(tap, Counts())

    def count(self, counts: Counts, asked: str, seconds: float) -> None:
        """A message was answered, in so many seconds."""
        answered = counts.answered
        answered[asked] = answered.get(asked, 0) + 1
        self.times[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds

    def drop(self, tap: str, reason: str) -> None:
        """A message was not answered."""
        dropped = self.of(tap).dropped
        dropped[reason] = dropped.get(reason, 0) + 1

    def forget(self, tap: str) -> None:
        """The tap is gone."""
        self.taps.pop(tap, None)
