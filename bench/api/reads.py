"""GET /servers/detail, beside all instances of Ganeti's own remote API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
SLICES = 5  # of a turn: the fronts take theirs one after the other, so that they share what else the machine does
_RATE, _P50, _P99, _SERVERS = "requests/s", "p50, ms", "p99, ms", "servers/s"
AGAINST = (
    Against("requests/s of RAPI", _RATE, RAPI),
    Against("servers/s of RAPI", _SERVERS, RAPI),
    Against("p99 of RAPI", _P99, RAPI),
)
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


def measure(place: Place, found: Sequence[Front]) -> None:
    """All in turns, which the peer has one of in a round."""
    with place.peer() as peer:
        for turn in range(place.size.rounds):
            with step(f"Reads, round {turn + 1} of {place.size.rounds}"):
                _round(place, found, peer)
    for read in READS:
        words = f"{CONNECTIONS} connections; RAPI answers with {peer.instances:,} instances, by HTTP"
        place.result.note(read.heading, words)
    bars.tell(place.result, OWN.heading, _grown(place.size.servers))


def _grown(servers: Sequence[int]) -> tuple[Bar, ...]:
    """That a tenant's listing does not grow with other tenants' servers."""
    least, most = (f"{count:,} servers" for count in (min(servers), max(servers)))
    if least == most:
        return ()
    return tuple(Bar(_P50, 1.1, "x", f"{kind}, {least}", subject=f"{kind}, {most}") for kind in KINDS)


def _round(place: Place, found: Sequence[Front], peer: Peer) -> None:
    for read in READS:
        for front, samples in zip(found, _in_slices(place, found, read), strict=True):
            _tell(place, read, front.title, samples)
    samples = _ask(peer.client, ("127.0.0.1", ganeti.PORT), ganeti.PATH, {}, peer.instances, place.size.seconds, LEAST)
    for read in READS:
        _tell(place, read, RAPI, samples)


class _Samples(NamedTuple):
    """Seconds in all and of each answer; entries of each."""

    wall: float
    took: list[float]
    entries: int


def _in_slices(place: Place, found: Sequence[Front], read: Read) -> list[_Samples]:
    """Of each front. ExtError when the remote API was called for it."""
    headers = [{"X-Auth-Token": front.tokens(place, read.user)[0]} for front in found]
    wall, took = [0.0 for _ in found], [list[float]() for _ in found]
    for part in range(-1, SLICES):
        for number, front in enumerate(found):
            seconds, least = (place.size.seconds / SLICES, LEAST // SLICES) if part >= 0 else (0, 2 * CONNECTIONS)
            with place.no_calls(f"{front.title}: {read.heading}"):
                some = _ask(place.client, front.at, read.path, headers[number], read.entries, seconds, least)
            if part >= 0:  # before the first each worker process has looked at the question once
                wall[number] += some.wall
                took[number] += some.took
    return [_Samples(*each, read.entries) for each in zip(wall, took, strict=True)]


def _ask(
    client: Remote,
    at: tuple[str, int],
    path: str,
    headers: Mapping[str, str],
    expected: int,
    seconds: float,
    least: int,
) -> _Samples:
    samples = _Samples(*client.call("read", at, path, headers, CONNECTIONS, seconds, least))
    if samples.entries != expected:
        raise ExtError(f"GET {path}: {samples.entries} entries, expected {expected}")
    return samples


def _tell(place: Place, read: Read, subject: str, samples: _Samples) -> None:
    rate = len(samples.took) / samples.wall
    figures = {
        _RATE: rate,
        _P50: 1000 * stats.percentile(samples.took, 0.5),
        _P99: 1000 * stats.percentile(samples.took, 0.99),
        _SERVERS: rate * samples.entries,
    }
    for measure, sample in figures.items():
        place.result.add(read.heading, measure, subject, sample)
