"""What the running eventd tells of itself when it is asked; nothing is changed.

{"do": "status"}   one record: master, broker, what waits in the spool, when what happened last
{"do": "metrics"}  families (ganeti_ext/metric.py)
{"do": "tail"}     each message once it is in the spool, see ganeti_ext/tail.py
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from eventd import metrics
from ganeti_ext.question import Questions
from ganeti_ext.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventd.counts import Counts
    from ganeti_ext.metric import Family
    from ganeti_ext.outbox import Fullness
    from ganeti_ext.session import Record


class Spool(Protocol):
    """ganeti_ext.outbox.Outbox, as far as it is asked."""

    def fullness(self) -> Fullness: ...


@dataclass(frozen=True, slots=True)
class Facts:
    """What is told of a daemon; `brokers` have no passwords, and are none where the spool itself is the broker.

    `role` is the node's name, whether it is the master, and the master's name ("" when unknown).
    """

    counts: Counts
    spool: Spool
    limit: int
    brokers: int
    role: Callable[[], tuple[str, bool, str]]
    clock: Callable[[], float] = time.time

    def status(self) -> Record:
        node, is_master, master = self.role()
        counts, spool = self.counts, self._fullness()
        return {
            "node": node,
            "is_master": is_master,
            "master": master,
            "told": sum(counts.told.values()),
            "complaints": counts.complaints,
            "lost": counts.lost,
            "last_event": counts.last_event or None,
            "brokers": self.brokers,
            "broker": counts.broker,
            "last_published": counts.last_published or None,
            "waiting": spool.count if spool else None,
            "limit": self.limit,
            "bytes": spool.octets if spool else None,
            "oldest": (spool.oldest or None) if spool else None,
        }

    def metrics(self) -> Iterator[Family]:
        _, is_master, _ = self.role()
        return metrics.families(self.counts, self._fullness(), self.limit, master=is_master, broker=bool(self.brokers))

    def about(self) -> Record:
        """What is said first to who watches."""
        node, is_master, master = self.role()
        return {"node": node, "is_master": is_master, "master": master}

    def _fullness(self) -> Fullness | None:
        try:
            return self.spool.fullness()
        except sqlite3.Error:  # the log says it: it cannot be written to, either
            return None


def make(facts: Facts) -> tuple[Questions, Tail]:
    """What answers, and who must be told of each message."""
    tail = Tail(facts.clock, facts.about)
    return Questions("eventd", facts.status, facts.metrics, {"tail": tail.watch}, facts.clock), tail
