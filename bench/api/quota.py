"""POST /servers of one project by 50 clients at once: as many as its limit lets be made, and not one more."""

from __future__ import annotations

from bench import stats
from bench.api.creates import BODY, PATH
from bench.api.fronts import Front
from bench.api.place import Place
from bench.api.population import MAKERS, maker
from bench.api.verdict import wrong
from ganeti_ext.errors import ExtError
from lab.step import step

_FORBIDDEN = 403
_HEADING = f"POST /servers by {MAKERS} clients at once"


def measure(place: Place, found: list[Front]) -> None:
    """The fronts with the fewest servers, in turns."""
    chosen = [front for front in found if front.servers == min(place.size.servers)]
    many = place.size.creates // MAKERS * MAKERS
    for turn in range(place.size.rounds):
        with step(f"Limits, round {turn + 1} of {place.size.rounds}"):
            for front in chosen[:: -1 if turn % 2 else 1]:
                _turn(place, front, f"{MAKERS} projects, no limit", list(map(maker, range(MAKERS))), many, -1)
                _turn(place, front, "one project, no limit", [maker(0)] * MAKERS, many, -1)
                _turn(place, front, "one project, all fit", [maker(0)] * MAKERS, many, many)
                _turn(place, front, "one project, half fit", [maker(0)] * MAKERS, many, many // 2)


def _turn(place: Place, front: Front, what: str, names: list[str], many: int, most: int) -> None:
    """ExtError when there are more or fewer than the limit lets be made, or one was lost or doubled."""
    for name in sorted(set(names)):
        place.worker.call("limit", front.conf, name, most)
    tokens = front.tokens(place, *names)
    place.rapi.call("lose", 0)
    wall, made = place.client.call("create", front.at, PATH, tokens, many // MAKERS, BODY, _FORBIDDEN)
    rows = [(ident, instance) for ident, instance in place.worker.call("taken", front.conf)]
    if faults := wrong([ident for _, ident in made], place.rapi.call("made"), rows):
        raise ExtError(f"{front.title}, {what}: {'; '.join(faults)}")
    fit = many if most < 0 else min(many, most)
    if len(made) != fit:
        raise ExtError(f"{front.title}, {what}: {len(made)} of {many} servers were made, and {fit} fit")
    took = [seconds for seconds, _ in made]
    place.result.add(_HEADING, f"{what}: answers/s", front.title, many / wall)
    place.result.add(_HEADING, f"{what}: p50 of a 202, ms", front.title, 1000 * stats.percentile(took, 0.5))
    place.result.note(_HEADING, f"{many:,} requests a turn: as many servers as fit, none more, none lost or doubled")
