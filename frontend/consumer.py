"""The end of the update path: takes messages from a source, and forgets them there once they are applied."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from sqlalchemy.exc import SQLAlchemyError

from ganeti_ext.errors import ConfigError
from ganeti_ext.outbox import Outbox, drain
from ganeti_ext.service import Loop

log = logging.getLogger(__name__)

BATCH = 100


class Delivery(NamedTuple):
    tag: int
    """The source's own number of it."""
    body: str | bytes


class Source(Protocol):
    """Where messages come from. Each is given again until it is settled, also after a restart."""

    def start(self, loop: Loop, ready: Callable[[], None]) -> None:
        """Call `ready` from the loop whenever there may be something to take."""

    def take(self, limit: int) -> Sequence[Delivery]:
        """The oldest messages that are not settled."""

    def settle(self, deliveries: Sequence[Delivery]) -> None:
        """Forget these, the oldest ones, for good."""

    def tick(self) -> None:
        """Once a second: what has to be done without a message."""

    def close(self) -> None: ...


class Applies(Protocol):
    """frontend.mirror.Mirror."""

    def take(self, body: str | bytes) -> None: ...


class Backoff:
    """When to try again: after 1, 2, 4 ... 30 seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._not_before = 0.0

    def failed(self) -> float:
        """One more failure; returns the seconds to wait."""
        delay = float(min(30, 2**self._failures))
        self._failures = min(self._failures + 1, 10)
        self._not_before = self._clock() + delay
        return delay

    def worked(self) -> None:
        self._failures, self._not_before = 0, 0.0

    @property
    def waiting(self) -> bool:
        return self._clock() < self._not_before


class Pump:
    """From a source into the database, a batch at a time, so that signals are heard in between."""

    def __init__(self, source: Source, mirror: Applies, backoff: Backoff | None = None) -> None:
        self._source = source
        self._mirror = mirror
        self._backoff = backoff or Backoff()
        self._again = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.idle = False
        """Everything that was there is applied."""

    def start(self, loop: Loop) -> None:
        loop.add(self._again, self._continue)
        self._source.start(loop, self.work)
        loop.every(1, self.tick)
        os.eventfd_write(self._again, 1)

    def tick(self) -> None:
        self._source.tick()
        self.work()

    def work(self) -> None:
        """Apply one batch; the messages of a batch that could not be applied stay in the source."""
        if self._backoff.waiting:
            return
        batch = self._source.take(BATCH)
        done: list[Delivery] = []
        try:
            for delivery in batch:
                self._mirror.take(delivery.body)
                done.append(delivery)
        except SQLAlchemyError as err:
            delay = self._backoff.failed()
            log.error("database: %s; next try in %.0f s, messages wait", _first_line(err), delay)
        else:
            self._backoff.worked()
        if done:
            self._source.settle(done)
        self.idle = len(done) == len(batch) < BATCH
        if len(done) == BATCH:
            os.eventfd_write(self._again, 1)

    def close(self) -> None:
        self._source.close()
        os.close(self._again)

    def _continue(self) -> None:
        os.eventfd_read(self._again)
        self.work()


class OutboxSource:
    """eventd's own file, on the machine where eventd writes it."""

    def __init__(self, path: str) -> None:
        try:
            self._outbox = Outbox(path)
            self._wake = self._outbox.listen()
        except (sqlite3.Error, OSError) as err:
            raise ConfigError(f"outbox {path}: {err}") from err

    def start(self, loop: Loop, ready: Callable[[], None]) -> None:
        def woken() -> None:
            drain(self._wake)
            ready()

        loop.add(self._wake, woken)

    def take(self, limit: int) -> Sequence[Delivery]:
        return [Delivery(message.seq, message.body) for message in self._outbox.take(limit)]

    def settle(self, deliveries: Sequence[Delivery]) -> None:
        self._outbox.drop(delivery.tag for delivery in deliveries)

    def tick(self) -> None:
        """Nothing: the pump looks into the file after each tick."""

    def close(self) -> None:
        self._wake.close()
        self._outbox.close()


def _first_line(err: SQLAlchemyError) -> str:
    return str(err).split("\n", 1)[0]
