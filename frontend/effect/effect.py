"""What an action does once it is translated: its jobs submitted, shown at once, and kept as the tenant's request."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import or_, update
from sqlalchemy.engine import Connection

from frontend.compute import requests
from frontend.database import db
from frontend.effect import chain, translate
from frontend.effect.purpose import TASKS, Purpose
from frontend.effect.translate import Call, Step
from frontend.web import context
from frontend.web.fault import Conflict

log = logging.getLogger(__name__)


def check(server: Mapping[str, Any], verb: str, *statuses: str, task: Collection[str | None] = (None,)) -> None:
    """Conflict when the server is in none of these statuses, or doing something that is not in `task`."""
    status, doing = server["status"], server["task"]
    if status not in statuses or doing not in task:
        words = f"vm_state {translate.vm_state(server)}" if status not in statuses else f"task_state {doing}"
        shown = f"status {status}" + (f", task {doing}" if doing else "")
        raise Conflict(f"Cannot '{verb}' instance {server['id']} while it is in {words} ({shown})")


def one(server: Mapping[str, Any], verb: str, task: str | None, call: Call) -> int:
    """An action that is one job."""
    job = context.rapi(server).submit(*call)
    told(server, verb, task, [job])
    return job


def several(server: Mapping[str, Any], verb: str, steps: Sequence[Step], purpose: Purpose) -> list[int]:
    """An action that is a chain of jobs; the task is shown until the last one is over."""
    jobs = chain.submit(context.rapi(server), steps, purpose)
    told(server, verb, TASKS[purpose.kind], jobs)
    return jobs


def told(server: Mapping[str, Any], verb: str, task: str | None, jobs: Sequence[int]) -> None:
    """Ganeti has accepted these jobs for a server."""
    with context.database() as connection:
        if task is not None:
            mark(connection, server["id"], task, jobs[-1])
        requests.note(connection, verb, server["id"], jobs)
        connection.commit()
    shown = " ".join(map(str, jobs))
    log.info("server %s: %s is %s %s", server["id"], verb, "job" if len(jobs) == 1 else "jobs", shown)


def mark(connection: Connection, ident: str, task: str, job: int) -> None:
    """Show the task, unless the consumer has heard of the job already: then it may be over."""
    column = db.server.c
    untold = or_(column.job.is_(None), column.job < job)
    values = {"task": task, "job": job, "updated": time.time()}
    connection.execute(update(db.server).where(column.id == ident, untold).values(values))
