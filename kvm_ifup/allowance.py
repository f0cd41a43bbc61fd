"""Addresses that a guest may use beside its own, by tags of its instance or its network.

`ganeti-ext:allow-address:A` or `ganeti-ext:allow-address.NIC:A`, where A is an address or a prefix of IPv4 or IPv6, and
NIC a NIC's index, name or UUID.
"""

from __future__ import annotations

import ipaddress

from ganeti_ext import tags
from ganeti_ext.errors import ContractError
from kvm_ifup.elements import of_tap
from kvm_ifup.terms import NEVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ganeti_ext.nicenv import Nic
    from kvm_ifup.elements import Element

_INTERVALS = ("ip4_more", "ip6_prefix")

_Net = ipaddress.IPv4Network | ipaddress.IPv6Network


def elements(nic: Nic, *delegated: str) -> Iterator[Element]:
    """What ruleset.py allows more; ContractError for a tag that cannot be read. `delegated` are IPv6 prefixes beside.

    A prefix of IPv6 may be used behind the guest, but its addresses cannot be claimed on the link, one address can.
    """
    found = _networks(nic)
    ip4 = {net for net in found if isinstance(net, ipaddress.IPv4Network)}
    ip6 = {net for net in found if isinstance(net, ipaddress.IPv6Network)}
    single = {net for net in ip6 if net.prefixlen == 128}
    prefixes = {*(ip6 - single), *map(ipaddress.IPv6Network, delegated)}
    # Intervals of one set must not overlap.
    for net4 in ipaddress.collapse_addresses(ip4):
        yield of_tap("netdev", "ip4_more", nic.tap, str(net4))
    for net6 in ipaddress.collapse_addresses(prefixes):
        yield of_tap("netdev", "ip6_prefix", nic.tap, str(net6))
    for net in sorted(single):
        yield of_tap("netdev", "ip6_source", nic.tap, str(net.network_address))
        yield of_tap("netdev", "ip6_target", nic.tap, f"0x{int(net.network_address):032x}")


def apart(found: Iterable[Element]) -> tuple[Element, ...]:
    """Less the prefixes that lie within others: a change that somebody died in may have left both in a record."""
    kept = list(found)
    nets = {each: ipaddress.ip_network(each.text.partition(" . ")[2]) for each in kept if each.set in _INTERVALS}
    inner = {each for each in nets for other in nets if each != other and _within(each, other, nets)}
    return tuple(each for each in kept if each not in inner)


def _within(one: Element, other: Element, nets: Mapping[Element, _Net]) -> bool:
    inner, outer = nets[one], nets[other]
    return one.set == other.set and outer.prefixlen < inner.prefixlen and inner.overlaps(outer)


def _networks(nic: Nic) -> set[_Net]:
    found = set()
    for tag in (*nic.tags, *(nic.network.tags if nic.network else ())):
        head, _, text = tag.removeprefix(tags.ALLOW_ADDRESS).partition(":")
        if not tag.startswith(tags.ALLOW_ADDRESS) or (head and not head.startswith(".")):
            continue
        if head and head[1:] not in (str(nic.index), nic.name, nic.uuid):
            continue
        try:
            net = ipaddress.ip_network(text)
            if any(isinstance(net, ipaddress.IPv6Network) and net.overlaps(never) for never in NEVER):
                raise ValueError("routers and groups are not a guest's")
            found.add(net)
        except ValueError as err:
            raise ContractError(f"tag {tag}: {err}") from err
    return found
