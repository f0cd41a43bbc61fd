"""Which cluster a message is of: Ganeti's name of it, which the messages have, is looked up in the table `cluster`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Engine

from frontend.database import db
from frontend.effect.clusters import HOME

OF = "of"
"""The key under which a message that was looked up has the id of its cluster."""

_HOLDS = 2.0  # seconds that what was read counts


class Whose:
    """As long as the home cluster has no row, it is the only one, and all messages are of it, whatever it is called."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._clock = engine, clock
        self._names: dict[str | None, str] = {}
        self._until = 0.0

    def cluster(self, message: Mapping[str, Any]) -> str:
        """The id; ValueError when it is none that is known here."""
        found = self.known(message)
        if found is None:
            name = message.get("cluster")
            raise ValueError(f"cluster {name!r:.80} is not known here: ganeti-ext-manage cluster-list")
        return found

    def known(self, message: Mapping[str, Any]) -> str | None:
        """The same, or None."""
        name = message.get("cluster")
        if self._clock() >= self._until:
            self._read()
        return self._names.get(name, None if HOME in self._names.values() else HOME)

    def _read(self) -> None:
        column = db.cluster.c
        with self._engine.connect() as connection:
            found = connection.execute(select(column.name, column.id).where(column.name.is_not(None)))
            self._names = {row.name: row.id for row in found}
        self._until = self._clock() + _HOLDS
