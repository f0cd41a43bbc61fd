"""Many servers from one snapshot: defined and started by Ganeti, beside as many that have no disk at all."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import NamedTuple

from bench import bars
from bench.bars import OURS, Bar
from bench.root import OURS as CODE
from bench.storage.box import NAME, Box, cluster
from bench.storage.place import Bench
from bench.storage.share import IMAGE, LENGTH, MIB, PIECE, PIECES, Share
from ganeti_ext.errors import ExtError
from lab.step import step

DISKLESS = "diskless"
EMPTY = "file, empty"  # what a disk costs Ganeti by itself
FILE = "file, full copies"
BATCH = 25
FEWER = 10  # times fewer servers get a full copy
SIZE = LENGTH // MIB
SNAPSHOT = "golden"
_COPY = f'cp --reflink=never --sparse=auto /srv/xfs/images/{IMAGE}.raw "$DISK_0_PATH"'


class Way(NamedTuple):
    """What a server is made of, and how many are made at once."""

    template: str
    system: str
    disks: list[dict[str, object]]
    number: int


def measure(bench: Bench) -> None:
    """In batches, one beside the other; servers stay, so that all meet a cluster of the same size."""
    batches = max(2, round(bench.size.servers / BATCH))
    count = max(1, bench.size.servers // batches)
    heading = f"{batches} batches of {count} servers, defined and started; one snapshot of 10 GiB with 1 GiB of data"
    ways = {
        OURS: Way("ext", "none", [{"size": SIZE, "provider": "cow", "origin": f"snapshot:{SNAPSHOT}"}], count),
        DISKLESS: Way("diskless", "none", [], count),
        EMPTY: Way("file", "none", [{"size": SIZE}], count),
        FILE: Way("file", "copy", [{"size": SIZE}], max(1, count // FEWER)),
    }
    found: dict[str, float] = dict.fromkeys(ways, 0)
    with bench.share("xfs") as share, ganeti(bench, share) as box:
        _golden(bench, share)
        for turn in range(batches):
            for name in list(ways)[:: -1 if turn % 2 else 1]:
                with step(f"{ways[name].number} servers, {name}, batch {turn + 1} of {batches}"):
                    taken = share.used()
                    took = (
                        make(box, ways[name], f"{ways[name].template}-{ways[name].system}-{turn}")
                        * count
                        / ways[name].number
                    )
                    taken = share.used() - taken
                found[name] += took
                bench.result.add(heading, "a batch, s", name, took)
                if name == OURS:
                    copies = ways[name].number * PIECES * PIECE
                    bench.result.add(heading, "taken, %", name, 100 * taken / copies)
    for name, took in found.items():
        bench.result.add(heading, "all of them, s", name, took)
    bench.result.note(
        heading, f"{FILE}: measured with {ways[FILE].number} a batch, times {count / ways[FILE].number:g}"
    )
    bench.result.note(heading, "taken: of the octets that as many full copies have")
    wall = "all of them, s"
    bars.tell(
        bench.result,
        heading,
        (Bar(wall, 1.15, "x", DISKLESS), Bar(wall, 1.15, "x", EMPTY), Bar("taken, %", 2, " %")),
    )


def make(box: Box, way: Way, batch: str) -> float:
    """Seconds until all of a batch run."""
    found = names(way, batch)
    common: dict[str, object] = {
        "mode": "create",
        "disk_template": way.template,
        "disks": way.disks,
        "os_type": way.system,
        "pnode": NAME,
        "hypervisor": "fake",
        "nics": [{}],
        "ignore_ipolicy": True,
        "hvparams": {},
        "beparams": {"maxmem": 16, "minmem": 16},
        "start": True,
        "wait_for_sync": True,
        "ip_check": False,
        "name_check": False,
    }
    if way.template == "file":
        common["file_driver"] = "loop"
    box.write("/root/servers.json", json.dumps([{**common, "instance_name": name} for name in found]))
    start = time.monotonic()
    box.run("gnt-instance", "batch-create", "/root/servers.json", timeout=1800)
    took = time.monotonic() - start
    running = box.run("gnt-instance", "list", "--no-headers", "--output=status", *found).split()
    if running != ["running"] * len(found):
        raise ExtError(f"{found} were to run, Ganeti has {running}")
    return took


def names(way: Way, batch: str) -> list[str]:
    return [f"{batch}-{number}.example.org" for number in range(way.number)]


def _golden(bench: Bench, share: Share) -> None:
    """The snapshot of a disk with the image's data."""
    for verb, env in (
        ("create", {"VOL_SIZE": str(SIZE), "EXTP_ORIGIN": f"image:{IMAGE}"}),
        ("snapshot", {"VOL_SNAPSHOT_NAME": SNAPSHOT}),
    ):
        bench.timed(bench.verb("cow", verb), share.env("first", **env))


@contextlib.contextmanager
def ganeti(bench: Bench, share: Share) -> Iterator[Box]:
    """A cluster that finds the provider where packages put it; its OS `copy` gives a disk a copy of the image."""
    bench.write("/etc/ganeti-ext/cow.conf", f"[cow]\ndirectory = {share.inside}\n")
    (bench.root / "usr/share/ganeti/extstorage/cow").symlink_to(f"{CODE}/extstorage/cow")
    with cluster(bench.root, _COPY) as box:
        yield box
