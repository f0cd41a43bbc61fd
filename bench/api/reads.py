"""GET /servers/detail, beside all instances of Ganeti's own remote API."""

from __future__ import annotations

from typing import NamedTuple

from bench import bars, stats
from bench.api import peer as ganeti
from bench.api.fronts import KINDS, Front
from bench.api.peer import Peer
from bench.api.place import Place
from bench.api.population import ADMIN, BIG, FEW, MANY, TENANT
from bench.bars import Bar
from bench.remote import Remote
from bench.report import Against
from ganeti_ext.errors import ExtError
from lab.step import step

RAPI = "RAPI, all instances"
CONNECTIONS = 4
LEAST = 20  # answers of one turn
_RATE, _P50, _P99, _SERVERS = "requests/s", "p50, ms", "p99, ms", "servers/s"
AGAINST = (Against("servers/s of RAPI", _SERVERS, RAPI), Against("p99 of RAPI", _P99, RAPI))
_DETAIL = "/compute/v2.1/servers/detail"


class Read(NamedTuple):
    """A question, who asks it, and how many servers answer it."""

    heading: str
    user: str
    path: str
    entries: int


OWN = Read(f"A tenant's own {FEW} servers", TENANT, _DETAIL, FEW)
READS = (
    OWN,
    Read(f"A page of {MANY:,} servers of one project", BIG, f"{_DETAIL}?limit={MANY}", MANY),
    Read(
        f"A page of {MANY:,} of all servers, to an administrator", ADMIN, f"{_DETAIL}?limit={MANY}&all_tenants=1", MANY
    ),
)


def measure(place: Place, found: list[Front]) -> None:
    """All in turns; the peer once a round."""
    with place.peer() as peer:
        for turn in range(place.size.rounds):
            with step(f"Reads, round {turn + 1} of {place.size.rounds}"):
                _round(place, found, peer, turn)
    for read in READS:
        place.result.note(
            read.heading, f"{CONNECTIONS} connections; RAPI answers with {peer.instances:,} instances, by HTTP"
        )
    smallest, largest = min(place.size.servers), max(place.size.servers)
    if largest > smallest:
        grown = tuple(
            Bar(_P50, 1.1, "x", f"{kind}, {smallest:,} servers", subject=f"{kind}, {largest:,} servers")
            for kind in KINDS
        )
        bars.tell(place.result, OWN.heading, grown)


def _round(place: Place, found: list[Front], peer: Peer, turn: int) -> None:
    turns = [*found[turn % len(found) :], *found[: turn % len(found)]]
    for read in READS:
        for front in turns:
            with place.no_calls(f"{front.title}: {read.heading}"):
                (token,) = front.tokens(place, read.user)
                figures = _ask(place, place.client, front.at, read.path, {"X-Auth-Token": token}, read.entries)
            _tell(place, read, front.title, figures)
    figures = _ask(place, peer.client, ("127.0.0.1", ganeti.PORT), ganeti.PATH, {}, peer.instances)
    for read in READS:
        _tell(place, read, RAPI, figures)


def _ask(
    place: Place, client: Remote, at: tuple[str, int], path: str, headers: dict[str, str], expected: int
) -> dict[str, float]:
    wall, took, entries = client.call("read", at, path, headers, CONNECTIONS, place.size.seconds, LEAST)
    if entries != expected:
        raise ExtError(f"GET {path}: {entries} entries, expected {expected}")
    rate = len(took) / wall
    return {
        _RATE: rate,
        _P50: 1000 * stats.percentile(took, 0.5),
        _P99: 1000 * stats.percentile(took, 0.99),
        _SERVERS: rate * entries,
    }


def _tell(place: Place, read: Read, subject: str, figures: dict[str, float]) -> None:
    for measure, sample in figures.items():
        place.result.add(read.heading, measure, subject, sample)
