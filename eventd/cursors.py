"""How far the job queue was told, as kept in the outbox's cursor table; bounded, whatever the queue holds.

"JOB/OP" = the last told status of an opcode, and "floor" = N: every job up to N was read, and what is
still to be told of it has a cursor that is not final. So jobs up to the floor without such a cursor need
not be read again, and their final cursors are forgotten. "mine" stands while this node was the last that told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from ganeti_ext.event import FINAL

FLOOR = "floor"
# Job ids are given out in order, but a job file may appear after one of a greater id: the floor stays an
# hour behind.
SETTLED = 3600.0


class Cursors:
    """The cursors in memory. `update` is told only after the outbox has them."""

    MINE = "mine"

    def __init__(self, stored: Mapping[str, str]) -> None:
        self.told: dict[str, str] = {}
        self.floor: int | None = None
        self.is_mine = False
        self.update(stored)

    def update(self, changes: Mapping[str, str | None]) -> None:
        for name, value in changes.items():
            job, slash, index = name.partition("/")
            if name == FLOOR:
                self.floor = int(value) if value else None
            elif name == self.MINE:
                self.is_mine = value is not None
            elif slash and job.isdecimal() and index.isdecimal():
                if value is None:
                    self.told.pop(name, None)
                else:
                    self.told[name] = value

    def open_jobs(self) -> set[int]:
        """The jobs of which something is still to be told."""
        return {job for job, statuses in self._by_job() if not FINAL.issuperset(statuses)}

    def reset(self) -> dict[str, str | None]:
        """The change that forgets everything."""
        return {FLOOR: None, self.MINE: None, **dict.fromkeys(self.told)}

    def highest(self) -> int:
        """The greatest job id of which anything is known; 0 for none."""
        return max(self.floor or 0, max(map(_job, self.told), default=0))

    def forget(self, job_ids: set[int]) -> dict[str, str | None]:
        """The change that forgets these jobs."""
        return {name: None for name in self.told if _job(name) in job_ids}

    def raise_floor(self, read: Mapping[int, float], now: float) -> dict[str, str | None]:
        """The change after a whole reading of the queue.

        `read` has for each job above the floor when it was received, in seconds since the epoch.
        """
        settled = (job for job, received in read.items() if received < now - SETTLED)
        floor = max(self.floor or 0, max(settled, default=0))
        done = {job for job, statuses in self._by_job() if job <= floor and FINAL.issuperset(statuses)}
        return {FLOOR: str(floor), self.MINE: "", **self.forget(done)}

    def _by_job(self) -> Iterator[tuple[int, list[str]]]:
        statuses: dict[int, list[str]] = defaultdict(list)
        for name, status in self.told.items():
            statuses[_job(name)].append(status)
        return iter(statuses.items())


def _job(name: str) -> int:
    return int(name.partition("/")[0])
