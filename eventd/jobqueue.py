"""The job queue's files: queue/job-N, and queue/archive/N div 10000/job-N once archived (ganeti/jstore.py)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

# Drafts of a job file (job-5abc.new, job-51234-0) do not match.
_NAME = re.compile(r"job-(\d{1,19})", re.ASCII)
_JOBS_PER_ARCHIVE = 10_000  # JSTORE_JOBS_PER_ARCHIVE_DIRECTORY


class JobQueue:
    """Reads the queue directory at `path`; any method raises OSError when the disk does not answer."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._archive = os.path.join(path, "archive")

    @staticmethod
    def ids(names: Iterable[str]) -> Iterator[int]:
        """The jobs that files of these names hold, each once and in this order."""
        matches = (_NAME.fullmatch(name) for name in names)
        return iter(dict.fromkeys(int(match[1]) for match in matches if match))

    def above(self, floor: int) -> tuple[set[int], set[int]]:
        """The jobs with a greater id: those in the queue, and those archived."""
        # The archive last: a job that moves there meanwhile is then in one of the listings at least.
        queued = self._jobs_in(self.path, floor)
        archives = [name for name in _names(self._archive) if name.isdecimal()]
        places = [os.path.join(self._archive, name) for name in archives if int(name) >= floor // _JOBS_PER_ARCHIVE]
        return queued, {job for place in places for job in self._jobs_in(place, floor)}

    def read(self, job_id: int) -> bytes | None:
        """A job file's content, wherever it is; None when it is gone."""
        for path in self._places(job_id):
            try:
                with open(path, "rb") as file:
                    return file.read()
            except FileNotFoundError:
                continue
        return None

    def changed(self, job_id: int) -> float:
        """When a job file was last written, in seconds since the epoch; 0 when it is gone."""
        for path in self._places(job_id):
            try:
                return os.stat(path).st_mtime
            except FileNotFoundError:
                continue
        return 0

    def serial(self) -> int | None:
        """The last job id that Ganeti gave out; None when that cannot be known."""
        try:
            with open(os.path.join(self.path, "serial"), encoding="ascii") as file:
                return int(file.read())
        except (OSError, ValueError):
            return None

    def _jobs_in(self, folder: str, floor: int) -> set[int]:
        return {job for job in self.ids(_names(folder)) if job > floor}

    def _places(self, job_id: int) -> tuple[str, str]:
        # In the order in which a file moves, so that it cannot slip past a look at both.
        name = f"job-{job_id}"
        return os.path.join(self.path, name), os.path.join(self._archive, str(job_id // _JOBS_PER_ARCHIVE), name)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
