"""The removal of a server that has volumes: those that stay go back to their holders first. One chain of jobs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from frontend.effect import chain, effect, translate, translate_volume
from frontend.effect.purpose import DELETE_VOLUME, DETACH, LEAVE, Purpose
from frontend.effect.translate import Step
from frontend.volume import volumeeffect, volumestate
from frontend.web import context
from ganeti_ext import event

log = logging.getLogger(__name__)

Row = Mapping[str, Any]


def remove(server: Row, volumes: Sequence[Row]) -> None:
    """Submit it, behind what goes on with the server or its volumes.

    When a volume cannot be given back, the server stays with it: nothing that is to be kept goes with a server.
    """
    going = [row for row in volumes if _is_going(row)]
    ending = [row for row in volumes if row["facts"].get("autodelete") and row not in going]
    leaving = [row for row in volumes if row not in going and row not in ending]
    steps = plan(server, leaving, ending, [row["job"] for row in going])
    busy = [each["job"] for each in (server, *volumes) if each["task"] and each["job"] is not None]
    jobs = chain.submit(context.rapi(server), steps, Purpose(LEAVE, ""), max(busy, default=None))
    numbered = list(zip(steps, jobs, strict=True))
    own = [job for step, job in numbered if step.purpose is None]
    effect.told(server, "delete", translate.DELETING, own)
    for row in leaving:
        volumeeffect.told(row, DETACH, [job for step, job in numbered if step.purpose == Purpose(DETACH, row["id"])])
    for row in ending:
        mine = Purpose(DELETE_VOLUME, row["id"])
        volumeeffect.told(row, DELETE_VOLUME, [job for step, job in numbered if step.purpose == mine])


def plan(server: Row, leaving: Sequence[Row], ending: Sequence[Row], unless: Sequence[int] = ()) -> list[Step]:
    """The guest is switched off, so that it cannot keep a disk; then disks go, the server, and holders of none.

    `unless`: jobs that bring volumes back which are just leaving; if one of them is done, the server stays.
    """
    instance = server["instance"]
    steps = [Step(translate.stop(instance, 0))]
    for row in leaving:
        purpose = Purpose(DETACH, row["id"])
        moved = translate_volume.detach(row, instance)
        # An instance that is down already cannot be stopped, and that is no failure.
        moved[0] = moved[0]._replace(anyway=len(steps) == 1)
        steps += [step._replace(purpose=purpose) for step in moved]
    removal = translate.delete(instance)
    body = {**(removal.body or {}), **({"depends": [[job, list(chain.FAILURES)] for job in unless]} if unless else {})}
    steps.append(Step(removal._replace(body=body), anyway=not leaving))
    for row in ending:
        steps += [step._replace(purpose=Purpose(DELETE_VOLUME, row["id"])) for step in translate_volume.delete(row)]
    return steps


def _is_going(row: Row) -> bool:
    """Whether jobs are giving the volume back just now; the last of them brings it here again if that fails."""
    if row["task"] != volumestate.DETACHING or row["job"] is None:
        return False
    told = row["job_order"]
    return told is None or told[2] != row["job"] or told[4] < event.RANKS["success"]
