"""Follows the job queue on the master: job files -> messages in the spool."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Protocol

from eventd import enrich, jobs, tagged
from eventd.counts import Counts
from eventd.cursors import Cursors
from eventd.jobqueue import JobQueue
from eventd.jobs import Job
from eventd.messages import News, news
from eventd.sequence import Sequence
from eventd.spool import Spool
from eventd.unread import Unread

log = logging.getLogger(__name__)

_PIECE = 100  # jobs told in one transaction while they go on
_BATCH = 200  # jobs told in one transaction while the whole queue is read
_MOST_ASKED = 1000  # messages that wait for Ganeti's word meanwhile
_LONGEST_WAIT = 60.0  # seconds, for the first of these


class Asks(Protocol):
    """eventd.asking.Asker."""

    def ask(self, items: Iterable[News]) -> None: ...
    def forget(self) -> None: ...
    def take(self) -> list[News]: ...
    def wait(self, seconds: float) -> bool: ...


class Follower:
    """Tells every status of every opcode once.

    `recent` is how far back, in seconds, the ends of jobs are told when another node told of them before, or none:
    what a new front needs to hear of, and what a master that died may have kept. A master that goes on tells all that
    its cursors do not know. `see`, if any, is called with changes of tags as soon as a job's file tells of them, and
    `owe` when the outbox keeps them, until they are forgotten there. `stir`, once it is set, is called with all
    messages as soon as job files tell of them.
    """

    def __init__(
        self,
        queue: JobQueue,
        spool: Spool,
        asker: Asks,
        counts: Counts,
        *,
        recent: float,
        see: Callable[[list[tagged.Change]], None] | None = None,
        owe: Callable[[list[tagged.Change]], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.cluster = ""
        self.stir: Callable[[list[News]], None] | None = None
        self._see = see
        self._owe = owe
        self._queue = queue
        self._spool = spool
        self._asker = asker
        self._counts = counts
        self._recent = recent
        self._clock = clock
        stored = spool.cursors()
        self._cursors = Cursors(stored)
        self._sequence = Sequence(stored)
        self._unread = Unread(stored)
        # What Ganeti is asked about, or waits for that: the status that will be told, by cursor; and all of it with
        # its object, by the identity of the message.
        self._asked: dict[str, str] = {}
        self._handed: dict[int, tuple[News, str]] = {}
        # Of the jobs above the floor: when they were received, which are told to their end, what is wrong.
        self._received: dict[int, float] = {}
        self._done: set[int] = set()
        self._complaints: dict[int, str] = {}

    def enter(self, term: int | None) -> None:
        """This node is the master, of this term (eventd.sequence). `scan` is to be next."""
        self._sequence.enter(term)

    def leave(self) -> None:
        """This node is the master no more: what is not told yet is the new one's to tell."""
        self._forget_asked()
        if self._cursors.is_mine:
            self._change({self._cursors.MINE: None})

    def changed(self, names: Iterable[str]) -> None:
        """Files of these names were written in the queue."""
        found = list(self._queue.ids(names))
        for start in range(0, len(found), _PIECE):
            self._tell(found[start : start + _PIECE], since=0)
            self.collect()  # what was asked about meanwhile

    def collect(self) -> None:
        """Tell what Ganeti was asked about, as far as it answered."""
        first, again = [], []
        cursors: dict[str, str | None] = {}
        for item in self._asker.take():
            if self._handed.pop(id(item.message), None) is not None:
                if self._asked.get(item.cursor) != item.status:
                    continue  # overtaken by a later status
                del self._asked[item.cursor]
                first.append(item)
            elif item.cursor in self._unread and "read_at" in item.message:
                again.append(item)
            else:
                continue
            if enrich.wants(item):
                is_read = "read_at" in item.message
                cursors |= self._unread.settle(item.cursor) if is_read else self._unread.note(item)
        try:
            self._put(first, again, cursors)
        except sqlite3.OperationalError:
            self._unread = Unread(self._spool.cursors())
            raise
        finally:
            self._counts.owed = len(self._unread)

    def finish(self, seconds: float) -> None:
        """Before the end: tell what Ganeti is being asked about, as far as it answers within that time."""
        end = time.monotonic() + seconds
        while self._handed and self._asker.wait(max(0.0, end - time.monotonic())):
            self.collect()

    def scan(self) -> None:
        """Read the queue and its archive against the cursors."""
        began = time.monotonic()
        self._counts.scans += 1
        self._notice_new_queue()
        floor = self._cursors.floor
        queued, archived = self._queue.above(floor or 0)
        since = 0.0 if self._cursors.is_mine else self._clock() - self._recent
        if since:
            self._skip_old(archived - queued, since)
        unknown = sorted((queued | archived | self._cursors.open_jobs()) - self._done)
        told = 0
        for start in range(0, len(unknown), _BATCH):
            told += self._tell(unknown[start : start + _BATCH], since)
            while len(self._asked) > _MOST_ASKED and self._asker.wait(_LONGEST_WAIT):
                self.collect()
        self._settle(unknown)
        self._ask_again()
        seconds = time.monotonic() - began
        log.info("job queue read in %.2f s: %d jobs unknown or unfinished, %d messages", seconds, len(unknown), told)

    def _tell(self, job_ids: Iterable[int], since: float) -> int:
        found: list[News] = []
        ended, old = set(), set()
        for job_id in job_ids:
            job = self._load(job_id)
            if job is None:
                continue
            if job.is_final and max(map(job.time, job.ops))[0] < since:
                old.add(job_id)
            else:
                found += self._news(job)
            if job.is_final:
                ended.add(job_id)
        # By number, as the clock may have been set back.
        found.sort(key=lambda item: (item.message["jobId"], item.message["op_index"]))
        if self._see and (changes := tagged.changes(found)):
            self._see(changes)
        if self.stir and found:
            self.stir(found)
        self._sequence.stamp((item.message for item in found), int(self._clock() * 1e6))
        asked = self._to_ask(found)
        self._put([item for item in found if id(item.message) not in asked])
        if old:
            self._change(self._cursors.forget(old))
        if asked:
            self._handed.update(asked)
            items = [item for item, _ in asked.values()]
            self._asked.update((item.cursor, item.status) for item in items)
            self._asker.ask(items)
        # The others come here when the queue is read the next time and all of them is told.
        self._done |= ended - self._asked_jobs()
        return len(found)

    def _to_ask(self, found: list[News]) -> dict[int, tuple[News, str]]:
        """Those that want Ganeti's word on their object, and what came later about the same."""
        objects = {name for _, name in self._handed.values()}
        asked = {}
        for item in found:
            name = enrich.key(item)
            if enrich.wants(item) or (name and name in objects):
                objects.add(name)
                asked[id(item.message)] = item, name
        return asked

    def _forget_asked(self) -> None:
        self._asker.forget()
        self._asked.clear()
        self._handed.clear()

    def _put(
        self, first: list[News], again: Iterable[News] = (), more: Mapping[str, str | None] = MappingProxyType({})
    ) -> None:
        """Messages that are told for the first time, and those that are told again with what was missing."""
        found = sorted([*first, *again], key=lambda item: item.message["seq"])
        if not found:
            return
        told: dict[str, str | None] = {item.cursor: item.status for item in first}
        changes = tagged.changes(first) if self._owe else []
        cursors = {**told, **tagged.records(changes), **self._sequence.cursor(), **more}
        # After a loss of power the job files are read again, against the cursors that the disk has.
        self._spool.put([item.message for item in found], cursors, lasting=False)
        self._cursors.update(told)
        if self._owe and changes:
            self._owe(changes)

    def _load(self, job_id: int) -> Job | None:
        """A job; None, with a line in the log, when it cannot be read or understood."""
        try:
            content = self._queue.read(job_id)
            if content is None:
                return None
            self._counts.jobs_read += 1
            job = jobs.parse(content)
            if job.id != job_id:
                raise ValueError(f"says that it is job {job.id}")
        except (OSError, ValueError) as err:
            self._complain(job_id, str(err))
            return None
        self._complaints.pop(job_id, None)
        self._received[job_id] = job.received[0] if job.received else 0
        return job

    def _news(self, job: Job) -> list[News]:
        try:
            return news(job, ChainMap(self._asked, self._cursors.told), self.cluster)
        except RecursionError:  # JSON that json.loads takes and our walks do not
            self._complain(job.id, "nested too deep")
            return []

    def _complain(self, job_id: int, text: str) -> None:
        if self._complaints.get(job_id) != text:
            log.error("job-%d is skipped: %s", job_id, text)
            self._counts.complaints += 1
        self._complaints[job_id] = text
        self._received.setdefault(job_id, self._clock())

    def _skip_old(self, archived: Iterable[int], since: float) -> None:
        """Pass over what ended too long ago without reading it: archives grow to hundreds of thousands."""
        for job_id in archived:
            written = self._queue.changed(job_id)
            if written < since:
                self._received[job_id] = written
                self._done.add(job_id)

    def _ask_again(self) -> None:
        """What an eventd before this one, or this one before it lost the master's role, told without Ganeti's word."""
        for cursor, seq in self._unread.numbers().items():
            job = self._load(int(cursor.partition("/")[0]))
            items = [item for item in news(job, {}, self.cluster) if item.cursor == cursor] if job else []
            for item in items:
                item.message["seq"] = seq
            if items:
                self._asker.ask(items)
            else:
                self._change(self._unread.settle(cursor))
        self._counts.owed = len(self._unread)

    def _settle(self, unknown: Iterable[int]) -> None:
        """Raise the floor, and forget what is below it and what is gone."""
        gone = {job_id for job_id in unknown if job_id not in self._received}
        # A message that waits for Ganeti is told nowhere yet: its job must be found again if we die.
        lowest = min(self._asked_jobs(), default=None)
        read = {job: when for job, when in self._received.items() if lowest is None or job < lowest}
        self._change(self._cursors.raise_floor(read, self._clock()) | self._cursors.forget(gone))
        floor = self._cursors.floor or 0
        self._received = {job_id: when for job_id, when in self._received.items() if job_id > floor}
        self._done = {job_id for job_id in self._done if job_id > floor}
        self._complaints = {job_id: text for job_id, text in self._complaints.items() if job_id > floor}

    def _asked_jobs(self) -> set[int]:
        return {int(cursor.partition("/")[0]) for cursor in self._asked}

    def _notice_new_queue(self) -> None:
        """A cluster that was set up anew counts its jobs from 1 again; the old cursors are not about them."""
        serial, known = self._queue.serial(), self._cursors.highest()
        if serial is None or serial >= known:
            return
        log.warning("the queue's serial %d is below the known job %d: a new cluster, starting anew", serial, known)
        self._forget_asked()
        self._change(self._cursors.reset())
        self._received, self._done, self._complaints = {}, set(), {}

    def _change(self, cursors: dict[str, str | None]) -> None:
        if cursors:
            self._spool.put([], cursors)
            self._cursors.update(cursors)
