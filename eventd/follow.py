"""Follows the job queue on the master: job files -> messages in the outbox."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from eventd import jobs, tagged
from eventd.cursors import Cursors
from eventd.enrich import Source, enrich
from eventd.jobqueue import JobQueue
from eventd.jobs import Job
from eventd.messages import News, news
from ganeti_ext import event
from ganeti_ext.outbox import Outbox

log = logging.getLogger(__name__)

_BATCH = 200  # jobs told in one transaction while the whole queue is read


class Follower:
    """Tells every status of every opcode once.

    `recent` is how far back, in seconds, the ends of jobs are told when nothing was ever told from here:
    what a new front needs to hear of. Later readings tell all that the cursors do not know.
    `owe`, if any, is called with the changes of tags, which the outbox then keeps until they are forgotten there.
    """

    def __init__(
        self,
        queue: JobQueue,
        outbox: Outbox,
        source: Source,
        *,
        recent: float,
        owe: Callable[[list[tagged.Change]], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.cluster = ""
        self._owe = owe
        self._queue = queue
        self._outbox = outbox
        self._source = source
        self._recent = recent
        self._clock = clock
        self._cursors = Cursors(outbox.cursors())
        # Of the jobs above the floor: when they were received, which are told to their end, what is wrong.
        self._received: dict[int, float] = {}
        self._done: set[int] = set()
        self._complaints: dict[int, str] = {}

    def changed(self, names: Iterable[str]) -> None:
        """Files of these names were written in the queue."""
        self._tell(self._queue.ids(names), since=0)

    def scan(self) -> None:
        """Read the queue and its archive against the cursors."""
        self._notice_new_queue()
        floor = self._cursors.floor
        queued, archived = self._queue.above(floor or 0)
        since = self._clock() - self._recent if floor is None else 0
        if since:
            self._skip_old(archived - queued, since)
        unknown = sorted((queued | archived | self._cursors.open_jobs()) - self._done)
        told = 0
        for start in range(0, len(unknown), _BATCH):
            told += self._tell(unknown[start : start + _BATCH], since)
        self._settle(unknown)
        log.info("job queue read: %d jobs unknown or unfinished, %d messages", len(unknown), told)

    def _tell(self, job_ids: Iterable[int], since: float) -> int:
        found: list[News] = []
        ended = set()
        for job_id in job_ids:
            job = self._load(job_id)
            if job is None:
                continue
            if not (job.is_final and max(map(job.time, job.ops))[0] < since):
                found += self._news(job)
            if job.is_final:
                ended.add(job_id)
        if found:
            self._put(found)
        self._done |= ended
        return len(found)

    def _put(self, found: list[News]) -> None:
        enrich(found, self._source)
        found.sort(key=lambda item: item.message["order"])
        told: dict[str, str | None] = {item.cursor: item.status for item in found}
        changes = tagged.changes(found) if self._owe else []
        messages = [(event.routing_key(item.message), event.encode(item.message)) for item in found]
        self._outbox.put(messages, told | tagged.records(changes))
        self._cursors.update(told)
        if self._owe and changes:
            self._owe(changes)

    def _load(self, job_id: int) -> Job | None:
        """A job; None, with a line in the log, when it cannot be read or understood."""
        try:
            content = self._queue.read(job_id)
            if content is None:
                return None
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
            return news(job, self._cursors.told, self.cluster)
        except RecursionError:  # JSON that json.loads takes and our walks do not
            self._complain(job.id, "nested too deep")
            return []

    def _complain(self, job_id: int, text: str) -> None:
        if self._complaints.get(job_id) != text:
            log.error("job-%d is skipped: %s", job_id, text)
        self._complaints[job_id] = text
        self._received.setdefault(job_id, self._clock())

    def _skip_old(self, archived: set[int], since: float) -> None:
        """Pass over what ended too long ago without reading it: archives grow to hundreds of thousands."""
        for job_id in archived:
            written = self._queue.changed(job_id)
            if written < since:
                self._received[job_id] = written
                self._done.add(job_id)

    def _settle(self, unknown: Iterable[int]) -> None:
        """Raise the floor, and forget what is below it and what is gone."""
        gone = {job_id for job_id in unknown if job_id not in self._received}
        self._change(self._cursors.raise_floor(self._received, self._clock()) | self._cursors.forget(gone))
        floor = self._cursors.floor or 0
        self._received = {job_id: when for job_id, when in self._received.items() if job_id > floor}
        self._done = {job_id for job_id in self._done if job_id > floor}
        self._complaints = {job_id: text for job_id, text in self._complaints.items() if job_id > floor}

    def _notice_new_queue(self) -> None:
        """A cluster that was set up anew counts its jobs from 1 again; the old cursors are not about them."""
        serial, known = self._queue.serial(), self._cursors.highest()
        if serial is None or serial >= known:
            return
        log.warning("the queue's serial %d is below the known job %d: a new cluster, starting anew", serial, known)
        self._change(self._cursors.reset())
        self._received, self._done, self._complaints = {}, set(), {}

    def _change(self, cursors: dict[str, str | None]) -> None:
        self._outbox.put([], cursors)
        self._cursors.update(cursors)
