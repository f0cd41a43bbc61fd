"""What servers and images of them take of a disk: clones, beside full copies."""

from __future__ import annotations

import random
from pathlib import Path

from bench.bars import OURS
from bench.images.content import BLOCK
from bench.images.plan import Plan
from bench.storage.place import Bench
from bench.storage.share import IMAGE, LENGTH, MIB, PIECES, Share
from lab.step import step

COPIES = "full copies"
FEWER = 10  # times fewer of them are made


def measure(plan: Plan) -> None:
    size = plan.size
    for kind in size.kinds:
        heading = (
            f"cow on {kind}: room of {size.servers} servers from an image with {size.data:,} MiB of data, each writes"
            f" {size.written} MiB, {size.snapshots} of them are snapshot and write as much again"
        )
        for name, scale, clones in ((OURS, 1, True), (COPIES, FEWER, False)):
            with step(f"Room of servers on {kind}, {name}"), plan.bench.share(kind, plan.piece) as share:
                makes = _Ours(plan.bench, share) if clones else _Copies(plan.bench, share)
                counts = max(1, size.servers // scale), max(1, size.snapshots // scale)
                total = 0.0
                for measure, octets in _grow(plan, share, makes, *counts).items():
                    more = size.servers / counts[0] if "server" in measure else size.snapshots / counts[1]
                    plan.bench.result.add(heading, f"{measure}, MiB", name, octets * more / MIB)
                    total += octets * more / MIB
                plan.bench.result.add(heading, "all of it, MiB", name, total)
        plan.bench.result.note(heading, f"{COPIES}: measured with a {FEWER}th of them, times {FEWER}")


def _grow(plan: Plan, share: Share, makes: _Ours | _Copies, servers: int, snapshots: int) -> dict[str, int]:
    """Octets that each step takes."""
    found: dict[str, int] = {}
    taken = share.used()

    def told(measure: str) -> None:
        nonlocal taken
        found[measure] = share.used() - taken
        taken += found[measure]

    files = [makes.server(f"v{number}") for number in range(servers)]
    told("servers")
    for number, file in enumerate(files):
        _write(file, plan, number)
    told("what the servers write")
    for number in range(snapshots):
        makes.snapshot(f"v{number}", f"saved-{number}")
    told("snapshots")
    for number, file in enumerate(files[:snapshots]):
        _write(file, plan, servers + number)
    told("writes since the snapshots")
    return found


class _Ours:
    def __init__(self, bench: Bench, share: Share) -> None:
        self._bench, self._share = bench, share

    def server(self, name: str) -> Path:
        self._verb("create", name, VOL_SIZE=str(LENGTH // MIB), EXTP_ORIGIN=f"image:{IMAGE}")
        return self._share.point / f"volumes/{name}{'.vol/disk' if self._share.kind == 'btrfs' else '.raw'}"

    def snapshot(self, name: str, target: str) -> None:
        self._verb("snapshot", name, VOL_SNAPSHOT_NAME=target)

    def _verb(self, verb: str, name: str, **env: str) -> None:
        self._bench.timed(self._bench.verb("cow", verb), self._share.env(name, **env))


class _Copies:
    def __init__(self, bench: Bench, share: Share) -> None:
        self._bench, self._share = bench, share

    def server(self, name: str) -> Path:
        return self._copy(self._share.point / f"images/{IMAGE}.raw", name)

    def snapshot(self, name: str, target: str) -> None:
        self._copy(self._share.point / f"byhand/{name}", target)

    def _copy(self, source: Path, name: str) -> Path:
        target = self._share.point / f"byhand/{name}"
        self._bench.run("cp", "--reflink=never", "--sparse=always", *map(self._inside, (source, target)))
        return target

    def _inside(self, path: Path) -> str:
        return f"/{path.relative_to(self._bench.root)}"


def _write(file: Path, plan: Plan, seed: int) -> None:
    """Blocks anywhere in what the image has of data, and nowhere twice."""
    chance = random.Random(seed)
    each = plan.piece // BLOCK
    wanted = min(plan.size.written * MIB // BLOCK, PIECES * each)
    with file.open("r+b", buffering=0) as disk:
        for number in sorted(chance.sample(range(PIECES * each), wanted)):
            disk.seek(number // each * (LENGTH // PIECES) + number % each * BLOCK)
            disk.write(chance.randbytes(BLOCK))
