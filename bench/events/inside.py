"""The worker in the root: plays Ganeti's job queue, or reads the rows at the end. It answers bench.remote.

It runs on Debian 13; two of it run, so that one reads while the other writes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from bench.events import feeding, rows
from bench.events.jobfiles import FINAL, server
from bench.events.matching import Event
from bench.remote import answer

_PAUSE = 0.005  # seconds between two looks whether the last row is there
_listeners: dict[str, Listener] = {}


class Listener(threading.Thread):
    """Notes what comes into a table."""

    def __init__(self, kind: str, where: str, table: str) -> None:
        super().__init__(daemon=True)
        self._rows = rows.KINDS[kind](where, table)
        self._rows.listen()
        self._lock = threading.Condition()
        self._found: list[Event] = []
        self._done = False
        self._failed: Exception | None = None

    def run(self) -> None:
        try:
            while not self._done:
                if found := self._rows.events(0.2):
                    with self._lock:
                        self._found += found
                        self._lock.notify()
            self._rows.close()
        except Exception as err:  # noqa: BLE001 (whatever it is, `wait` raises it)
            with self._lock:
                self._failed = err
                self._lock.notify()

    def wait(self, last: Mapping[int, int], timeout: float) -> list[Event]:
        """All that came, once of each server its last job (or a later one) has ended there, or after `timeout`."""

        def complete() -> bool:
            reached = {server(event.job): event.job for event in self._found if event.rank == FINAL}
            return self._failed is not None or all(reached.get(number, 0) >= job for number, job in last.items())

        with self._lock:
            self._lock.wait_for(complete, timeout)
        self._done = True
        self.join()
        if self._failed is not None:
            raise self._failed
        return self._found


def offer(queue: str, states: str, first: int, rate: float, count: int) -> list[Event]:
    """feeding.offer."""
    return feeding.offer(queue, states, first, rate, count)


def backlog(queue: str, states: str, first: int, count: int) -> None:
    """feeding.backlog."""
    feeding.backlog(queue, states, first, count)


def listen(kind: str, where: str, table: str) -> None:
    """Note from now on what comes into a table, until `heard`."""
    _listeners["one"] = Listener(kind, where, table)
    _listeners["one"].start()


def heard(first: int, count: int, timeout: float) -> list[Event]:
    """What came, once so many jobs have ended there or the time is over."""
    last = {server(job): job for job in range(first, first + count)}
    return _listeners.pop("one").wait(last, timeout)


def arrived(kind: str, where: str, table: str, first: int, count: int, timeout: float) -> tuple[float, int, int]:
    """When (time.monotonic()) the last of so many jobs had ended there, or the time was over.

    Then the newest that is there, and how many have ended.
    """
    found = rows.KINDS[kind](where, table)
    end = time.monotonic() + timeout
    while (newest := found.newest()) < first + count - 1 and time.monotonic() < end:
        time.sleep(_PAUSE)
    at = time.monotonic()
    while (number := found.ended(first)) < count and time.monotonic() < end:
        time.sleep(_PAUSE)
        at = time.monotonic()
    found.close()
    return at, newest, number


if __name__ == "__main__":
    answer(offer, backlog, listen, heard, arrived)
