"""From an image that has just come to servers that run: clones, beside full copies, beside servers without a disk."""

from __future__ import annotations

import json
from collections.abc import Mapping

from bench.bars import OURS
from bench.images.plan import Plan
from bench.images.store import Store
from bench.storage import servers
from bench.storage.box import Box
from bench.storage.servers import DISKLESS, FILE, SIZE, Way
from bench.storage.share import IMAGE, Share
from lab.step import step

_REMOVE = "/root/remove.json"


def measure(plan: Plan) -> None:
    """Servers are removed when they are counted: each finds the same cluster, and copies find room."""
    heading = f"servers from a fresh image of 10 GiB with {plan.size.data:,} MiB of data, defined and started"
    bench = plan.bench
    with bench.share("xfs", plan.piece) as share, servers.ganeti(bench, share) as box:
        store = Store.cow(bench, share)
        for turn in range(plan.size.rounds):
            for number in dict.fromkeys((1, plan.size.servers)):
                image = f"fresh-{turn}-{number}"
                store.bring(image, f"{share.inside}/images/{IMAGE}.raw", "--no-dedup")  # its pieces are alike
                ways = _ways(image, number)
                for name in list(ways)[:: -1 if turn % 2 else 1]:
                    with step(f"{number} servers, {name}, round {turn + 1} of {plan.size.rounds}"):
                        took = _life(box, share, ways[name], f"{image}-{ways[name].template}")
                    what = f"{number} server{'s' if number > 1 else ''}"
                    bench.result.add(heading, f"{what}, s", name, took[0])
                    bench.result.add(heading, f"{what}, MiB taken", name, took[1])
    bench.result.note(heading, f"{DISKLESS}: what a server costs Ganeti without a disk; the rest is what a disk costs")


def _ways(image: str, number: int) -> Mapping[str, Way]:
    return {
        OURS: Way("ext", "none", [{"size": SIZE, "provider": "cow", "origin": f"image:{image}"}], number),
        DISKLESS: Way("diskless", "none", [], number),
        FILE: Way("file", "copy", [{"size": SIZE}], number),
    }


def _life(box: Box, share: Share, way: Way, batch: str) -> tuple[float, float]:
    """Seconds until all run, and MiB that they took."""
    before = share.used()
    took = servers.make(box, way, batch)
    taken = (share.used() - before) / (1 << 20)
    removals = [
        {"OP_ID": "OP_INSTANCE_REMOVE", "instance_name": name, "ignore_failures": False, "shutdown_timeout": 0}
        for name in servers.names(way, batch)
    ]
    box.write(_REMOVE, json.dumps(removals))
    box.run("gnt-debug", "submit-job", _REMOVE, timeout=1800)
    return took, taken
