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

_LATE = 0.9  # of the rate that was asked for


def against(rates: tuple[int, ...]) -> list[Against]:
    return [
        Against(f"p50 at {rate}/s of {short}", f"p50 at {rate}/s, ms", title)
        for rate in rates
        for title, short in ((RECEIPT, "receipt"), (ROW, "row"))
    ]


def measure(place: Place, found: Ways) -> None:
    """All ways in turns."""
    for turn in range(place.size.rounds):
        for site, all_ways in found.items():
            with step(f"Latency, {site.title}, round {turn + 1} of {place.size.rounds}"):
                for number in range(len(all_ways)):
                    for rate in place.size.rates:
                        _turn(place, _heading(site), all_ways[(turn + number) % len(all_ways)], rate)
    for site in found:
        for rate in place.size.rates:
            wanted = [Bar(f"p50 at {rate}/s, ms", 2, "x", floor) for floor in (RECEIPT, ROW)]
            bars.tell(place.result, _heading(site), tuple(wanted))


def _heading(site: Site) -> str:
    return f"From a job file's rename to the row, {site.title}"


def _turn(place: Place, heading: str, way: Way, rate: int) -> None:
    written, seen = way.offer(place, rate, max(1, round(rate * place.size.seconds / len(STATUSES))))
    took = latencies(written, seen)
    if lost := [event for event, late in took if late is None]:
        raise ExtError(f"{way.name}: {len(lost)} of {len(took)} statuses never came to a row, the first is {lost[0]}")
    reached = (len(written) - 1) / (written[-1].time - written[0].time)
    if reached < _LATE * rate:
        place.result.note(heading, f"only {reached:.0f}/s could be written in a turn of {rate}/s: the disk is busy")
    everything: list[float] = [1000 * late for _, late in took if late is not None]
    ends: list[float] = [1000 * late for event, late in took if late is not None and event.rank == FINAL]
    figures: dict[str, Sample] = {
        f"p50 at {rate}/s, ms": stats.percentile(everything, 0.5),
        f"p99 at {rate}/s, ms": stats.percentile(everything, 0.99),
        f"p50 of ends at {rate}/s, ms": stats.percentile(ends, 0.5),
    }
    for measure, sample in figures.items():
        place.result.add(heading, measure, way.name, sample)
