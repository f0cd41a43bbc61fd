"""Ganeti at work: job files, written as its jqueue does (utils/io.py WriteFile): a draft, fsync, rename."""

from __future__ import annotations

import ctypes
import os
import tempfile
import time
from collections.abc import Sequence

from bench.events import jobfiles
from bench.events.jobfiles import SERVERS, STATUSES
from bench.events.matching import Event
from ganeti_ext.event import RANKS


def write(queue: str, job: int, times: Sequence[float], *, sync: bool) -> float:
    """Write a job's file; when (time.monotonic()) it was about to be renamed."""
    fd, draft = tempfile.mkstemp(suffix=".new", prefix=f"job-{job}", dir=queue)
    with open(fd, "w", encoding="ascii") as file:
        file.write(jobfiles.text(job, times))
        file.flush()
        if sync:
            os.fsync(fd)
    renamed = time.monotonic()
    os.rename(draft, f"{queue}/job-{job}")
    return renamed


def backlog(queue: str, states: str, first: int, count: int) -> None:
    """Write jobs that came to their end some seconds ago, all on the disk when this returns."""
    for job in range(first, first + count):
        now = time.time()
        write(queue, job, [now - 9, now - 8.9, now - 8.8, now - 5], sync=False)
        _tell(states, job)
    fd = os.open(queue, os.O_RDONLY | os.O_CLOEXEC)
    ctypes.CDLL(None).syncfs(fd)
    os.close(fd)


def offer(queue: str, states: str, first: int, rate: float, count: int) -> list[Event]:
    """Let so many jobs pass through all their statuses, with `rate` renames a second at even distances.

    The servers have one each, in turn; what comes late is not made good by a burst.
    """
    written = []
    times: dict[int, list[float]] = {}
    due = time.monotonic()
    for job, status in steps(first, count):
        time.sleep(max(0.0, due - time.monotonic()))
        times.setdefault(job, []).append(time.time())
        if status == STATUSES[-1]:
            _tell(states, job)
        written.append(Event(job, RANKS[status], write(queue, job, times[job], sync=True)))
        due = max(due + 1 / rate, written[-1].time)
    return written


def steps(first: int, count: int) -> list[tuple[int, str]]:
    """Jobs and their statuses in order: those of all servers side by side, each with all of them."""
    found = []
    for start in range(first, first + count, SERVERS):
        together = range(start, min(start + SERVERS, first + count))
        found += [(job, status) for status in STATUSES for job in together]
    return found


def _tell(states: str, job: int) -> None:
    """Have whoever asks Ganeti from now on hear what the job did."""
    with open(states, "r+b", buffering=0) as file:
        file.seek(jobfiles.server(job))
        file.write(bytes([jobfiles.runs(job)]))
