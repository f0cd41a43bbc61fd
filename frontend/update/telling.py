"""How the consumer tells of itself: its control socket, its signs of life in the database, probes when it is silent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from sqlalchemy.engine import Engine

from frontend.settings import Health
from frontend.update import beat, probe, questions
from frontend.update.counts import Counts
from ganeti_ext.control import Control
from ganeti_ext.service import Loop


class Pump(Protocol):
    """frontend.update.consumer.Pump, as far as it is asked."""

    batches: int


class Waits(Protocol):
    """frontend.update.consumer.Source, as far as it is asked."""

    def waiting(self) -> int | None: ...


class Telling:
    """`seen` is what frontend.update.mirror.Mirror calls for each message that was taken."""

    def __init__(self, engine: Engine, rapi: probe.RemoteApi, config: Health) -> None:
        self._engine, self._rapi, self._config = engine, rapi, config
        self._counts = Counts()
        self._watchers: list[Callable[[Mapping[str, Any], str], None]] = [self._counts.seen]

    def seen(self, message: Mapping[str, Any], outcome: str) -> None:
        for watcher in self._watchers:
            watcher(message, outcome)

    def start(self, loop: Loop, pump: Pump, source: Waits) -> Callable[[], None]:
        """Begin; what ends it is returned."""
        signs = beat.Beat(self._engine, self._rapi, self._counts, source.waiting, self._config.seconds)
        signs.tick()
        loop.every(beat.PERIOD, signs.tick)
        if not self._config.control:
            return lambda: None
        facts = questions.Facts(self._counts, self._engine, source.waiting, lambda: pump.batches)
        answers, tail = questions.make(facts)
        self._watchers.append(tail)
        return Control(self._config.control, answers.begin, loop).close
