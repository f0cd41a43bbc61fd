"""Jobs that a request waits for, as its answer is to tell what they made."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select

from frontend.database import db
from frontend.effect import clusters
from frontend.effect.chain import FAILURES
from frontend.web import context

PATIENCE = 30.0
"""Seconds: then the answer tells what is known by then."""
_PAUSE = 0.1  # seconds between looks at the table: the consumer is another process, and tells nobody


class Failure(NamedTuple):
    job: int
    words: str
    """Ganeti's own, for the log and to be looked into; no tenant reads them."""


def failure(jobs: Sequence[int], end: float, cluster: str) -> Failure | None:
    """Which of a cluster's jobs failed first; None when all succeeded, or have not ended by `end` (time.monotonic).

    An end is known as soon as the consumer has heard of it; so is then, by the same message, what it changed.
    """
    column = db.action.c
    query = select(column.job, column.status, column.message).where(column.job.in_(jobs), clusters.actions(cluster))
    while time.monotonic() < end:
        with context.database() as connection:
            known = {row.job: row for row in connection.execute(query)}
        failed = next((known[job] for job in jobs if job in known and known[job].status in FAILURES), None)
        if failed is not None:
            return Failure(failed.job, failed.message or "")
        if all(job in known and known[job].status == "success" for job in jobs):
            return None
        time.sleep(_PAUSE)
    return None
