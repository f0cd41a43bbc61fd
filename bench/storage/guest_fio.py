"""One fio for all runs in a guest, where it takes seconds to start: which runs, and what it says of them."""

from __future__ import annotations

import json
import shlex
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bench.storage import fio
from bench.storage.fio import JOBS, Job


class Run(NamedTuple):
    """A short run of a job on a subject's disk."""

    job: Job
    subject: str


def runs(subjects: Sequence[str], times: int) -> list[Run]:
    """Each job so often on each disk, one beside the other: a busy machine is busy for all of them."""
    return [Run(job, subject) for job in JOBS for _ in range(times) for subject in subjects]


def line(wanted: Sequence[Run], disks: Mapping[str, str], length: int, seconds: float) -> str:
    """The shell's line that does them one after the other, on the first octets of the subjects' disks."""
    words = ["fio"]
    for job, subject in wanted:
        words += [*fio.argv(job, disks[subject], length, seconds)[1:], *_MEMORY, "--stonewall"]
    return shlex.join(words)


# Else every other run of large blocks is at half the speed: 1 MiB in pages that lie apart is more pieces than a request
# of virtio takes (seg_max), and where they lie changes from run to run.
_MEMORY = ("--mem=shmhuge", "--hugepage-size=2m")


def figures(wanted: Sequence[Run], said: str) -> dict[Run, float]:
    """The median of each job's runs on each disk, out of fio's JSON; ValueError when one of them did nothing."""
    try:
        reports = json.loads(said[said.index("{") :])["jobs"]
    except (LookupError, ValueError) as err:
        raise ValueError(f"fio said {said[-500:]!r}") from err
    found: dict[Run, list[float]] = {run: [] for run in wanted}
    for run, report in zip(wanted, reports, strict=True):
        found[run].append(fio.parse(run.job, json.dumps({"jobs": [report]})))
    return {run: statistics.median(samples) for run, samples in found.items()}
