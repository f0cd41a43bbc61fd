"""Jobs that wait for each other: one action of a tenant that Ganeti carries out in several steps.

All of them are in Ganeti's queue before the answer goes out, so that none depends on this process. Each waits for the
one before it (`depends`), and fails with that; what has to come after a failure, too, or then alone, is marked so.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence

from frontend.effect.purpose import Purpose
from frontend.effect.remote import RemoteApi
from frontend.effect.translate import Call, Step
from ganeti_ext.errors import ExtError

log = logging.getLogger(__name__)

_ENDS = ["success", "error", "canceled"]
FAILURES = ("error", "canceled")


def submit(rapi: RemoteApi, steps: Sequence[Step], purpose: Purpose, before: int | None = None) -> list[int]:
    """The jobs' numbers; the first waits for the job `before`, however that ends.

    What comes behind a step that is for a failure alone, waits for the same as that. When one is refused, those before
    it are taken back, as far as they do not run yet.
    """
    jobs: list[int] = []
    awaited = before
    # The limit on jobs (pressure.py) stops an action before it begins, and never half way.
    unlimited = getattr(rapi, "unlimited", rapi)
    try:
        for step in steps:
            first = not jobs
            call = _behind(step._replace(anyway=True) if first else step, awaited, step.purpose or purpose)
            jobs.append((unlimited if jobs else rapi).submit(*call))
            awaited = awaited if step.unless else jobs[-1]
    except ExtError:
        for job in reversed(jobs):
            log.warning("job %d is taken back: the steps after it could not be submitted", job)
            with contextlib.suppress(ExtError):
                unlimited.cancel(job)
        raise
    return jobs


def _behind(step: Step, before: int | None, purpose: Purpose) -> Call:
    body = step.call.body
    if step.alone:
        return step.call
    if before is not None:
        own = (body or {}).get("depends", ())
        body = {**(body or {}), "depends": [*own, [before, _awaited(step)]]}
    return step.call._replace(body=body, query={**(step.call.query or {}), "reason": purpose.reason})


def _awaited(step: Step) -> list[str]:
    """How the one before it may end; when that ends otherwise, Ganeti lets the step fail."""
    if step.unless:
        return list(FAILURES)
    return _ENDS if step.anyway else _ENDS[:1]
