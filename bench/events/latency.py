"""How long it takes from a job file's rename to the row."""

from __future__ import annotations

from bench import bars, stats
from bench.bars import Bar
from bench.events.jobfiles import FINAL, STATUSES
from bench.events.matching import latencies
from bench.events.place import Place
from bench.events.way import Way
from bench.events.ways import RECEIPT, ROW, Site, Ways
from bench.report import Against
from bench.stats import Sample
from ganeti_ext.errors import ExtError
from lab.step import step

_P50 = "p50, ms"
_LATE = 0.9  # of the rate that was asked for
AGAINST = (Against("p50 of receipt", _P50, RECEIPT), Against("p50 of row", _P50, ROW))
BARS = tuple(Bar(_P50, 2, "x", floor) for floor in (RECEIPT, ROW))


def measure(place: Place, found: Ways) -> None:
    """All ways in turns."""
    for turn in range(place.size.rounds):
        for site, all_ways in found.items():
            with step(f"Latency, {site.title}, round {turn + 1} of {place.size.rounds}"):
                for number in range(len(all_ways)):
                    for rate in place.size.rates:
                        _turn(place, _heading(site, rate), all_ways[(turn + number) % len(all_ways)], rate)
    for site in found:
        for rate in place.size.rates:
            bars.tell(place.result, _heading(site, rate), BARS)


def _heading(site: Site, rate: int) -> str:
    return f"From a job file's rename to the row, {rate} renames/s, {site.title}"


def _turn(place: Place, heading: str, way: Way, rate: int) -> None:
    written, seen = way.offer(place, rate, max(1, round(rate * place.size.seconds / len(STATUSES))))
    took = latencies(written, seen)
    if lost := [event for event, late in took if late is None]:
        raise ExtError(f"{way.name}: {len(lost)} of {len(took)} statuses never came to a row, the first is {lost[0]}")
    if (len(written) - 1) / (written[-1].time - written[0].time) < _LATE * rate:
        place.result.note(heading, f"less than {_LATE * rate:g}/s could be written in some turns: the disk is busy")
    everything: list[float] = [1000 * late for _, late in took if late is not None]
    ends: list[float] = [1000 * late for event, late in took if late is not None and event.rank == FINAL]
    figures: dict[str, Sample] = {
        _P50: stats.percentile(everything, 0.5),
        "p99, ms": stats.percentile(everything, 0.99),
        "p50 of ends, ms": stats.percentile(ends, 0.5),
    }
    for measure, sample in figures.items():
        place.result.add(heading, measure, way.name, sample)
