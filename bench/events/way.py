"""One way from a job file to a row, at work."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bench.events.matching import Event
from bench.events.place import STATES, Place
from bench.process import Process
from ganeti_ext.errors import ExtError

PATIENCE = 60.0  # seconds for all that is under way to come


class Table(NamedTuple):
    """Where rows come, as bench.events.rows has it: a kind of database, the place of it, the table."""

    kind: str
    where: str
    name: str


class Drained(NamedTuple):
    """Seconds that a backlog took, and of the processor in both programs."""

    wall: float
    sender: float
    taker: float


@dataclass
class Way:
    """`sender` reads the job files in `queue`, `taker` sees to it that there are rows."""

    name: str
    queue: str
    table: Table
    sender: Process
    taker: Process
    last: int = 0  # the job that was written last

    def drain(self, place: Place, count: int) -> Drained:
        """Let so many ended jobs be written while the sender is held; how long it takes from then on to their rows.

        ExtError when a job has no row, or more than one.
        """
        first = self._next(count)
        with self.sender.frozen():
            place.feeder.call("backlog", self.queue, STATES, first, count)
            spent = self.sender.cpu(), self.taker.cpu()
            began = time.monotonic()
        at, newest, found = place.reader.call("arrived", *self.table, first, count, PATIENCE)
        self._alive()
        if newest < self.last or found != count:
            raise ExtError(f"{self.name}: {found} of {count} jobs ended in rows, the newest is {newest} of {self.last}")
        return Drained(at - began, self.sender.cpu() - spent[0], self.taker.cpu() - spent[1])

    def offer(self, place: Place, rate: float, count: int) -> tuple[list[Event], list[Event]]:
        """Let jobs pass through their statuses, with so many renames a second: what was written, and what came."""
        first = self._next(count)
        place.reader.call("listen", *self.table)
        written = place.feeder.call("offer", self.queue, STATES, first, rate, count)
        seen = place.reader.call("heard", first, count, PATIENCE)
        self._alive()
        return _events(written), _events(seen)

    def _next(self, count: int) -> int:
        """The first of so many new jobs."""
        first, self.last = self.last + 1, self.last + count
        return first

    def _alive(self) -> None:
        """CommandError with its last words when one of the programs has ended."""
        self.sender.alive()
        self.taker.alive()


def _events(found: Sequence[tuple[int, int, float]]) -> list[Event]:
    return [Event(*one) for one in found]
