"""How fast job files that wait become rows, and what each costs."""

from __future__ import annotations

from bench import bars
from bench.bars import OURS, Bar
from bench.events.place import LUXID, Place
from bench.events.way import Way
from bench.events.ways import RECEIPT, ROW, Site, Ways
from bench.report import Against
from lab.step import step

SILENT = "ours, Ganeti is not asked"


def against(backlogs: tuple[int, ...]) -> list[Against]:
    return [
        Against(f"{count:,} of {short}", _rate(count), title)
        for count in backlogs
        for title, short in ((RECEIPT, "receipt"), (ROW, "row"))
    ]


def measure(place: Place, found: Ways) -> None:
    """All ways in turns."""
    for turn in range(place.size.rounds):
        for site, all_ways in found.items():
            with step(f"Job files that wait, {site.title}, round {turn + 1} of {place.size.rounds}"):
                for number in range(len(all_ways)):
                    way = all_ways[(turn + number) % len(all_ways)]
                    for count in place.size.backlogs:
                        _turn(place, site, way, way.name, count)
                    if way.name == OURS:
                        _silent(place, site, way)
    for site in found:
        for count in place.size.backlogs:
            wanted = [Bar(_rate(count), 0.7, "x", floor, least=True) for floor in (RECEIPT, ROW)]
            bars.tell(place.result, _heading(site), tuple(wanted))


def _heading(site: Site) -> str:
    return f"Job files that wait, to their rows, {site.title}"


def _rate(count: int) -> str:
    return f"{count:,} files, rows/s"


def _turn(place: Place, site: Site, way: Way, name: str, count: int) -> None:
    done = way.drain(place, count)
    figures = {
        _rate(count): count / done.wall,
        f"{count:,} files, us of its sender": 1e6 * done.sender / count,
        f"{count:,} files, us of its taker": 1e6 * done.taker / count,
    }
    for measure, sample in figures.items():
        place.result.add(_heading(site), measure, name, sample)


def _silent(place: Place, site: Site, way: Way) -> None:
    """What it costs that Ganeti is asked how each server stands: the same without its socket."""
    socket = place.file(LUXID)
    away = socket.rename(f"{socket}.away")
    try:
        _turn(place, site, way, SILENT, place.size.backlogs[0])
    finally:
        away.rename(socket)
