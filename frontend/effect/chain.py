"""Jobs that wait for each other: one action of a tenant that Ganeti carries out in several steps.

All of them are in Ganeti's queue before the answer goes out, so that none depends on this process; if it dies before
that, the rest is submitted all the same (begun.py). Each waits for the one before it (`depends`), and fails with that;
what has to come after a failure, too, or then alone, is marked so.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from frontend.effect import begun, lostjob
from frontend.effect.purpose import Purpose
from frontend.effect.remote import RemoteApi
from frontend.effect.translate import Call, Step
from ganeti_ext.errors import ExtError, RapiLost, RapiUnavailable

log = logging.getLogger(__name__)

_ENDS = ["success", "error", "canceled"]
FAILURES = ("error", "canceled")


class UnfinishedError(RapiLost):
    """Ganeti went away in the middle of a chain, and has jobs of it: the payer submits the rest when it is back."""


class _UnseenError(RapiLost):
    """Ganeti may have one more, of which nobody knows the number."""


def submit(
    rapi: RemoteApi,
    steps: Sequence[Step],
    purpose: Purpose,
    before: int | None = None,
    jobs: list[int] | None = None,
) -> list[int]:
    """The jobs' numbers; the first waits for the job `before`, however that ends.

    A job whose answer is lost is looked for (lostjob.py), and the chain goes on behind it. `jobs`: a list that has them
    also when it breaks off.

    What comes behind a step that is for a failure alone, waits for the same as that. When one is refused, those before
    it are taken back, as far as they do not run yet. Where Ganeti is away instead, and cannot take them back either, or
    may have one more, it is an UnfinishedError, unless the caller clears up himself, who gave `jobs`.
    """
    # One that nobody knows of waits for those that are taken back, and Ganeti leaves it waiting for five minutes
    # (constants.LUXID_JOBQUEUE_POLL_INTERVAL).
    clears_up, jobs = jobs is not None, [] if jobs is None else jobs
    kept = begun.keep(rapi, steps, purpose, before)
    try:
        go_on(rapi, steps, purpose, before, jobs)
    except ExtError as err:
        may_go_on = isinstance(err, RapiUnavailable) and kept is not None and not clears_up and bool(jobs)
        is_left = (may_go_on and isinstance(err, _UnseenError)) or not _are_taken_back(rapi, jobs)
        if is_left and may_go_on:
            log.warning("%s: Ganeti has jobs %s, the rest follows: %s", purpose.reason, jobs, err)
            raise UnfinishedError(str(err)) from err
        begun.over(kept)
        raise
    begun.over(kept)
    return jobs


def _are_taken_back(rapi: RemoteApi, jobs: Sequence[int]) -> bool:
    """Whether none of them will be done."""
    is_back = True
    for job in reversed(jobs):
        log.warning("job %d is taken back: the steps after it could not be submitted", job)
        try:
            is_back &= _unlimited(rapi).cancel(job)
        except ExtError:
            is_back = False
    return is_back


def go_on(rapi: RemoteApi, steps: Sequence[Step], purpose: Purpose, before: int | None, jobs: list[int]) -> None:
    """Submit what comes behind the steps that have jobs already; each new one's number is added."""
    awaited = before
    for number, step in enumerate(steps):
        if number == len(jobs):
            call = _behind(step._replace(anyway=True) if number == 0 else step, awaited, step.purpose or purpose)
            # The limit on jobs (pressure.py) stops an action before it begins, and never half way.
            jobs.append(_submitted(rapi if number == 0 else _unlimited(rapi), call))
        awaited = awaited if step.unless else jobs[number]


def _unlimited(rapi: RemoteApi) -> RemoteApi:
    found: RemoteApi = getattr(rapi, "unlimited", rapi)
    return found


def _submitted(rapi: RemoteApi, call: Call) -> int:
    try:
        return rapi.submit(*call)
    except RapiLost as err:
        try:
            job = lostjob.find(rapi, call)
        except ExtError:
            raise _UnseenError(str(err)) from err
        if job is None:
            raise
        log.info("job %d was found, whose answer was lost: %s", job, err)
        return job


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
