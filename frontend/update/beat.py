"""The consumer's signs of life: a row of its own in the database, and probes through Ganeti when nothing is heard."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable

from sqlalchemy import insert, update
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from frontend.database import db
from frontend.update import probe
from frontend.update.counts import Counts
from ganeti_ext.errors import ExtError

log = logging.getLogger(__name__)

PERIOD = 20.0
"""Seconds between two signs of life."""


class Beat:
    """`seconds` of silence are followed by a probe; 0: never. `waiting` is how many messages wait, if that is known."""

    def __init__(
        self,
        engine: Engine,
        rapi: probe.RemoteApi,
        counts: Counts,
        waiting: Callable[[], int | None],
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine, self._rapi, self._counts, self._waiting = engine, rapi, counts, waiting
        self._seconds, self._clock = seconds, clock
        self._name = socket.gethostname()[:255]
        self._heard = 0.0  # counts.last_message as it was at ...
        self._since = clock()  # ... the last moment that was not silent
        self._trouble = ""
        self._thread: threading.Thread | None = None

    def tick(self) -> None:
        """Each PERIOD."""
        try:
            self._write()
        except SQLAlchemyError as err:  # the log says it: nothing can be applied, either
            log.debug("no sign of life: %s", str(err).split("\n", 1)[0])
            return
        now = self._clock()
        if self._counts.last_message != self._heard:
            self._heard, self._since = self._counts.last_message, now
        elif self._seconds and now - self._since >= self._seconds:
            self._since = now
            self.probe()

    def probe(self) -> None:
        """Send a probe, in a thread of its own: messages do not wait for a remote API that does not answer."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._send, name="probe", daemon=True)
            self._thread.start()

    def _write(self) -> None:
        counted = self._counts
        values = {
            "time": counted.clock(),
            "last_event": counted.last_event or None,
            "waiting": self._waiting(),
            "applied": counted.applied,
        }
        with self._engine.begin() as connection:
            if not connection.execute(update(db.beat).where(db.beat.c.name == self._name).values(values)).rowcount:
                connection.execute(insert(db.beat).values(name=self._name, **values))

    def _send(self) -> None:
        try:
            probe.send(self._engine, self._rapi)
        except (ExtError, SQLAlchemyError) as err:
            words = str(err).split("\n", 1)[0]
            if words != self._trouble:  # once for an outage, however long
                log.warning("probe: %s; again in %g s", words, self._seconds)
            self._trouble = words
        else:
            self._trouble = ""
