"""Messages on their way into the outbox: what may be dropped there first, and what is said when something was."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any

from eventd import fastjson
from eventd.counts import Counts
from ganeti_ext import event, note
from ganeti_ext.event import FINAL
from ganeti_ext.outbox import Bound, Dropped, Fullness, Outbox, Put

log = logging.getLogger(__name__)

_QUIET = 60.0  # seconds between two lines about a spool that stays full


class Spool:
    """Puts into an outbox of at most `limit` messages; `node` and `cluster` are whose.

    Raises sqlite3.OperationalError when the disk refuses: nothing of that put is in the outbox then.
    """

    def __init__(
        self,
        outbox: Outbox,
        limit: int,
        node: str,
        cluster: Callable[[], str],
        counts: Counts,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit = limit
        self._outbox = outbox
        self._node = node
        self.cluster = cluster
        self._counts = counts
        self._clock = clock
        self._bound = Bound(limit, self._lost)
        self._silent_until = 0.0
        self._unsaid = Dropped()

    def cursors(self) -> dict[str, str]:
        return self._outbox.cursors()

    def fullness(self) -> Fullness:
        return self._outbox.fullness()

    def put(
        self, messages: Sequence[dict[str, Any]], cursors: dict[str, str | None] | None = None, *, lasting: bool = True
    ) -> None:
        """Messages and cursors, all or nothing; `lasting` as in Outbox.put."""
        try:
            dropped = self._outbox.put([put(message) for message in messages], cursors, self._bound, lasting=lasting)
        except sqlite3.OperationalError:
            self._counts.spool_failures += 1
            raise
        self._counts.put(messages)
        if dropped.count:
            self._say(dropped)

    def own(self, kind: str, **facts: int) -> dict[str, Any]:
        """A message of this node's own, of this moment by its clock."""
        return {
            "type": kind,
            "version": event.VERSION,
            "cluster": self.cluster(),
            "node": self._node,
            "event_time": note.moment(time.time_ns()),
            **facts,
        }

    def _lost(self, said: str | None, dropped: Dropped) -> Put:
        before = json.loads(said) if said else {"count": 0, "final": 0}
        return put(self.own(event.LOST, count=before["count"] + dropped.count, final=before["final"] + dropped.kept))

    def _say(self, dropped: Dropped) -> None:
        self._counts.lost += dropped.count
        self._counts.lost_final += dropped.kept
        self._unsaid = Dropped(self._unsaid.count + dropped.count, self._unsaid.kept + dropped.kept)
        if self._clock() < self._silent_until:
            return
        log.error(
            "nobody takes messages from the outbox: more than %d waited, dropped the %d oldest, %d of them final",
            self.limit, self._unsaid.count, self._unsaid.kept,
        )  # fmt: skip
        self._unsaid = Dropped()
        self._silent_until = self._clock() + _QUIET


def put(message: dict[str, Any]) -> Put:
    """Statuses that are not final are overtaken by what comes later, and so are notes and heartbeats."""
    kind = message["type"]
    passing = kind == event.HEARTBEAT or message.get("status") not in FINAL
    # One number stands for how far an instance's disks are, so that a slow broker gets no heap of old ones.
    slot = {event.PROGRESS: f"progress/{message.get('instance')}", event.MASTER: kind}.get(kind)
    if kind == event.SAMPLES:
        return Put(event.routing_key(message), fastjson.dumps(message), slot=kind, needless=True)
    return Put(event.routing_key(message), fastjson.dumps(message), passing, slot)
