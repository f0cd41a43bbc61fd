"""An image is brought: by the store's command, as the front does it, and by qemu-img, which believes everything."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from bench.bars import OURS
from bench.images import content
from bench.images.plan import Plan
from bench.images.store import Store
from bench.storage import rbd
from bench.storage.place import Bench
from bench.storage.share import KINDS, MIB
from ganeti_ext.errors import ExtError
from lab import ceph
from lab.step import step

ONE = "SHA-256 alone"
QEMU = "qemu-img"
SUM = "sha256sum"
FOLDER = "/srv/brought"
RAW = f"{FOLDER}/disk.raw"
FORMATS: Mapping[str, tuple[str, ...]] = {
    "raw": (),
    "qcow2": ("-O", "qcow2"),
    "qcow2, compressed": ("-c", "-O", "qcow2"),
}


class Target(NamedTuple):
    """Where images come to: ours, and for qemu-img a line of a shell each for its output and to remove that."""

    store: Store
    output: str
    flush: str
    remove: str


def cow(plan: Plan) -> None:
    with plan.bench.share(KINDS[0], plan.piece) as share, _brought(plan) as files:
        output = f"{share.inside}/byhand/brought"
        target = Target(Store.cow(plan.bench, share), output, f"sync {output}", f"rm {output}")
        _measure(plan, f"cow on {share.kind}", target, files)


def rados(plan: Plan) -> None:
    with rbd.cluster(plan.bench), _brought(plan) as files:
        image = f"{ceph.POOL}/brought"
        target = Target(
            Store.rbd(plan.bench),
            f"rbd:{image}:id={ceph.USER}",
            "true",  # what is written has been acknowledged when qemu-img ends
            f"{rbd.RBD} rm --no-progress {image}",
        )
        _measure(plan, "rbd", target, files)


def _measure(plan: Plan, what: str, target: Target, files: Mapping[str, str]) -> None:
    bench = plan.bench
    heading = f"{what}: an image of {plan.size.mib:,} MiB, three quarters of it data, is brought"
    digest = content.sha256(bench.root / RAW[1:])
    for turn in range(plan.size.rounds):
        for name, file in files.items():
            with step(f"Import to {what}, {name}, round {turn + 1} of {plan.size.rounds}"):
                ways = _ways(bench, target, file, name, digest)
                for way in list(ways)[:: -1 if turn % 2 else 1]:
                    bench.result.add(heading, f"{name}, ms", way, ways[way]())
    bench.result.note(heading, "ours: received through a pipe, three checksums, its blocks' digests, checked, on disk")
    bench.result.note(heading, f"{ONE}: ours, which has the two others left out")
    bench.result.note(
        heading, f"{QEMU}: converts from a file, and what it wrote is on disk; it checks and sums nothing"
    )
    bench.result.note(heading, f"{SUM}: of the file as it is brought, which is in the page cache for all of them")


def _ways(bench: Bench, target: Target, file: str, name: str, digest: str) -> Mapping[str, Callable[[], float]]:
    kind = name.partition(",")[0]

    def ours(*words: str) -> float:
        took, made = target.store.bring("brought", file, f"--format={kind}", *words)
        target.store.remove("brought")
        if made["sha256"] != digest:
            raise ExtError(f"{file}: the image has the SHA-256 {made['sha256']}, not {digest}")
        return took

    def qemu() -> float:
        took = _shell(bench, f"qemu-img convert -f {kind} -O raw {file} {target.output}; {target.flush}")
        _shell(bench, target.remove)
        return took

    return {
        OURS: ours,
        ONE: lambda: ours("--hash=sha256"),
        QEMU: qemu,
        SUM: lambda: _shell(bench, f"sha256sum {file}"),
    }


@contextlib.contextmanager
def _brought(plan: Plan) -> Iterator[dict[str, str]]:
    """The same disk in all formats, on another file system than the store's; by format, as the root has them."""
    bench = plan.bench
    bench.run("mkdir", "-p", FOLDER)
    try:
        with step(f"An image of {plan.size.mib:,} MiB in {len(FORMATS)} formats"):
            content.disk(bench.root, RAW, plan.size.mib * MIB)
            files = dict.fromkeys(FORMATS, RAW)
            for number, (name, options) in enumerate(FORMATS.items()):
                if options:
                    files[name] = f"{FOLDER}/{number}.qcow2"
                    bench.run("qemu-img", "convert", "-f", "raw", *options, RAW, files[name])
        yield files
    finally:
        bench.run("rm", "-r", FOLDER)


def _shell(bench: Bench, line: str) -> float:
    return bench.timed(["/bin/sh", "-ec", line])[0]
