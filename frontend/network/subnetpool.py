"""Which addresses of an IPv4 subnet Ganeti chooses from, and which are set apart for that. Pure.

Ganeti chooses any free address; those that are outside of a tenant's pools are reserved there (`gnt-network modify
--add-reserved-ips`), so that its own pool is the only truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

MOST = 4096
"""Addresses that may be set apart: each is named to Ganeti, in one job."""

_LEAST = 4  # addresses, or there is none for a host beside the first and the last

Pool = tuple[IPv4Address, IPv4Address]
"""First and last."""


def text(pool: Pool) -> str:
    return f"{pool[0]}-{pool[1]}"


def read(texts: Iterable[str]) -> list[Pool]:
    """Pools of their texts, in the order of their addresses; what an administrator made unreadable is passed over."""
    found = []
    for each in texts:
        first, _, last = each.partition("-")
        try:
            found.append((IPv4Address(first), IPv4Address(last)))
        except ValueError:
            continue
    return sorted(found)


def shown(cidr: str, gateway: str | None, texts: Sequence[str]) -> list[dict[str, str]]:
    """As Network v2.0 shows them: without any of their own, all of the subnet but for its gateway."""
    network = IPv4Network(cidr, strict=False)
    if network.num_addresses < _LEAST:
        return []
    pools = read(texts) or whole(network, IPv4Address(gateway) if gateway else None)
    return [{"start": str(first), "end": str(last)} for first, last in pools]


def shown6(cidr: str, gateway: str | None) -> list[dict[str, str]]:
    """Of IPv6, where the address follows from the MAC, all of the subnet but for its gateway."""
    network = IPv6Network(cidr, strict=False)
    if network.num_addresses < _LEAST:
        return []
    first, last = network[1], network[-1]
    by = IPv6Address(gateway) if gateway else None
    pools = [(first, last)] if by is None or not first <= by <= last else [(first, by - 1), (by + 1, last)]
    return [{"start": str(start), "end": str(end)} for start, end in pools if start <= end]


def whole(network: IPv4Network, gateway: IPv4Address | None) -> list[Pool]:
    """All addresses that hosts may have, but for the gateway's."""
    first, last = network[1], network[-2]
    if gateway is None or not first <= gateway <= last:
        return [(first, last)]
    return [(start, end) for start, end in ((first, gateway - 1), (gateway + 1, last)) if start <= end]


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
    found, at = set(), network[1]
    for first, last in [*pools, (network[-1], network[-1])]:
        found |= {str(IPv4Address(number)) for number in range(int(at), int(first))}
        at = last + 1 if last < network[-1] else last
    return found - {gateway}
