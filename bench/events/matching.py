"""What was written and what was seen, put together: how long each took."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from bench.events.jobfiles import server


class Event(NamedTuple):
    """The rank of a job's status (ganeti_ext/event.py), and when (time.monotonic()) it was written or seen."""

    job: int
    rank: int
    time: float


def latencies(written: Iterable[Event], seen: Iterable[Event]) -> list[tuple[Event, float | None]]:
    """For each that was written the seconds until it, or what came after it on that server, was seen; or None.

    A row tells the last of several that were applied at once.
    """
    by_server: dict[int, list[Event]] = defaultdict(list)
    for event in sorted(seen, key=lambda event: event.time):
        found = by_server[server(event.job)]
        if not found or event[:2] > found[-1][:2]:
            found.append(event)
    return [(event, _after(event, by_server[server(event.job)])) for event in written]


def _after(event: Event, found: list[Event]) -> float | None:
    return next((later.time - event.time for later in found if later[:2] >= event[:2]), None)
