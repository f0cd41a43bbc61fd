"""What eventd saw and did since it started, for whoever asks it. Plain numbers; each is written by one thread alone."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

# Upper bounds in seconds; the last class of `latencies` is all that took longer.
BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

JOB, NOTE = "job", "note"


@dataclass(slots=True)
class Counts:
    """Numbers since the start; times in seconds since the epoch, 0.0 for never."""

    seen: dict[str, int] = field(default_factory=dict)  # messages put into the spool, by type
    complaints: dict[str, int] = field(default_factory=lambda: {JOB: 0, NOTE: 0})  # what cannot be understood
    jobs_read: int = 0  # job files, each time that one was read
    scans: int = 0  # readings of the whole queue
    overflows: int = 0  # of the kernel's queue of inotify
    asked: int = 0  # questions to luxid
    unanswered: int = 0  # of these, those without an answer
    owed: int = 0  # final messages that were told without Ganeti's word and wait for it now
    lost: int = 0  # messages that were dropped because the spool was full
    lost_final: int = 0  # of these, those with a final status
    spool_failures: int = 0  # puts that the disk refused; what they held is read again
    last_event: float = 0.0  # event_time of the last message
    confirmed: int = 0  # messages that a broker has
    latencies: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))  # from the put to the confirm
    seconds: float = 0.0  # the sum of these
    connects: int = 0  # connections to brokers that were made
    connect_failures: int = 0  # that were refused or broke
    broker: str = ""  # to whom messages go now, without the password; "" for none
    # Each is called in the loop's thread with each message once it is in the spool.
    watchers: list[Callable[[Mapping[str, Any]], None]] = field(default_factory=list)

    def put(self, messages: Iterable[Mapping[str, Any]]) -> None:
        """These are in the spool."""
        for message in messages:
            kind = message["type"]
            self.seen[kind] = self.seen.get(kind, 0) + 1
            self.last_event = message["event_time"][0] + message["event_time"][1] / 1e6
            for watcher in tuple(self.watchers):
                watcher(message)

    def confirm(self, put_at: Iterable[float]) -> None:
        """A broker has messages that were put at these times; a clock that was set back makes no negative ones."""
        now = time.time()
        for moment in put_at:
            latency = max(0.0, now - moment)
            self.latencies[bisect_left(BOUNDS, latency)] += 1
            self.seconds += latency
            self.confirmed += 1
