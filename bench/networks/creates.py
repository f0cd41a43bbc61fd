"""POST of networks, of ports and of interfaces, one client at a time, until the answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench import stats
from bench.api.place import Place
from bench.networks import population
from bench.networks.population import BIG
from bench.networks.sides import OURS, Side
from ganeti_ext.errors import ExtError
from lab.step import step

_NETWORKS, _PORTS = "/network/v2.0/networks", "/network/v2.0/ports"
_CREATED, _OK = 201, 200
Call = tuple[str, str, dict[str, Any]]


def measure(place: Place, sides: list[tuple[str, list[Side]]], size: tuple[int, int], turn: int, count: int) -> None:
    """Both sides of each kind of database, all things; ExtError when Ganeti got another number of jobs."""
    for kind, both in sides:
        with step(f"Creates, {kind}"):
            place.rapi.call("begin", both[0].conf, *size)
            for side in both:
                _side(place, kind, side, size, turn, count)
        words = "ours: with a pretended Ganeti's answers, who does all at once, and the consumer's transactions"
        place.result.note(f"{kind}: POST, p50, ms", words)


def _side(place: Place, kind: str, side: Side, size: tuple[int, int], turn: int, count: int) -> None:
    nets = population.nets(size[0])
    big = nets[: size[0] - population.FEW_NETWORKS]
    several = [big[(turn * count + number) % len(big)].id for number in range(count)]
    named = [("POST", _NETWORKS, {"network": {"name": f"made-{turn}-{number}"}}) for number in range(count)]
    made = _sent(place, kind, side, "a network without a subnet", _CREATED, named)
    _sent(place, kind, side, "a port in one without a subnet", _CREATED, _ports([made[0]["network"]["id"]] * count))
    before = _jobs(place)
    _sent(place, kind, side, "a port in one that Ganeti has", _CREATED, _ports(several))
    _sent(place, kind, side, "an interface of a server", _OK, list(_plugs(several, turn * count, size[1])))
    jobs = _jobs(place) - before
    expected = 3 * count if side.name == OURS else 0  # address and tags of each port, the NIC of each interface
    if jobs != expected:
        raise ExtError(f"{side.name}, {kind}: {jobs} jobs for {count} ports and interfaces, expected {expected}")


def _ports(networks: list[str]) -> list[Call]:
    return [("POST", _PORTS, {"port": {"network_id": ident}}) for ident in networks]


def _plugs(networks: list[str], first: int, ports: int) -> Iterator[Call]:
    """One for each network, each into another server."""
    servers = range(0, ports - population.FEW_PORTS, 2)
    for number, ident in enumerate(networks):
        server = population.server_id(servers[(first + number) % len(servers)])
        body = {"interfaceAttachment": {"net_id": ident}}
        yield "POST", f"/compute/v2.1/servers/{server}/os-interface", body


def _sent(place: Place, kind: str, side: Side, what: str, wanted: int, calls: list[Call]) -> list[Any]:
    found = place.client.call("send", side.at, side.headers[BIG], wanted, calls)
    took = [seconds for seconds, _ in found]
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        place.result.add(f"{kind}: POST, {name}, ms", what, side.name, 1000 * stats.percentile(took, share))
    return [answer for _, answer in found]


def _jobs(place: Place) -> int:
    calls: dict[str, int] = place.rapi.call("calls")
    return sum(count for call, count in calls.items() if not call.startswith("GET "))
