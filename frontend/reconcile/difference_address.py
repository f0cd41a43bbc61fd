"""Addresses of NICs against the pools of Ganeti's networks, in Ganeti alone. Values in, differences out.

The networks were read before the instances and again behind them, so that an address that a job takes or gives
back meanwhile is no difference.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterator, Mapping

from frontend.reconcile.difference import Difference, Entry, Snapshot

Uses = Mapping[tuple[str, str], list[str]]
"""By network (UUID) and address or MAC, the instances that use it."""


def addresses(found: Snapshot) -> Iterator[Difference]:
    ips, macs = _uses(found.instances)
    for what, uses in (("ip", ips), ("mac", macs)):
        for (network, address), users in uses.items():
            if len(users) > 1 and network in found.networks:
                words = f"{address} is used by {' and '.join(users)}"
                advice = f"gnt-instance modify --net NUMBER:modify,{what}=ANOTHER {users[-1]}"
                yield _only_told("address-twice", found.networks[network], words, advice)
    for network, listed in found.networks.items():
        if network in found.later:
            yield from _pool(listed, found.later[network], ips)


def _uses(instances: Mapping[str, Entry]) -> tuple[Uses, Uses]:
    ips, macs = defaultdict[tuple[str, str], list[str]](list), defaultdict[tuple[str, str], list[str]](list)
    for name, instance in sorted(instances.items()):
        nics = zip(instance["nic.networks"], instance["nic.ips"], instance["nic.macs"], strict=True)
        for network, ip, mac in nics:
            if network and ip:
                ips[network, ip].append(name)
            if network and mac:
                macs[network, mac].append(name)
    return ips, macs


def _pool(before: Entry, after: Entry, ips: Uses) -> Iterator[Difference]:
    if not before["map"] or before["network"] != after["network"]:
        return
    subnet = ipaddress.IPv4Network(before["network"], strict=False)
    lasting = [first if first == last else "" for first, last in zip(before["map"], after["map"], strict=True)]
    used = {address: names[0] for (network, address), names in ips.items() if network == before["uuid"]}
    for address, instance in used.items():
        if ipaddress.IPv4Address(address) in subnet and lasting[_place(address, subnet)] == ".":
            advice = f"gnt-network modify --add-reserved-ips={address} {before['name']}"
            yield _only_told("address-unreserved", before, f"{address} is used by {instance}", advice)
    outside = {each.strip() for each in (after["external_reservations"] or "").split(",")}
    for place, mark in enumerate(lasting):
        if mark == "X" and (address := str(subnet[place])) not in used and address not in outside:
            yield _only_told("address-unused", before, f"{address} is reserved and no instance has it", "")


def _place(address: str, subnet: ipaddress.IPv4Network) -> int:
    return int(ipaddress.IPv4Address(address)) - int(subnet.network_address)


def _only_told(kind: str, network: Entry, words: str, advice: str) -> Difference:
    return Difference(kind, "network", network["name"], None, None, words, advice)
