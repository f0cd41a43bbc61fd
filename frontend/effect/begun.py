"""Chains of jobs that are being submitted, kept in the table `owed` from before their first job to behind their last.

Whoever submits one may die after some of its jobs: a volume then would be on its way for ever. The payer finds out in
Ganeti how far he came, and submits the rest. What had not begun at all is forgotten: nobody was answered.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import flask
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from frontend.database import db
from frontend.database.vault import Vault
from frontend.effect import clusters, owed
from frontend.effect.purpose import Purpose, of_opcode
from frontend.effect.remote import RemoteApi
from frontend.effect.translate import Call, Step
from frontend.web import context

log = logging.getLogger(__name__)

# Seconds in which all jobs of a chain are submitted, or whoever does so is dead: each call has the time of [rapi].
_SUBMITTED = 60.0


def keep(rapi: RemoteApi, steps: Sequence[Step], purpose: Purpose, before: int | None) -> str | None:
    """Before the first job; None for what needs no such care: one job is submitted or not."""
    if len(steps) < 2 or any(step.alone for step in steps) or not flask.has_app_context():
        return None
    services = context.services()
    packed = {"purpose": purpose, "before": before, "steps": [list(step) for step in steps]}
    body = services.vault.lock(packed)  # it may have a server's seed
    with services.engine.begin() as connection:
        # Jobs of the same kind on the same thing are over by now, and their ends were told.
        cluster = clusters.asked(rapi)
        known = connection.execute(select(func.max(db.action.c.job)).where(clusters.actions(cluster))).scalar()
        about, due = purpose.detail[:36], time.time() + _SUBMITTED
        return owed.promise_chain(connection, about, body, known, due, cluster)


def over(ident: str | None) -> None:
    """All of it is submitted, or none."""
    if ident is None:
        return
    try:
        with context.services().engine.begin() as connection:
            owed.settle(connection, ident)
    except SQLAlchemyError as err:  # then the payer finds all of its jobs
        log.warning("database: %s", str(err).split("\n", 1)[0])


def unpacked(vault: Vault, body: str) -> tuple[list[Step], Purpose, int | None]:
    """What `keep` was given; ValueError when it cannot be read."""
    told = vault.unlock(body)
    steps = [
        Step(Call(*call), anyway, alone, unless, Purpose(*own) if own else None)
        for call, anyway, alone, unless, own in told["steps"]
    ]
    return steps, Purpose(*told["purpose"]), told["before"]


def submitted(rapi: RemoteApi, steps: Sequence[Step], purpose: Purpose, after: int) -> list[int]:
    """The jobs of the first steps, as far as Ganeti has them: those behind a job which are for the same."""
    found: list[int] = []
    for job in sorted(rapi.query("job", ("id", "ops"), [">", "id", after]), key=lambda job: int(job["id"])):
        if len(found) < len(steps) and any(_is(op, steps[len(found)], purpose) for op in job["ops"] or ()):
            found.append(int(job["id"]))
    return found


def _is(op: Mapping[str, Any], step: Step, purpose: Purpose) -> bool:
    if of_opcode(op) != (step.purpose or purpose):
        return False
    _, *named = step.call.path.split("/")
    body = step.call.body or {}
    name = named[0] if named else body.get("instance_name") or body.get("network_name")
    return name in (op.get("instance_name"), op.get("network_name"), op.get("name"))
