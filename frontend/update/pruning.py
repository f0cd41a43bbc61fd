"""Rows that nobody asks for any more: removed a few at a time, so that messages hardly wait for it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from sqlalchemy import Column, Table, delete, select, tuple_
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from frontend.database import db

log = logging.getLogger(__name__)

PERIOD = 10.0
"""Seconds between two times."""
AT_ONCE = 500
"""Rows of a table. Of samples there is one a minute and server: those of 3,000 servers go as fast as they come."""

_RESTS = 5  # times to pass over when nothing more was to be removed, as it costs something to ask
_DAY = 86400.0
_PROBE_DAYS = 1.0


class Pruning:
    """Keeps what was asked and what jobs did for so many days (0: for ever), signs of life for one.

    And what servers used for so many hours.
    """

    def __init__(
        self, engine: Engine, action_days: float, sample_hours: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._engine, self._clock = engine, clock
        self._rests = 0
        self._kept = [(db.probe, db.probe.c.sent, _PROBE_DAYS), (db.sample, db.sample.c.at, sample_hours / 24)]
        if action_days:
            self._kept += [
                (db.action, db.action.c.updated, action_days),
                (db.request, db.request.c.began, action_days),
            ]

    def tick(self) -> None:
        """Each PERIOD."""
        if self._rests:
            self._rests -= 1
            return
        try:
            found = [self._prune(table, column, days) for table, column, days in self._kept]
            self._rests = 0 if AT_ONCE in found else _RESTS
        except SQLAlchemyError as err:  # the log says that it does not work: nothing can be applied, either
            log.debug("nothing is pruned: %s", str(err).split("\n", 1)[0])

    def _prune(self, table: Table, column: Column[float], days: float) -> int:
        """How many rows it removed."""
        keys = list(table.primary_key)
        with self._engine.begin() as connection:
            query = select(*keys).where(column < self._clock() - days * _DAY).limit(AT_ONCE)
            old = [tuple(row) for row in connection.execute(query)]
            if old:
                connection.execute(delete(table).where(tuple_(*keys).in_(old)))
        return len(old)
