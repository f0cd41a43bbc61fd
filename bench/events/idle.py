"""What the daemons cost while nothing happens."""

from __future__ import annotations

import time

from bench import bars
from bench.bars import Bar
from bench.events.place import Place
from bench.events.ways import Ways
from bench.process import Process
from lab.step import step

_HEADING = "While nothing happens"
_CPU, _WAKES, _RSS = "processor, %", "wake-ups/s", "RSS, MB"
_SETTLE = 10.0  # seconds from the last job: the consumer compares its rows with Ganeti after many at once


def measure(place: Place, found: Ways) -> None:
    """Ours of each group, all at the same time."""
    daemons = {
        f"{name}, {site.title}": process
        for site, all_ways in found.items()
        for name, process in (("eventd", all_ways[0].sender), ("consumer", all_ways[0].taker))
    }
    with step(f"{place.size.idle:g} s in which nothing happens"):
        time.sleep(_SETTLE)
        before = {name: _spent(process) for name, process in daemons.items()}
        began = time.monotonic()
        time.sleep(place.size.idle)
        passed = time.monotonic() - began
        after = {name: _spent(process) for name, process in daemons.items()}
    for name, process in daemons.items():
        cpu, wakes = (new - old for new, old in zip(after[name], before[name], strict=True))
        place.result.add(_HEADING, _CPU, name, 100 * cpu / passed)
        place.result.add(_HEADING, _WAKES, name, wakes / passed)
        place.result.add(_HEADING, _RSS, name, process.rss())
        bars.tell(place.result, _HEADING, (Bar(_CPU, 0.1, " %", subject=name),))


def _spent(process: Process) -> tuple[float, float]:
    return process.cpu(), process.switches()
