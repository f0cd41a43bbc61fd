"""Asks Ganeti about the objects of final messages, in threads of its own: what reads the job queue never waits.

What luxid does not know yet is asked again, and a node that does not answer holds up the messages about its own
instances alone. Messages about one object come out in the order in which they came in: of two, the second is never told
when the first is not, should we die. What was not told yet then is read again from the queue.
"""

from __future__ import annotations

import os
import queue
import select
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from typing import Any, Protocol

from eventd import enrich
from eventd.counts import Counts
from eventd.messages import News

_AGAIN = 0.05  # seconds, while luxid does not know yet what a job changed
_SILENT = 1.0  # seconds, while luxid does not answer

Rows = dict[str, dict[str, Any]]
Answers = dict[str, tuple[Rows | None, float]]


class Source(Protocol):
    """What is asked: eventd.ganeti.Ganeti. None when there is no answer."""

    def instances(self, names: Iterable[str]) -> Rows | None: ...
    def running(self, names: Iterable[str]) -> dict[str, bool | None] | None: ...
    def networks(self, names: Iterable[str]) -> Rows | None: ...


class Asker:
    """Completes messages in place. `answered` is readable when `take` has some; `ended` if it dies of a bug."""

    def __init__(self, source: Source, counts: Counts, clock: Callable[[], float] = time.time) -> None:
        self.answered = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.ended = os.eventfd(0, os.EFD_CLOEXEC)
        self._source = source
        self._counts = counts
        self._clock = clock
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[News] = queue.SimpleQueue()
        self._waiting: list[News] = []
        # Handed over without an answer, and asked for again; of each object the newest.
        self._owed: dict[str, News] = {}
        self._owed_due = 0.0
        # By node: the messages that wait for its answer; it is there, maybe empty, while the node is being asked.
        self._nodes: dict[str, list[News]] = {}
        # By object, for those of all these messages: what came later about it.
        self._with_nodes: dict[str, list[News]] = {}
        self._thread = threading.Thread(target=self._run, name="asker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 5) -> None:
        self._inbox.put(None)
        self._thread.join(timeout)

    def ask(self, items: Iterable[News]) -> None:
        """Also for messages that only have to wait for others; their thread leaves them alone until `take`."""
        self._inbox.put(partial(self._keep, list(items)))

    def forget(self) -> None:
        """Ask no more for what was asked for; what is complete just now comes yet."""
        self._inbox.put(self._clear)

    def take(self) -> list[News]:
        """Those that are complete (have `read_at`), and for now those that Ganeti does not answer for."""
        try:
            os.eventfd_read(self.answered)
        except BlockingIOError:
            return []
        found = []
        while not self._done.empty():
            found.append(self._done.get())
        return found

    def wait(self, seconds: float) -> bool:
        """Whether there was something to take within that time."""
        return bool(select.select([self.answered], [], [], seconds)[0])

    def _run(self) -> None:
        try:
            while self._next():
                pass
        finally:
            os.eventfd_write(self.ended, 1)

    def _next(self) -> bool:
        """Whatever came, then a question for all that wait."""
        try:
            work = self._inbox.get(timeout=self._pause())
            while work is not None:
                work()
                work = self._inbox.get_nowait()
            return False
        except queue.Empty:
            pass
        waiting, self._waiting = self._waiting, []
        if self._owed and time.monotonic() >= self._owed_due:
            waiting = [*self._owed.values(), *waiting]  # as they came: what is owed next is the newest
        due = [item for item in waiting if not self._comes_later(item)]
        self._settle(due, self._ask(due))
        return True

    def _comes_later(self, item: News) -> bool:
        """Whether a node is being asked about its object, so that it waits for that."""
        later = self._with_nodes.get(enrich.key(item))
        if later is not None and not self._is_owed(item):
            later.append(item)
        return later is not None

    def _pause(self) -> float | None:
        if self._waiting:
            return _AGAIN
        return max(0.0, self._owed_due - time.monotonic()) if self._owed else None

    def _keep(self, items: list[News]) -> None:
        self._waiting += items

    def _clear(self) -> None:
        self._waiting.clear()
        self._owed.clear()
        for later in self._with_nodes.values():
            later.clear()

    def _is_owed(self, item: News) -> bool:
        return self._owed.get(enrich.key(item)) is item

    def _ask(self, items: list[News]) -> Answers:
        """What Ganeti says, and when it was asked for, by kind of object."""
        names: dict[str, set[str]] = defaultdict(set)
        for item in items:
            if kind := enrich.wants(item):
                names[kind] |= enrich.names(item)
        sources = {"instance": self._source.instances, "network": self._source.networks}
        answers: Answers = {}
        for kind, wanted in names.items():
            asked = self._clock()
            answers[kind] = sources[kind](wanted), asked
            self._counts.asked += 1
            self._counts.unanswered += answers[kind][0] is None
        return answers

    def _settle(self, items: list[News], answers: Answers) -> None:
        held: set[str] = set()
        by_node: dict[str, list[News]] = defaultdict(list)
        for item in items:
            name, kind = enrich.key(item), enrich.wants(item)
            if name in held:
                self._keep([] if self._is_owed(item) else [item])
                continue
            rows, asked = answers.get(kind, ({}, 0.0))
            if rows is None:
                self._owe(item)
                continue
            if kind and self._is_owed(item):
                del self._owed[name]
            if kind and enrich.is_behind(item, rows, asked):
                held.add(name)
                self._waiting.append(item)
                continue
            if kind:
                enrich.add(item, rows, asked)
            if kind and (node := enrich.node(item, rows)):
                held.add(name)
                by_node[node].append(item)
            else:
                self._finish([item])
        if any(rows is not None for rows, _ in answers.values()):
            self._owed_due = 0.0  # it answers
        for node, some in by_node.items():
            self._to_node(node, some)

    def _owe(self, item: News) -> None:
        """Hand it over as it is, once, and ask again later."""
        self._owed_due = time.monotonic() + _SILENT
        if not self._is_owed(item):
            self._owed[enrich.key(item)] = item._replace(message={**item.message})
            self._finish([item])

    def _to_node(self, node: str, items: list[News]) -> None:
        self._with_nodes.update((enrich.key(item), []) for item in items)
        if node in self._nodes:
            self._nodes[node] += items
        else:
            self._call(node, items)

    def _call(self, node: str, items: list[News]) -> None:
        self._nodes[node] = []
        threading.Thread(target=self._ask_node, args=(node, items), name="asker-node", daemon=True).start()

    def _ask_node(self, node: str, items: list[News]) -> None:
        """In a thread of its own: a node that is down takes its time."""
        running: dict[str, bool | None] | None = None
        try:
            running = self._source.running({enrich.subject(item.message) for item in items})
        finally:
            self._inbox.put(partial(self._land, node, items, running))

    def _land(self, node: str, items: list[News], running: dict[str, bool | None] | None) -> None:
        self._counts.asked += 1
        self._counts.unanswered += running is None
        for item in items:
            if running is not None and enrich.subject(item.message) in running:
                enrich.add_running(item, running[enrich.subject(item.message)])
        later = [self._with_nodes.pop(enrich.key(item)) for item in items]
        self._waiting = [*chain.from_iterable(later), *self._waiting]  # before what came since
        self._finish(items)
        waiting = self._nodes.pop(node)
        if waiting:
            self._call(node, waiting)

    def _finish(self, items: list[News]) -> None:
        for item in items:
            self._done.put(item)
        if items:
            os.eventfd_write(self.answered, 1)
