"""One guest sends as fast as it can: what its neighbours notice."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from itertools import product

from bench.dhcp import frames, perfdhcp, topology
from bench.dhcp.bench import Bench
from bench.dhcp.perfdhcp import Report
from bench.dhcp.servers import ALL, Server, idle, serving
from bench.process import running
from bench.stats import Sample, percentile
from lab.step import step

RATE = 200  # exchanges/s of the neighbours, which every server keeps


def flood(bench: Bench) -> None:
    """The neighbours' delays, quiet and under flood, each server in turn."""
    for turn, number in product(range(bench.rounds), range(len(ALL))):
        server = ALL[(turn + number) % len(ALL)]
        with (
            step(f"Flood, round {turn + 1} of {bench.rounds}: {server.name}"),
            serving(bench, server, bench.sizes[0]) as process,
        ):
            perfdhcp.warm(bench, bench.sizes[0], server.name)
            idle(process)
            quiet = _neighbours(bench)
            with _flooded(bench, server):
                loud = _neighbours(bench)
            _tell(bench, server, quiet, loud)


def _neighbours(bench: Bench) -> Report:
    return perfdhcp.offer(bench, RATE, 2 * bench.seconds, bench.sizes[0], *perfdhcp.TIMERS)


@contextlib.contextmanager
def _flooded(bench: Bench, server: Server) -> Iterator[None]:
    """The first spare guest floods its tap, on the guests' core but never instead of perfdhcp.

    It asks as perfdhcp does, as a relay, for that is what all servers hear; of the answers it reads none.
    """
    spare = bench.guests
    frame = frames.relayed(topology.mac(spare), 1, topology.SPARE_IP, topology.SERVER_IP, topology.SERVER_MAC)
    argv = ["python3", "-m", "bench.dhcp.flooder", f"g{spare}", frame.hex()]
    with running(argv, bench.demux._replace(nice=19), bench.log("flooder")) as flooder:
        start = time.monotonic()
        yield
        flooder.alive()
        spent = time.monotonic() - start
    bench.result.add(_heading(bench), "the flood, packets/s", server.name, int(flooder.said()) / spent)


def _tell(bench: Bench, server: Server, quiet: Report, loud: Report) -> None:
    before, after = _delays(quiet), _delays(loud)
    for measure, sample in {
        "p50 quiet, ms": before[0],
        "p50 under flood, ms": after[0],
        "p99 quiet, ms": before[1],
        "p99 under flood, ms": after[1],
        "p99 under flood / quiet": after[1] / before[1] if before[1] and after[1] else None,
        "exchanges lost under flood, %": 100 * min(1.0, loud.lost),
    }.items():
        bench.result.add(_heading(bench), measure, server.name, sample)


def _delays(report: Report) -> tuple[Sample, Sample]:
    """p50 and p99 of the answers that came; when more than one in a hundred did not, there is no p99."""
    if not report.delays:
        return None, None
    return percentile(report.delays, 0.5), percentile(report.delays, 0.99) if report.lost < 0.01 else None


def _heading(bench: Bench) -> str:
    return f"One guest floods; its {bench.sizes[0]:,} neighbours do {RATE} exchanges/s"
