"""The verbs of `cow`, whole processes, beside the interpreter's start and beside what an administrator would type."""

from __future__ import annotations

from collections.abc import Sequence

from bench import bars
from bench.bars import OURS, Bar
from bench.storage import steps
from bench.storage.place import Bench
from bench.storage.share import IMAGE, KINDS, Share
from bench.storage.steps import Command, Step, shell
from lab.step import step

PYTHON = "python3 alone"
HAND = "by hand"
SYNCED = "by hand, on disk"
TIMES = 5  # of which the median is a sample
MIB_10 = "10240"
BARS = (
    Bar("clone, beyond python3, ms", 10, " ms"),
    Bar("attach, ms", 15, " ms"),
    Bar("attach again, ms", 12, " ms"),
    Bar("snapshot, ms", 100, " ms"),
)
_PYTHON = Command(["/usr/bin/python3", "-SEI", "-c", "pass"])


def measure(bench: Bench) -> None:
    for kind in KINDS:
        heading = f"cow on {kind}: verbs on a disk of 10 GiB, its image has 1 GiB of data"
        with bench.share(kind) as share:
            for turn in range(bench.size.rounds):
                with step(f"Verbs of cow on {kind}, round {turn + 1} of {bench.size.rounds}"):
                    _round(bench, share, heading)
        bars.tell(bench.result, heading, BARS)


def _round(bench: Bench, share: Share, heading: str) -> None:
    found = steps.medians(life(bench, share), bench.timed, TIMES)
    for (name, subject), took in found.items():
        bench.result.add(heading, f"{name}, ms", subject, took)
    for name in ("clone", "attach", "attach again"):
        beyond = found[name, OURS] - found[name, PYTHON]
        bench.result.add(heading, f"{name}, beyond python3, ms", OURS, beyond)


def life(bench: Bench, share: Share) -> Sequence[Step]:
    """From clone to removal, in our way and in others, with files of their own."""

    def ours(verb: str, name: str = "v", **env: str) -> Command:
        return Command(bench.verb("cow", verb), share.env(name, **env))

    def beside(measure: str, verb: Command, hand: str = "", keeps: str = "") -> Step:
        ways = {OURS: [verb], PYTHON: [_PYTHON]}
        if hand:
            ways[HAND] = [shell(hand, keeps)]
        return Step(measure, ways)

    hand = Hand(share)
    return [
        beside("create", ours("create", "e", VOL_SIZE=MIB_10), hand.create("e")),
        beside("clone", ours("create", VOL_SIZE=MIB_10, EXTP_ORIGIN=f"image:{IMAGE}"), hand.clone("v")),
        Step("clone", {SYNCED: [shell(f"{hand.clone('w')}; {hand.sync('w')}")]}),
        beside("attach", ours("attach"), f"losetup --find --show --direct-io=on {hand.file('v')}", "device"),
        beside("attach again", ours("attach"), f"losetup --associated {hand.file('v')}"),
        beside("open", ours("open", VOL_OPEN_EXCLUSIVE="True")),
        beside("snapshot", ours("snapshot", VOL_SNAPSHOT_NAME="s"), hand.snapshot("v", "s")),
        Step("snapshot", {SYNCED: [shell(f"{hand.snapshot('v', 't')}; {hand.sync('t')}")]}),
        beside(
            "grow",
            ours("grow", VOL_SIZE=MIB_10, VOL_NEW_SIZE="10304"),
            f"truncate --size=+64M {hand.file('v')}; losetup --set-capacity %device%",
        ),
        beside("close", ours("close")),
        beside("detach", ours("detach"), "losetup --detach %device%"),
        beside("remove", ours("remove"), hand.remove("v")),
        Step("", {OURS: [ours("remove", "s"), ours("remove", "e")], HAND: [shell(hand.remove("e", "s", "t", "w"))]}),
    ]


class Hand:
    """Lines of a shell; on btrfs a volume is a file in a subvolume, as ours are."""

    def __init__(self, share: Share) -> None:
        self._image = f"{share.inside}/images/{IMAGE}.raw"
        self._folder = f"{share.inside}/byhand"
        self._whole = share.kind == "btrfs"

    def file(self, name: str) -> str:
        return f"{self._folder}/{name}{'/disk' if self._whole else ''}"

    def create(self, name: str) -> str:
        return self._made(name, f"truncate --size=10G {self.file(name)}")

    def clone(self, name: str) -> str:
        return self._made(name, f"cp --reflink=always {self._image} {self.file(name)}")

    def snapshot(self, name: str, target: str) -> str:
        if self._whole:
            return f"btrfs --quiet subvolume snapshot {self._folder}/{name} {self._folder}/{target}"
        return f"cp --reflink=always {self.file(name)} {self.file(target)}"

    def sync(self, name: str) -> str:
        return f"sync {self.file(name)} {self._folder}"

    def remove(self, *names: str) -> str:
        paths = " ".join(f"{self._folder}/{name}" for name in names)
        return f"btrfs --quiet subvolume delete {paths}" if self._whole else f"rm {paths}"

    def _made(self, name: str, line: str) -> str:
        return f"btrfs --quiet subvolume create {self._folder}/{name}; {line}" if self._whole else line
