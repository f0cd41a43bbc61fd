"""All guests at once, and a daemon that has just started: ours alone."""

from __future__ import annotations

import contextlib
import itertools
import statistics
import time

from bench.dhcp import configs
from bench.dhcp.bench import Bench
from bench.dhcp.guests import Guests, guests
from bench.dhcp.servers import NFDHCPD, lost_in_queue, serving
from bench.dhcp.topology import SPARES
from bench.process import Process
from lab.step import step

_QUIET = 1.0  # seconds without an answer that end a burst; a client asks again after four (RFC 2131, 4.1)
_PATIENCE = 30.0
_xids = itertools.count(0x6E660000)


def burst(bench: Bench) -> None:
    """One DISCOVER of every guest; again while the daemon stands still, so that all of them wait in the kernel."""
    for turn in range(bench.rounds):
        with (
            step(f"Burst of {bench.guests:,} guests, round {turn + 1} of {bench.rounds}"),
            serving(bench, NFDHCPD, bench.guests) as process,
            guests(bench) as crowd,
        ):
            heading = f"{bench.guests:,} guests ask at once"
            _burst(bench, crowd, process, heading, contextlib.nullcontext())
            _burst(bench, crowd, process, f"{heading}, the daemon held until all have", process.frozen())


def _burst(
    bench: Bench, crowd: Guests, process: Process, heading: str, held: contextlib.AbstractContextManager[None]
) -> None:
    xid = next(_xids)
    lost = lost_in_queue(process)
    start = last = time.monotonic()
    with held:
        spent = crowd.storm(range(bench.guests), xid)
    answered = set()
    for guest in crowd.offers(xid, _QUIET):
        answered.add(guest)
        last = time.monotonic()
    for measure, sample in {
        "asked within, ms": 1000 * spent,
        "answered, %": 100 * len(answered) / bench.guests,
        "last answer after, ms": 1000 * (last - start),
        "lost in NFQUEUE, packets": lost_in_queue(process) - lost,
    }.items():
        bench.result.add(heading, measure, NFDHCPD.name, sample)


def start(bench: Bench) -> None:
    """From the start of the process to the first answer, and from a new binding to its first."""
    for turn in range(bench.rounds):
        with (
            step(f"Start with {bench.guests:,} bindings, round {turn + 1} of {bench.rounds}"),
            guests(bench) as crowd,
            serving(bench, NFDHCPD, bench.guests, wait=False) as process,
        ):
            _start(bench, crowd, process)


def _start(bench: Bench, crowd: Guests, process: Process) -> None:
    # Another guest each millisecond: one that asks so often would be held back.
    asking = itertools.cycle(range(bench.guests))
    answered = crowd.first(lambda: next(asking), next(_xids), 0.001, _PATIENCE)
    rss = process.rss()
    xid = next(_xids)
    crowd.storm(range(bench.guests), xid)
    served = len(set(crowd.offers(xid, _QUIET)))
    for measure, sample in {
        "first answer after, ms": 1000 * (answered - process.started),
        "RSS then, MB": rss,
        "RSS when all have been answered, MB": process.rss() if served == bench.guests else None,
        "a new binding's first answer after, ms": statistics.median(
            _appear(bench, crowd, guest) for guest in range(bench.guests + 1, bench.guests + SPARES)
        ),
    }.items():
        bench.result.add(f"Start with {bench.guests:,} bindings", measure, NFDHCPD.name, sample)


def _appear(bench: Bench, crowd: Guests, guest: int) -> float:
    """Milliseconds from the file in its place to the answer."""
    configs.bind(bench, guest)
    there = time.monotonic()
    return 1000 * (crowd.first(lambda: guest, next(_xids), 0.002, _PATIENCE) - there)
