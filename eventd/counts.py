"""What eventd saw and did since it started, for whoever asks it. Plain numbers: written by one thread each."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ganeti_ext import event

# Upper bounds in seconds: a put is safe within milliseconds, an outage of the broker lasts minutes.
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0)


@dataclass(slots=True)
class Durations:
    """How long something took, in seconds: `within` counts those of at most BOUNDS[i] and more than the one before."""

    within: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    count: int = 0
    total: float = 0.0
    last: float = 0.0

    def add(self, seconds: float) -> None:
        """A clock that was set back makes no negative ones."""
        seconds = max(0.0, seconds)
        self.within[bisect_left(BOUNDS, seconds)] += 1
        self.count += 1
        self.total += seconds
        self.last = seconds


@dataclass(slots=True)
class Counts:
    """Numbers since the start; times in seconds since the epoch, 0.0 for never."""

    jobs_read: int = 0  # job files that were read, each time that they were
    notes_read: int = 0
    told: dict[str, int] = field(default_factory=dict)  # messages put into the spool, by type
    complaints: int = 0  # jobs and notes that cannot be understood
    scans: int = 0  # readings of the whole queue
    overflows: int = 0  # of the kernel's queue of inotify
    asked: int = 0  # questions to luxid
    unanswered: int = 0  # of these, those without an answer
    owed: int = 0  # final messages that were told without Ganeti's word and wait for it now
    lost: int = 0  # messages that were dropped because the spool was full
    lost_final: int = 0  # of these, those with a final status
    spool_failures: int = 0  # puts that the disk refused; what they held is read again
    published: int = 0  # messages that a broker confirmed
    publish_failures: int = 0  # connections to brokers that failed or broke
    broker: str = ""  # to whom the publisher is connected now, without the password; "" for none
    last_event: float = 0.0  # when the last message was put into the spool, but for samples
    last_published: float = 0.0  # when the broker last confirmed one
    publish: Durations = field(default_factory=Durations)  # from the put to the broker's confirm
    # Each is called in the loop's thread with each message once it is in the spool.
    watchers: list[Callable[[Mapping[str, Any]], None]] = field(default_factory=list)

    def put(self, messages: Iterable[Mapping[str, Any]]) -> None:
        """These are in the spool."""
        for message in messages:
            self.told[message["type"]] = self.told.get(message["type"], 0) + 1
            if message["type"] != event.SAMPLES:
                self.last_event = time.time()
            for watcher in tuple(self.watchers):
                watcher(message)

    def confirmed(self, put_at: Iterable[float]) -> None:
        """A broker has messages that were put at these times."""
        now = time.time()
        for moment in put_at:
            self.publish.add(now - moment)
            self.published += 1
        self.last_published = now
