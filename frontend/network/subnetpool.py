"""Which addresses of a subnet Ganeti chooses from, and which are set apart for that. Pure.

Ganeti chooses any free IPv4 address; those that are outside of a tenant's pools are reserved there (`gnt-network modify
--add-reserved-ips`), so that its own pool is the only truth. Of IPv6 nobody chooses: the address follows from the MAC.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

MOST = 4096
"""Addresses that may be set apart: each is named to Ganeti, in one job."""

_LEAST = 4  # addresses, or there is none for a host beside the first and the last

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
Pool = tuple[Address, Address]
"""First and last."""


def text(pool: Pool) -> str:
    return f"{pool[0]}-{pool[1]}"


def read(texts: Iterable[str]) -> list[Pool]:
    """Pools of their texts, in the order of their addresses; what an administrator made unreadable is passed over."""
    found = []
    for each in texts:
        first, _, last = each.partition("-")
        try:
            found.append((ipaddress.ip_address(first), ipaddress.ip_address(last)))
        except ValueError:
            continue
    return sorted(found, key=lambda pool: int(pool[0]))


def shown(cidr: str, gateway: str | None, texts: Sequence[str]) -> list[dict[str, str]]:
    """As Network v2.0 shows them: without any of their own, all of the subnet but for its gateway."""
    return [{"start": first, "end": last} for first, last in _shown(cidr, gateway, tuple(texts))]


@lru_cache(maxsize=8192)
def _shown(cidr: str, gateway: str | None, texts: tuple[str, ...]) -> list[tuple[str, str]]:
    network = ipaddress.ip_network(cidr, strict=False)
    if network.num_addresses < _LEAST:
        return []
    return [(str(first), str(last)) for first, last in read(texts) or whole(network, gateway)]


@lru_cache(maxsize=8192)
def plain(cidr: str) -> str:
    """The network of an address of it."""
    return str(ipaddress.ip_network(cidr, strict=False))


def whole(network: Network, gateway: str | None) -> list[Pool]:
    """All addresses that hosts may have, but for the gateway's."""
    first, last = network[1], network[-2 if network.version == 4 else -1]
    by = ipaddress.ip_address(gateway) if gateway else None
    if by is None or by.version != network.version or not int(first) <= int(by) <= int(last):
        return [(first, last)]
    return [(start, end) for start, end in ((first, by - 1), (by + 1, last)) if int(start) <= int(end)]


def apart(network: IPv4Network, gateway: str | None, texts: Sequence[str]) -> set[str]:
    """The addresses outside of the pools, but for those that Ganeti sets apart by itself; none where all is a pool.

    ValueError when they are too many.
    """
    pools = read(texts)
    if not pools:
        return set()
    count = network.num_addresses - 2 - sum(int(last) - int(first) + 1 for first, last in pools)
    if count > MOST:
        raise ValueError(
            f"allocation_pools: {count} addresses of {network} are outside of them, and at most {MOST} can be set "
            "apart: take larger pools, or a smaller subnet"
        )
    end = int(network[-1])
    found, at = set(), int(network[1])
    for first, last in [*((int(first), int(last)) for first, last in pools), (end, end)]:
        found |= {str(IPv4Address(number)) for number in range(at, first)}
        at = last + 1
    return found - {gateway}
