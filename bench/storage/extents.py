"""Snapshots of a disk that somebody writes to: in few pieces, and in 100,000."""

from __future__ import annotations

import os
from typing import Protocol

from bench import bars
from bench.bars import OURS, Bar
from bench.result import Result
from bench.storage import scatter
from bench.storage.cow import HAND
from bench.storage.place import Bench
from bench.storage.share import IMAGE, KINDS, MIB, Share
from lab.step import step

FEW = 16  # what the image has
FRESH = "in few pieces"


def measure(bench: Bench) -> None:
    many = bench.size.pieces
    old = f"in {many:,} pieces"
    for kind in KINDS:
        heading = f"cow on {kind}: snapshot of a disk that is written to"
        with bench.share(kind) as share:
            disks = (FRESH, Disk(bench, share, "fresh", FEW)), (old, Disk(bench, share, "old", many))
            for number in range(bench.size.rounds):
                with step(f"Snapshots on {kind}, round {number + 1} of {bench.size.rounds}"):
                    for name, disk in disks:
                        turn(bench.result, heading, name, disk, number)
            bench.result.note(heading, f"pieces at the end: {', '.join(f'{disk.pieces():,}' for _, disk in disks)}")
        bars.tell(bench.result, heading, tuple(Bar(f"{name}, ms", 100, " ms") for name in (FRESH, old)))


class Snapshotted(Protocol):
    """A disk, and somebody who writes to it from `start` to `stop`, which returns his longest wait in ms, if known."""

    def start(self) -> None: ...

    def stop(self) -> float | None: ...

    def snapshot(self) -> float:
        """Milliseconds."""

    def by_hand(self) -> float:
        """The same without us."""

    def settle(self) -> None:
        """Have all written that waits for it: whoever makes the next snapshot would have to."""


class Disk:
    """A volume that is attached."""

    def __init__(self, bench: Bench, share: Share, name: str, pieces: int) -> None:
        self.bench, self.share, self.name = bench, share, name
        self._verb("create", VOL_SIZE="10240", **({"EXTP_ORIGIN": f"image:{IMAGE}"} if pieces == FEW else {}))
        self._snapshots = 0
        ending = ".vol/disk" if share.kind == "btrfs" else ".raw"
        self.file = f"{share.inside}/volumes/{name}{ending}"
        if pieces != FEW:
            with step(f"A disk in {pieces:,} pieces on {share.kind}"):
                bench.remote.call("scattered", self.file, pieces)
        # A guest writes to what it has: pieces become more where a snapshot shares them, and nowhere else.
        self.length = 64 * MIB if pieces == FEW else 2 * scatter.BLOCK * pieces
        self.device = self._verb("attach")[1].strip()

    def pieces(self) -> int:
        return int(self.bench.remote.call("scattered", self.file, 0))

    def start(self) -> None:
        self.bench.remote.call("start", self.device, self.length)

    def stop(self) -> float:
        return float(self.bench.remote.call("stop", self.device)[1])

    def snapshot(self) -> float:
        """Milliseconds. No snapshot is removed: file systems go on with that when it has returned, for a minute."""
        return self._verb("snapshot", VOL_SNAPSHOT_NAME=self.target())[0]

    def by_hand(self) -> float:
        target = f"{self.share.inside}/byhand/{self.target()}"
        if self.share.kind == "btrfs":
            line = f"btrfs --quiet subvolume snapshot {os.path.dirname(self.file)} {target}"
        else:
            line = f"cp --reflink=always {self.file} {target}"
        return self.bench.timed(["/bin/sh", "-ec", line])[0]

    def settle(self) -> None:
        self.bench.timed(["/bin/sync", "--file-system", self.file])

    def target(self) -> str:
        self._snapshots += 1
        return f"{self.name}-{self._snapshots}"

    def _verb(self, verb: str, **env: str) -> tuple[float, str]:
        return self.bench.timed(self.bench.verb("cow", verb), self.share.env(self.name, **env))


def turn(result: Result, heading: str, name: str, disk: Snapshotted, number: int) -> None:
    """With a writer, then without one; ours and by hand change in who is first."""
    ways = ((OURS, disk.snapshot), (HAND, disk.by_hand))
    for way, snapshot in ways if number % 2 else reversed(ways):
        disk.start()
        took = snapshot()
        worst = disk.stop()
        result.add(heading, f"{name}, ms", way, took)
        if worst is not None:
            result.add(heading, f"{name}: longest wait of the writer, ms", way, worst)
    for way, snapshot in ways if number % 2 else reversed(ways):
        disk.settle()
        result.add(heading, f"{name}, nobody writes, ms", way, snapshot())
