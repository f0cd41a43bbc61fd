"""Who has networks and ports, and what their rows say: the same at each run."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any, NamedTuple

from bench.api.population import RUNNING, ident

BIG, SMALL = "big", "small"  # the tenant that has nearly all of it, and one that has little beside him
PROJECTS = (BIG, SMALL)
FEW_NETWORKS, FEW_PORTS = 10, 50  # of the small one
LINK = "br1"
FLOOR = "BENCH_FLOOR_DATABASE"  # in the environment of the floor
_BEGAN = 1_750_000_000.0
_FIRST = int(ipaddress.IPv4Address("10.0.0.0"))
_SIZE = 256  # addresses of a network
FIRST = 2  # the first host of a network's servers; those of the ports without one come down from the other end
ROOM = 100  # ports of one network, at most: half of them servers'


class Net(NamedTuple):
    """A tenant's network, that Ganeti has: `uuid` and `known_as` are its id and name there."""

    id: str
    uuid: str
    name: str
    known_as: str
    project: str
    subnet: ipaddress.IPv4Network


def nets(networks: int) -> list[Net]:
    """So many; the last FEW_NETWORKS are the small tenant's."""
    found = []
    for number in range(networks):
        name, made = f"net-{number:05}", ident("network", str(number))
        owner = ident("project", SMALL if number >= networks - FEW_NETWORKS else BIG)
        subnet = ipaddress.IPv4Network((_FIRST + number * _SIZE, 24))
        found.append(Net(made, ident("ganeti", str(number)), name, f"{name}.{made}", owner, subnet))
    return found


def spread(networks: int, ports: int) -> list[tuple[int, int]]:
    """Network and place in it of each port, by number, in turns: the last FEW_PORTS are in the small tenant's networks.

    ValueError when they are too many, or too few to measure.
    """
    big = networks - FEW_NETWORKS
    if big < 1 or ports <= FEW_PORTS or (ports - FEW_PORTS) > big * ROOM:
        raise ValueError(f"{ports} ports in {networks} networks: from {FEW_PORTS + 1} to {ROOM} a network are possible")
    found = [(number % big, number // big) for number in range(ports - FEW_PORTS)]
    return found + [(big + number % FEW_NETWORKS, number // FEW_NETWORKS) for number in range(FEW_PORTS)]


def networks(found: list[Net]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Rows of `network` and of `tenant_network` of each."""
    for number, net in enumerate(found):
        made = _BEGAN + number
        tags = ["ganeti-ext:project:" + net.project, "nfdhcpd", "private-filtered"]
        first = str(net.subnet[1])
        row = {"id": net.uuid, "name": net.known_as, "subnet": str(net.subnet), "gateway": first, "tags": tags}
        groups = [["default", "bridged", LINK]]
        own = {"id": net.id, "project_id": net.project, "name": net.name, "created": made, "facts": {}, "cluster": ""}
        yield {**row, "updated": made, "groups": groups}, own


def servers(found: list[Net], ports: int) -> Iterator[dict[str, Any]]:
    """Rows of the servers that have every other port, one each, as they are when Ganeti runs them."""
    for number, net, place in _placed(found, ports):
        if number % 2 == 0:
            server, address = server_id(number), net.subnet[FIRST + place]
            nic = {"network": net.known_as, "ip": str(address), "ip6": None, "mac": _mac(net, number)}
            yield {
                "id": server,
                "instance": f"gx-{server}",
                "project_id": net.project,
                "user_id": ident("user", BIG),
                "name": f"server-{number}",
                **RUNNING,
                "job": number + 1,
                "host": "node1.example.org",
                "nics": [{**nic, "uuid": port_id(number), "port": None}],
                "created": _BEGAN + number,
                "updated": _BEGAN + number,
                "metadata": {},
                "facts": {},
            }


def made(found: list[Net], ports: int) -> Iterator[dict[str, Any]]:
    """Rows of the others, that wait for a server."""
    for number, net, place in _placed(found, ports):
        if number % 2:
            yield {
                "id": port_id(number),
                "project_id": net.project,
                "network": net.id,
                "address": str(net.subnet[_SIZE - 3 - place]),
                "mac": _mac(net, number),
                "facts": {"name": f"port-{number}"},
                "created": _BEGAN + number,
                "updated": _BEGAN + number,
            }


def port_id(number: int) -> str:
    return ident("port", str(number))


def server_id(number: int) -> str:
    """Of the server that has this port, an even one."""
    return ident("server", f"of port {number}")


def _placed(found: list[Net], ports: int) -> Iterator[tuple[int, Net, int]]:
    for number, (network, place) in enumerate(spread(len(found), ports)):
        yield number, found[network], place


def mac(network: str) -> str:
    """The first three octets of the MACs of a network, by its id (frontend/network/tenantnet.py)."""
    first, second, third = bytes.fromhex(network.replace("-", ""))[:3]
    return f"{first & 0xFC | 0x02:02x}:{second:02x}:{third:02x}"


def _mac(net: Net, number: int) -> str:
    return f"{mac(net.id)}:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
