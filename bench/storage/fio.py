"""Reads and writes: the jobs that every disk gets, and what fio and qemu-img bench say of them.

Both take and give text, so that a guest's disk can be measured as well, by typing the same line in the guest.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

MIB = 1 << 20
_COMPLETED = re.compile(r"Run completed in (\d+\.\d+) seconds")


class Job(NamedTuple):
    """One way to read or write. Its figure is in operations a second for small blocks, in MiB/s for large ones."""

    name: str
    mode: str  # of fio
    size: int
    depth: int

    @property
    def title(self) -> str:
        return f"{self.name}, depth {self.depth}, {'ops/s' if self.size < MIB else 'MiB/s'}"

    @property
    def writes(self) -> bool:
        return self.mode.endswith("write")

    def figure(self, operations: float) -> float:
        """Of operations a second."""
        return operations if self.size < MIB else operations * self.size / MIB


JOBS = tuple(
    Job(name, mode, size, depth)
    for name, mode, size in (
        ("4 KiB random read", "randread", 4096),
        ("4 KiB random write", "randwrite", 4096),
        ("1 MiB read in a row", "read", MIB),
        ("1 MiB write in a row", "write", MIB),
    )
    for depth in (1, 16)
)


def fill(file: str, length: int) -> list[str]:
    """A command line that writes the first octets of a disk."""
    return ["fio", "--name=fill", f"--filename={file}", f"--size={length}", "--rw=write", "--bs=4M", *_DIRECT]


_DIRECT = ("--direct=1", "--ioengine=libaio", "--iodepth=8", "--end_fsync=1")


def argv(job: Job, file: str, length: int, seconds: float) -> list[str]:
    """The command line of a job on the first octets of a disk, which has data there."""
    engine = ["--ioengine=libaio", "--direct=1", f"--iodepth={job.depth}"]
    span = [f"--filename={file}", f"--size={length}", f"--bs={job.size}", f"--rw={job.mode}", "--norandommap"]
    bounds = ["--time_based", f"--runtime={1000 * seconds:.0f}ms", "--ramp_time=100ms"]
    return ["fio", "--name=job", *engine, *span, *bounds, "--output-format=json"]


def parse(job: Job, text: str) -> float:
    """The figure out of fio's JSON; ValueError when it did nothing."""
    try:
        found = json.loads(text[text.index("{") :])["jobs"][0]["write" if job.writes else "read"]["iops"]
    except (LookupError, json.JSONDecodeError, ValueError) as err:
        raise ValueError(f"fio said {text[-500:]!r}") from err
    if not found:
        raise ValueError(f"fio did nothing in {job.title}")
    return job.figure(float(found))


def qemu(job: Job, uri: str, length: int, count: int) -> list[str]:
    """The command line for QEMU's own driver, of so many operations on the first octets.

    qemu-img bench walks in steps and begins again at the image's end: a step that has no factor in common with the
    image's length comes to all of its blocks, far from one to the next.
    """
    step = job.size if job.size >= MIB else job.size * stride(length // job.size)
    kind = ["-w"] if job.writes else []
    words = ["-f", "raw", "-t", "none", "-c", str(count), "-d", str(job.depth), "-s", str(job.size), "-S", str(step)]
    return ["qemu-img", "bench", *words, *kind, uri]


def stride(blocks: int) -> int:
    """An odd number of blocks, about 0.618 of all: odd, as disks have a power of two, and seldom near what was."""
    return int(blocks * 0.618) | 1


def completed(job: Job, text: str, count: int) -> float:
    """The figure out of what qemu-img bench said; ValueError when it did not come to the end."""
    found = _COMPLETED.search(text)
    if not found:
        raise ValueError(f"qemu-img bench said {text[-500:]!r}")
    return job.figure(count / float(found.group(1)))
