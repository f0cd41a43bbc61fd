"""What the running consumer tells of itself when it is asked; nothing is changed.

{"do": "status"}   one record: messages taken and waiting, when the last came
{"do": "metrics"}  families (ganeti_ext/metric.py), some of them from the database
{"do": "tail"}     each message once it is applied, and what became of it, see ganeti_ext/tail.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from frontend.cluster import standing
from frontend.database import db
from frontend.effect import owed
from frontend.effect.clusters import HOME
from frontend.update.counts import Counts
from ganeti_ext.metric import Family, Sample, counter, counts, gauge
from ganeti_ext.question import Questions
from ganeti_ext.tail import Tail

_PREFIX = "ganeti_ext_consumer"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is told of a consumer; `waiting` messages are not known to every source."""

    counts: Counts
    engine: Engine
    waiting: Callable[[], int | None]
    batches: Callable[[], int]

    def status(self) -> dict[str, Any]:
        counted = self.counts
        return {
            "applied": counted.applied,
            "dead": counted.dead,
            "waiting": self.waiting(),
            "last_message": counted.last_message or None,
            "last_event": counted.last_event or None,
            "lag": counted.lag,
        }

    def metrics(self) -> Iterator[Family]:
        counted = self.counts
        taken = [Sample(n, {"type": kind, "outcome": what}) for (kind, what), n in counted.taken.items()]
        about = "Messages that were taken, by type and by what became of them"
        yield Family(f"{_PREFIX}_messages_total", "counter", about, taken)
        yield counter(f"{_PREFIX}_batches_total", "Batches of messages that were applied", self.batches())
        yield gauge(f"{_PREFIX}_waiting_messages", "Messages that wait to be applied", self.waiting())
        about = "From the last event to its being applied, by the clocks of two machines"
        yield gauge(f"{_PREFIX}_lag_seconds", about, counted.lag)
        about = "The newest event that was heard of, by the clock of its machine, in seconds since 1970"
        yield gauge(f"{_PREFIX}_last_event_timestamp_seconds", about, counted.last_event or None)
        about = "When the last message was taken, in seconds since 1970"
        yield gauge(f"{_PREFIX}_last_message_timestamp_seconds", about, counted.last_message or None)
        found: list[Family] = []
        try:
            with self.engine.connect() as connection:
                found = list(_of_database(connection))
        except SQLAlchemyError:  # the log says it: nothing can be applied, either
            pass
        yield gauge(f"{_PREFIX}_database_up", "Whether the database answers", bool(found))
        yield from found


def make(facts: Facts) -> tuple[Questions, Tail]:
    """What answers, and who must be told of each message that was taken."""
    tail = Tail(facts.counts.clock, dict)
    return Questions("consumer", facts.status, facts.metrics, {"tail": tail.watch}), tail


def _of_database(connection: Connection) -> Iterator[Family]:
    letters = connection.execute(select(func.count()).select_from(db.dead_letter)).scalar_one()
    yield gauge(f"{_PREFIX}_dead_letters", "Messages that were laid aside, for an administrator", letters)
    about = "Servers for which a job is still to be sent to Ganeti"
    yield gauge(f"{_PREFIX}_owed_servers", about, len(owed.waiting(connection)))
    yield from standing.metrics(standing.read(connection))
    home = select(db.comparison).where(db.comparison.c.of_cluster == HOME)
    last = connection.execute(home).mappings().first()
    if last is not None:
        found = {str(kind): float(count) for kind, count in last["found"].items()}
        about = "Discrepancies that the last comparison with Ganeti found, by kind"
        yield counts(f"{_PREFIX}_discrepancies", about, "kind", found)._replace(kind="gauge")
        about = "When the database was last compared with Ganeti, in seconds since 1970"
        yield gauge(f"{_PREFIX}_comparison_timestamp_seconds", about, last["time"])
        yield gauge(f"{_PREFIX}_comparison_duration_seconds", "How long the last comparison took", last["seconds"])
        yield gauge(f"{_PREFIX}_comparison_mended", "Discrepancies that the last comparison mended", last["mended"])
        yield gauge(f"{_PREFIX}_comparison_failed", "Whether the last comparison failed", bool(last["error"]))
    sent = select(db.probe).order_by(db.probe.c.sent.desc()).limit(1)
    probe = connection.execute(sent).mappings().first()
    if probe is not None:
        about = "When a probe was last sent through Ganeti, in seconds since 1970"
        yield gauge(f"{_PREFIX}_probe_timestamp_seconds", about, probe["sent"])
        way = None if probe["received"] is None else max(0.0, probe["received"] - probe["sent"])
        yield gauge(f"{_PREFIX}_probe_duration_seconds", "From sending the last probe to hearing of it", way)
