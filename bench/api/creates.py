"""POST /servers until 202, while the queue is busy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from bench import stats
from bench.api.fronts import Front
from bench.api.place import Place
from bench.api.population import FLAVOR, IMAGE, MAKERS, NETWORK, maker
from bench.api.verdict import wrong
from ganeti_ext.errors import ExtError
from lab.step import step

BUSY = 900  # jobs that go on; with 1,000 more it is still below [front] max_jobs
WRITES = 100.0  # transactions/s of the update path meanwhile
FEW = 4  # clients
LOST = 40  # each so-manieth job is taken by Ganeti, but its answer is lost
PATH = "/compute/v2.1/servers"
BODY = {
    "server": {"name": "web", "flavorRef": FLAVOR, "imageRef": IMAGE, "networks": [{"uuid": NETWORK}], "metadata": {}}
}


def measure(place: Place, found: list[Front]) -> None:
    """The fronts with the fewest servers, in turns."""
    chosen = [front for front in found if front.servers == min(place.size.servers)]
    for turn in range(place.size.rounds):
        with step(f"Creates, round {turn + 1} of {place.size.rounds}"):
            for front in chosen[:: -1 if turn % 2 else 1]:
                with _busy(place, front):
                    _turn(place, front, FEW, max(FEW, place.size.creates // 5), 0)
                    _turn(place, front, MAKERS, place.size.creates, LOST)


@contextlib.contextmanager
def _busy(place: Place, front: Front) -> Iterator[None]:
    place.worker.call("busy", front.conf, BUSY, WRITES)
    try:
        yield
    finally:
        written = place.worker.call("rest", front.conf)
    for clients in (FEW, MAKERS):
        place.result.add(_heading(clients), "meanwhile, transactions/s", front.title, written)


def _heading(clients: int) -> str:
    return f"POST /servers until 202, {clients} clients, {BUSY} jobs go on"


def _turn(place: Place, front: Front, clients: int, creates: int, lose: int) -> None:
    """ExtError when one of the creates was lost or doubled."""
    heading = _heading(clients)
    tokens = front.tokens(place, *map(maker, range(clients)))
    place.rapi.call("lose", lose)
    wall, made = place.client.call("create", front.at, PATH, tokens, creates // clients, BODY)
    took = [seconds for seconds, _ in made]
    unsettled = place.worker.call("unsettled", front.conf)
    rows = [(ident, instance) for ident, instance in place.worker.call("taken", front.conf)]
    if found := wrong([ident for _, ident in made], place.rapi.call("made"), rows):
        raise ExtError(f"{front.title}: {len(made)} creates by {clients} clients: {'; '.join(found)}")
    if unsettled:
        raise ExtError(
            f"{front.title}: of {len(unsettled)} creates it is not known that they are jobs: {unsettled[0]} ..."
        )
    figures = {
        "creates/s": len(made) / wall,
        "p50, ms": 1000 * stats.percentile(took, 0.5),
        "p99, ms": 1000 * stats.percentile(took, 0.99),
    }
    for name, sample in figures.items():
        place.result.add(heading, name, front.title, sample)
    lost = f"; of each {lose} answers of Ganeti one was lost" if lose else ""
    place.result.note(heading, f"{len(made):,} creates a turn, each one job and one row: none lost, none doubled{lost}")
