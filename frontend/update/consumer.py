"""The end of the update path: takes messages from a source, and forgets them there once they are applied."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from sqlalchemy.exc import SQLAlchemyError

from ganeti_ext.errors import ConfigError, ExtError
from ganeti_ext.outbox import Outbox, drain
from ganeti_ext.service import Loop

log = logging.getLogger(__name__)

BATCH = 500
LONG = 10.0
"""Seconds that something was away, after which what is known is compared with Ganeti."""

_DELAYS = (1.0, 2.0)  # seconds from a failure to the next try, and from all further ones
_SAID_EVERY = 60.0


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

    def waiting(self) -> int | None:
        """How many messages wait, as far as that is known."""

    def close(self) -> None: ...


class Applies(Protocol):
    """frontend.update.mirror.Mirror."""

    def take_all(self, bodies: Sequence[str | bytes]) -> Iterator[int]: ...


class Backoff:
    """When to try again, so that what comes back is noticed within 2 seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None
        self._not_before = 0.0
        self._delay = _DELAYS[0]
        self._said = ""
        self._say_again = 0.0

    def failed(self, why: str) -> None:
        """One more failure. It is logged when it is another one, and once a minute."""
        now = self._clock()
        if self._since is None:
            self._since, self._delay = now, _DELAYS[0]
        if why != self._said or now >= self._say_again:
            log.error("%s; trying again every %g s", why, _DELAYS[1])
            self._said, self._say_again = why, now + _SAID_EVERY
        self._not_before, self._delay = now + self._delay, _DELAYS[1]

    def worked(self) -> float:
        """It works; returns for how many seconds it did not."""
        since, self._since = self._since, None
        self._not_before, self._said = 0.0, ""
        return self._clock() - since if since is not None else 0.0

    @property
    def waiting(self) -> bool:
        return self._clock() < self._not_before


class Pump:
    """From a source into the database, a batch at a time, so that signals are heard in between.

    `returned` is called when the database works again after it was away for long.
    """

    def __init__(
        self,
        source: Source,
        mirror: Applies,
        backoff: Backoff | None = None,
        returned: Callable[[], None] = lambda: None,
    ) -> None:
        self._source, self._mirror, self._returned = source, mirror, returned
        self._backoff = backoff or Backoff()
        self._again = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.idle = False
        """Everything that was there is applied."""
        self.batches = 0

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
        done = 0
        try:
            for count in self._mirror.take_all([delivery.body for delivery in batch]):
                done += count
        except SQLAlchemyError as err:
            self._backoff.failed(f"database: {_first_line(err)}; messages wait")
        if done:
            self._source.settle(batch[:done])
            self.batches += 1
        self.idle = done == len(batch) < BATCH
        if done == len(batch) > 0 and self._backoff.worked() > LONG:
            self._returned()
        if done == BATCH:
            os.eventfd_write(self._again, 1)

    def close(self) -> None:
        self._source.close()
        os.close(self._again)

    def _continue(self) -> None:
        os.eventfd_read(self._again)
        self.work()


class OutboxSource:
    """eventd's own file, on the machine where eventd writes it. One process takes from it."""

    def __init__(self, path: str) -> None:
        try:
            self._alone = _alone(path)
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

    def waiting(self) -> int | None:
        return len(self._outbox)

    def close(self) -> None:
        self._wake.close()
        self._outbox.close()
        os.close(self._alone)


def _alone(path: str) -> int:
    """A lock on the outbox's taking end, held until it is closed; ExtError when another process has it."""
    fd = os.open(f"{path}.taker", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(fd, 20).decode(errors="replace").strip()
        os.close(fd)
        raise ExtError(
            f"outbox {path}: process {holder or '?'} takes from it already; "
            f"several consumers need RabbitMQ and PostgreSQL"
        ) from None
    os.ftruncate(fd, 0)
    os.write(fd, f"{os.getpid()}\n".encode())
    return fd


def _first_line(err: SQLAlchemyError) -> str:
    return str(err).split("\n", 1)[0]
