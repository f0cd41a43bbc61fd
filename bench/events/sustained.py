"""How fast job files that wait become rows, and what each costs."""

from __future__ import annotations

from bench import bars
from bench.bars import OURS, Bar
from bench.events.place import LUXID, Place
from bench.events.way import Way
from bench.events.ways import PEER, RECEIPT, ROW, Site, Ways
from bench.report import Against
from lab.step import step

SILENT = "ours, Ganeti is not asked"
_RATE = "rows/s"
AGAINST = (Against("of receipt", _RATE, RECEIPT), Against("of row", _RATE, ROW))
BARS = tuple(Bar(_RATE, 0.7, "x", floor, least=True) for floor in (RECEIPT, ROW))


def measure(place: Place, found: Ways) -> None:
    """All ways in turns."""
    for turn in range(place.size.rounds):
        for site, all_ways in found.items():
            with step(f"Job files that wait, {site.title}, round {turn + 1} of {place.size.rounds}"):
                for number in range(len(all_ways)):
                    way = all_ways[(turn + number) % len(all_ways)]
                    # The peer takes half a minute for 5,000, and says no more by it.
                    for count in place.size.backlogs[: 1 if way.name == PEER else None]:
                        _turn(place, site, way, way.name, count)
                    if way.name == OURS:
                        _silent(place, site, way)
    for site in found:
        for count in place.size.backlogs:
            bars.tell(place.result, _heading(site, count), BARS)


def _heading(site: Site, count: int) -> str:
    return f"{count:,} job files that wait, to their rows, {site.title}"


def _turn(place: Place, site: Site, way: Way, name: str, count: int) -> None:
    done = way.drain(place, count)
    figures = {
        _RATE: count / done.wall,
        "its sender, us each": 1e6 * done.sender / count,
        "its taker, us each": 1e6 * done.taker / count,
    }
    for measure, sample in figures.items():
        place.result.add(_heading(site, count), measure, name, sample)


def _silent(place: Place, site: Site, way: Way) -> None:
    """What it costs that Ganeti is asked how each server stands: the same without its socket."""
    socket = place.file(LUXID)
    away = socket.rename(f"{socket}.away")
    try:
        _turn(place, site, way, SILENT, place.size.backlogs[0])
    finally:
        away.rename(socket)
