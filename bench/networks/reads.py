"""Lists and shows of networks and ports, one client at a time, of a tenant with nearly all and of one with little."""

from __future__ import annotations

from typing import NamedTuple

from bench import stats
from bench.api.place import Place
from bench.networks import population
from bench.networks.population import BIG, SMALL
from bench.networks.sides import Side
from ganeti_ext.errors import ExtError
from lab.step import step

SLICES = 5  # of a turn: both sides take theirs one after the other, so that they share what else the machine does
LEAST = 4  # answers of a slice
PAGE = 50


class Read(NamedTuple):
    """A question, who asks it, and how many entries answer it; None: it is one thing."""

    title: str
    path: str
    entries: int | None
    user: str = BIG


def questions(networks: int, ports: int) -> list[Read]:
    """Of databases of this size."""
    nets = population.nets(networks)
    server, middle = 0, sorted(population.port_id(number) for number in range(ports - population.FEW_PORTS))
    of_first = sum(place == 0 for place, _ in population.spread(networks, ports))
    big = networks - population.FEW_NETWORKS
    nets_middle = sorted(net.id for net in nets[:big])[big // 2]
    behind = f"limit={PAGE}&marker="
    address = f"fixed_ips=ip_address%3D{nets[0].subnet[population.FIRST]}"
    return [
        Read(f"networks, all {big:,}", "/networks", big),
        Read(f"networks, a page of {PAGE}", f"/networks?{behind}{nets_middle}", min(PAGE, big - big // 2 - 1)),
        Read("networks, by name", f"/networks?name={nets[7].name}", 1),
        Read("a network", f"/networks/{nets[7].id}", None),
        Read(f"ports, all {len(middle):,}", "/ports", len(middle)),
        Read(f"ports, a page of {PAGE}", f"/ports?{behind}{middle[len(middle) // 2]}", PAGE),
        Read("ports, by network_id", f"/ports?network_id={nets[0].id}", of_first),
        Read("ports, by device_id", f"/ports?device_id={population.server_id(server)}", 1),
        Read("ports, by fixed_ips", f"/ports?{address}", 1),
        Read("a port that a server has", f"/ports/{population.port_id(0)}", None),
        Read("a port that none has", f"/ports/{population.port_id(1)}", None),
        Read(f"ports, all {population.FEW_PORTS} of a small tenant", "/ports", population.FEW_PORTS, SMALL),
    ]


def measure(place: Place, sides: list[tuple[str, list[Side]]], seconds: float, asked: list[Read]) -> None:
    """Both sides of each kind of database in turns, all questions."""
    for kind, both in sides:
        with step(f"Reads, {kind}"):
            for read in asked:
                took = _slices(place, both, read, seconds)
                for side, some in zip(both, took, strict=True):
                    for share, name in ((0.5, "p50"), (0.99, "p99")):
                        sample = 1000 * stats.percentile(some, share)
                        place.result.add(f"{kind}: GET, {name}, ms", read.title, side.name, sample)


def _slices(place: Place, both: list[Side], read: Read, seconds: float) -> list[list[float]]:
    """Seconds of each answer. ExtError for another number of entries, and for a call of the remote API."""
    took: list[list[float]] = [[] for _ in both]
    for part in range(-1, SLICES):  # before the first each worker process has looked at the question once
        for side, mine in zip(both, took, strict=True):
            length, least = (seconds / SLICES, LEAST) if part >= 0 else (0, 2 * LEAST)
            with place.no_calls(f"{side.name}: {read.title}"):
                path, headers = f"/network/v2.0{read.path}", side.headers[read.user]
                _, some, entries = place.client.call("read", side.at, path, headers, 1, length, least)
            if read.entries is not None and entries != read.entries:
                raise ExtError(f"{side.name}: {read.title}: {entries} entries, expected {read.entries}")
            if part >= 0:
                mine.extend(some)
    return took
