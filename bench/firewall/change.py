"""One tap comes, changes its profile, and goes, while many others are there."""

from __future__ import annotations

import contextlib
import itertools
import statistics
from collections.abc import Iterator

from bench.firewall import guests
from bench.firewall.node import Node, Took
from bench.firewall.place import Bench
from bench.firewall.ways import PROFILES, WAYS, Way
from lab.step import step

TIMES = 5  # of which the median is a sample


def measure(bench: Bench) -> None:
    """All ways in turns."""
    with _nodes(bench) as nodes:
        for turn in range(bench.rounds):
            with step(f"Taps, round {turn + 1} of {bench.rounds}"):
                for number in range(len(WAYS)):
                    way = WAYS[(turn + number) % len(WAYS)]
                    _come_and_go(bench, way, nodes[way.short])
                    _change(bench, way, nodes[way.short])


@contextlib.contextmanager
def _nodes(bench: Bench) -> Iterator[dict[str, Node]]:
    with contextlib.ExitStack() as undo:
        nodes = {}
        for way in WAYS:
            with step(f"A node with {bench.taps:,} taps: {way.title}"):
                node = nodes[way.short] = undo.enter_context(bench.node(way.short))
                undo.enter_context(way.prepared(node))
                # The first of a profile costs more, as its rules are made.
                for profile in PROFILES[1:] + PROFILES[:1]:
                    way.change(node, 0, profile)
        yield nodes


def _come_and_go(bench: Bench, way: Way, node: Node) -> None:
    came: list[Took] = []
    went: list[float] = []
    for _ in range(TIMES):
        node.remote.call("tap", guests.tap(bench.taps))
        came.append(way.come(node, bench.taps))
        went.append(way.go(node, bench.taps))
    heading = f"One tap comes and goes, {bench.taps:,} others are there"
    _add(bench, heading, "set-up", way.title, came)
    bench.result.add(heading, "removal, ms", way.title, statistics.median(went))


def _change(bench: Bench, way: Way, node: Node) -> None:
    guest = bench.taps // 2
    profiles = itertools.islice(itertools.cycle(PROFILES[::-1]), TIMES + 1)
    took = [way.change(node, guest, profile) for profile in profiles]
    if done := [each for each in took if each is not None]:
        heading = f"The profile of one tap changes, {bench.taps:,} are there"
        _add(bench, heading, "change", way.title, done)


def _add(bench: Bench, heading: str, what: str, title: str, took: list[Took]) -> None:
    bench.result.add(heading, f"{what}, ms", title, statistics.median(each.wall for each in took))
    bench.result.add(heading, "processor, ms", title, statistics.median(each.cpu for each in took))
