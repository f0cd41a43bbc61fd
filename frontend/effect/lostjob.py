"""A job whose number was lost on its way to us, found again in Ganeti's queue.

By what no other job has: the name of the instance that it makes, or the job that it waits for together with what it is
for, as there is one chain of jobs behind each.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from frontend.effect import purpose
from frontend.effect.remote import Asked
from frontend.effect.translate import Call
from frontend.update import state
from ganeti_ext.errors import ExtError

log = logging.getLogger(__name__)

PAUSES = (0.0, 0.3, 1.0)  # seconds before each look: what was cut off may be on its way still


def find(rapi: Asked, call: Call) -> int | None:
    """None: it is not there, or cannot be told from others. ExtError when Ganeti answers no question."""
    body = call.body or {}
    made, awaited = body.get("instance_name"), list(body.get("depends") or ())
    if (call.method, call.path) != ("POST", "instances") and not awaited:
        return None
    unheard: ExtError | None = None
    for pause in PAUSES:
        time.sleep(pause)
        try:
            if (call.method, call.path) == ("POST", "instances"):
                found = find_create(rapi, str(made))
            else:
                found = _behind(rapi, awaited[-1][0], (call.query or {}).get("reason"))
        except ExtError as err:
            log.warning("a job whose answer was lost cannot be looked for now: %s", err)
            unheard = err
            continue
        if found is not None:
            return found
        unheard = None
    if unheard is not None:
        raise unheard
    return None


def find_create(rapi: Asked, instance: str, after: int = 0) -> int | None:
    """The newest create of an instance behind a job."""
    found = rapi.query("job", ("id", "ops"), creates_of(instance, after))
    creates = (
        each["id"]
        for each in found
        for op in each["ops"] or ()
        if op.get("OP_ID") == state.CREATE and op.get("instance_name") == instance
    )
    return max(creates, default=None)


def creates_of(instance: str, after: int = 0) -> list[Any]:
    """The filter of such jobs (design-query2.rst): a job's summary has the first field of each of its opcodes."""
    return ["&", [">", "id", after], ["=[]", "summary", f"INSTANCE_CREATE({instance})"]]


def _behind(rapi: Asked, awaited: int, reason: object) -> int | None:
    found = rapi.query("job", ("id", "ops"), [">", "id", awaited])
    return max(
        (job["id"] for job in found if any(_waits(op, awaited, reason) for op in job["ops"] or ())), default=None
    )


def _waits(op: Mapping[str, Any], awaited: int, reason: object) -> bool:
    known = purpose.of_opcode(op)
    return known is not None and known.reason == reason and any(job == awaited for job, _ in op.get("depends") or ())
