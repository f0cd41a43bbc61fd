"""Reads and writes on disks of `cow` beside a raw file through losetup, and of `rbd` beside a bare image."""

from __future__ import annotations

import contextlib
import functools
import statistics
from collections.abc import Callable, Iterator, Mapping

from bench import bars
from bench.bars import OURS, Bar
from bench.storage import fio, rbd
from bench.storage.fio import JOBS, Job
from bench.storage.place import Bench
from bench.storage.share import IMAGE, MIB, PIECE, Share
from lab import ceph
from lab.step import step

RAW = "raw file, losetup"
LEAST = 0.9
TIMES = 4  # of which the median is a sample; even, so that each goes first as often
BARE = "bare image"
AREA = 512 * MIB  # of a disk, where it has data


def cow(bench: Bench) -> None:
    for kind in bench.size.kinds:
        heading = f"cow on {kind}: reads and writes of the attached device"
        with bench.share(kind) as share:
            for turn in range(bench.size.rounds):
                with (
                    step(f"Reads and writes, cow on {kind}, round {turn + 1} of {bench.size.rounds}"),
                    _disks(bench, share, turn) as disks,
                ):
                    for job in JOBS:
                        found = _turns(disks, functools.partial(_fio, bench, job))
                        _add(bench, heading, job.title, found)
                        if job.writes and job.size < MIB:
                            _add(bench, heading, f"{job.title}, fresh clone", _clones(bench, share, job))
        bench.result.note(heading, "fresh clone: each block that the image has is written elsewhere the first time")
        bars.tell(bench.result, heading, tuple(Bar(job.title, LEAST, "x", RAW, least=True) for job in JOBS))


@contextlib.contextmanager
def _disks(bench: Bench, share: Share, turn: int) -> Iterator[dict[str, str]]:
    """Both disks with data in them, made in changing order: which place of the host's disk they get is felt."""
    makers = {OURS: _volume, RAW: _raw}
    with contextlib.ExitStack() as undo:
        disks = {
            name: undo.enter_context(makers[name](bench, share)) for name in list(makers)[:: -1 if turn % 2 else 1]
        }
        for file in disks.values():
            bench.run(*fio.fill(file, AREA))
        yield disks


def _turns(disks: Mapping[str, str], measure: Callable[[str], float]) -> dict[str, float]:
    """The median of some short runs for each, one beside the other: a busy machine is busy for all of them."""
    found: dict[str, list[float]] = {name: [] for name in disks}
    for number in range(TIMES):
        for name in list(disks)[:: -1 if number % 2 else 1]:
            found[name].append(measure(disks[name]))
    return {name: statistics.median(figures) for name, figures in found.items()}


def _fio(bench: Bench, job: Job, disk: str, length: int = AREA) -> float:
    return fio.parse(job, bench.run(*fio.argv(job, disk, length, bench.size.seconds)))


def _add(bench: Bench, heading: str, measure: str, found: Mapping[str, float]) -> None:
    for name, figure in found.items():
        bench.result.add(heading, measure, name, figure)


@contextlib.contextmanager
def _volume(bench: Bench, share: Share) -> Iterator[str]:
    _verb(bench, share, "create", VOL_SIZE=str(AREA // MIB))
    try:
        yield _verb(bench, share, "attach")
    finally:
        for verb in ("detach", "remove"):
            _verb(bench, share, verb)


@contextlib.contextmanager
def _raw(bench: Bench, share: Share) -> Iterator[str]:
    """On btrfs written in place, as our volumes are."""
    file = f"{share.inside}/byhand/raw"
    bench.run("touch", file)
    if share.kind == "btrfs":
        bench.run("chattr", "+C", file)
    bench.run("truncate", f"--size={AREA}", file)
    device = bench.run("losetup", "--find", "--show", "--direct-io=on", file).strip()
    try:
        yield device
    finally:
        bench.run("losetup", "--detach", device)
        bench.run("rm", file)


def _clones(bench: Bench, share: Share, job: Job) -> dict[str, float]:
    """On the first piece of data that a clone has of its image, ours and by cp."""
    _verb(bench, share, "create", "c", VOL_SIZE="10240", EXTP_ORIGIN=f"image:{IMAGE}")
    ours = _verb(bench, share, "attach", "c")
    file = f"{share.inside}/byhand/clone"
    bench.run("cp", "--reflink=always", f"{share.inside}/images/{IMAGE}.raw", file)
    raw = bench.run("losetup", "--find", "--show", "--direct-io=on", file).strip()
    found = {name: _fio(bench, job, disk, PIECE) for name, disk in ((OURS, ours), (RAW, raw))}
    for verb in ("detach", "remove"):
        _verb(bench, share, verb, "c")
    bench.run("losetup", "--detach", raw)
    bench.run("rm", file)
    return found


def _verb(bench: Bench, share: Share, verb: str, name: str = "v", **env: str) -> str:
    return bench.timed(bench.verb("cow", verb), share.env(name, **env))[1].strip()


def rados(bench: Bench) -> None:
    heading = "rbd: reads and writes by QEMU's own driver (qemu-img bench)"
    with rbd.cluster(bench):
        create = rbd.verb(bench, "create", "v", VOL_SIZE=str(AREA // MIB))
        bench.timed(list(create.argv), dict(create.env))
        attach = rbd.verb(bench, "attach", "v")
        uri = bench.timed(list(attach.argv), dict(attach.env))[1].strip().removeprefix("kvm:")
        bench.run(*rbd.RBD.split(), "create", "--size", str(AREA // MIB), f"{ceph.POOL}/bare")
        disks = {OURS: uri, BARE: f"rbd:{ceph.POOL}/bare:id={ceph.USER}"}
        with step("Two disks with data in the pool"):
            for disk in disks.values():
                bench.run(*fio.qemu(_FILL, disk, AREA, AREA // MIB))
        counts = {job: _count(bench, job, disks[BARE]) for job in JOBS}
        for turn in range(bench.size.rounds):
            with step(f"Reads and writes, rbd, round {turn + 1} of {bench.size.rounds}"):
                for job, count in counts.items():
                    found = _turns(disks, functools.partial(_qemu, bench, job, count))
                    _add(bench, heading, job.title, found)
    bars.tell(bench.result, heading, tuple(Bar(job.title, LEAST, "x", BARE, least=True) for job in JOBS))


_FILL = Job("fill", "write", MIB, 16)


def _count(bench: Bench, job: Job, uri: str) -> int:
    """How many operations take about the seconds that a run is to take."""
    few = 16 * job.depth
    took, _ = bench.timed(["/usr/bin/env", *fio.qemu(job, uri, AREA, few)])
    return max(few, int(few * bench.size.seconds * 1000 / took))


def _qemu(bench: Bench, job: Job, count: int, disk: str) -> float:
    return fio.completed(job, bench.run(*fio.qemu(job, disk, AREA, count)), count)
