"""Jobs on networks that a request waits for: who is told 200, 201 or 204 goes on at once with what he has now."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import select

from frontend.database import db
from frontend.effect import awaited, chain, clusters
from frontend.effect.purpose import NETWORK, Purpose
from frontend.effect.translate import Step
from frontend.web import context
from frontend.web.fault import Conflict

log = logging.getLogger(__name__)

Row = Mapping[str, Any]

_AGAIN, _GONE = "retry the operation", "(unknown_entity)"  # in Ganeti's words of a failure


class Failed(Conflict):
    """A job failed; `done` is how many of the steps were done before."""

    def __init__(self, text: str, done: int) -> None:
        super().__init__(text)
        self.done = done


def carry_out(
    steps: Sequence[Step], row: Row, *, goes: bool = False, told: Callable[[int], None] = lambda _: None
) -> None:
    """Submit the steps for a network, or what is of the same cluster, and wait for them; Failed when one did.

    `told` is called with the last job before that wait.

    A network that `goes` may be gone already, by a request before this one that did not wait for its jobs to the end.
    What Ganeti itself says to try again is tried again: other jobs of the group came between its plan and its locks
    (network.py CheckPrereq).
    """
    end, done = time.monotonic() + awaited.PATIENCE, 0
    while steps:
        # With a word that tells this chain from others on the network, which may go on at the same time.
        purpose = Purpose(NETWORK, f"{row['id']}.{secrets.token_hex(4)}")
        jobs = chain.submit(context.rapi(row), steps, purpose)
        log.info("network %s: jobs %s", row["id"], jobs)
        told(jobs[-1])
        failed = awaited.failure(jobs, end, clusters.of(row))
        if failed is None or (goes and _GONE in failed.words):
            return
        at = jobs.index(failed.job)
        done += at
        if _AGAIN not in failed.words or time.monotonic() > end:
            raise Failed(f"Ganeti could not do that to network {row['id']}: its job {failed.job} failed.", done)
        steps = steps[at:]


def groups(row: Row) -> list[str]:
    """The node groups of a network's cluster, by their names."""
    with context.database() as connection:
        query = select(db.node.c.zone).where(db.node.c.cluster == clusters.of(row)).distinct()
        found = connection.execute(query.order_by(db.node.c.zone)).scalars().all()
    return list(found) or ["default"]
