"""What a tenant asks of a subnet, read out of a request's body. BadRequest and Conflict name what cannot be."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import pairwise
from typing import Any

from frontend.network import subnetfacts, subnetpool
from frontend.network.subnetfacts import Subnet
from frontend.web import schema
from frontend.web.fault import BadRequest, Conflict

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

LONGEST = 255
_NAMESERVERS, _ROUTES, _POOLS = 5, 20, 10  # of one subnet; the first two as Neutron's configuration has them
_LARGEST, _SMALLEST = 16, 29  # of Ganeti's networks (constants.IPV4_NETWORK_MIN_SIZE), and some room for servers
_HOSTS6 = 64  # bits of the prefix: guests make addresses in no other (RFC 4862, 5.5.3), nor are they told others
_FIXED = ("cidr", "ip_version", "network_id", "ipv6_address_mode", "ipv6_ra_mode", "subnetpool_id", "prefixlen")
_ABSENT = ("subnetpool_id", "use_default_subnetpool", "prefixlen", "segment_id", "service_types")


def words(sent: Mapping[str, Any], key: str) -> str:
    """A name or description, which may be empty."""
    value = sent.get(key)
    return "" if value is None or value == "" else str(schema.text(sent, key, longest=LONGEST))


def check_absent(sent: Mapping[str, Any]) -> None:
    """There are neither pools of subnets nor segments."""
    for key in _ABSENT:
        if sent.get(key):
            raise BadRequest(f"{key}: is not supported; name the cidr")


def check_fixed(sent: Mapping[str, Any]) -> None:
    for key in _FIXED:
        if key in sent:
            raise BadRequest(f"Cannot update read-only attribute {key}")


def cidr(sent: Mapping[str, Any]) -> Network:
    text = schema.text(sent, "cidr")
    version = schema.number(sent, "ip_version", 4, 4, 6)
    try:
        found = ipaddress.ip_network(text)
    except ValueError as err:
        raise BadRequest(f"cidr: {err}") from err
    if found.version != version:
        raise BadRequest(f"cidr: {text}: is not of ip_version {version}")
    if isinstance(found, IPv6Network):
        if found.prefixlen != _HOSTS6 or found.is_link_local or found.is_multicast:
            raise BadRequest(f"cidr: {text}: of IPv6, a /{_HOSTS6} is allowed, and none of link-local addresses")
    elif not _LARGEST <= found.prefixlen <= _SMALLEST:
        raise BadRequest(f"cidr: {text}: from /{_LARGEST} to /{_SMALLEST} is allowed")
    return found


def gateway(sent: Mapping[str, Any], network: Network) -> str | None:
    """The first address unless another is named; null means none."""
    wanted = sent.get("gateway_ip", "")
    if wanted is None:
        return None
    found = _address("gateway_ip", wanted, network) if wanted != "" else network[1]
    if isinstance(found, IPv6Address) and found.is_link_local:
        return str(found)
    if found not in network:
        raise BadRequest(f"gateway_ip: {found} is not in {network}")
    if found == network[0] or (network.version == 4 and found == network[-1]):
        raise BadRequest(f"gateway_ip: {found} is no address of a host in {network}")
    return str(found)


def asked(sent: Mapping[str, Any], network: Network, gateway_ip: str | None, now: Subnet) -> Subnet:
    """The subnet as it is to be: `now`, but for what is said."""
    more: dict[str, Any] = {key: words(sent, key) for key in ("name", "description") if key in sent}
    if sent.get("enable_dhcp") is not None:
        more["dhcp"] = schema.flag(sent, "enable_dhcp", default=True)
    if "dns_nameservers" in sent:
        more["nameservers"] = _nameservers(schema.items(sent, "dns_nameservers"), network)
    if "host_routes" in sent:
        more["routes"] = _routes(schema.items(sent, "host_routes"), network)
    if "allocation_pools" in sent:
        more["pools"] = _pools(schema.items(sent, "allocation_pools"), network, gateway_ip)
    found = now._replace(**more)
    for first, last in subnetpool.read(found.pools):
        if gateway_ip is not None and int(first) <= int(ipaddress.ip_address(gateway_ip)) <= int(last):
            raise Conflict(f"Gateway ip {gateway_ip} conflicts with allocation pool {first}-{last}.")
    return found


def mode(sent: Mapping[str, Any], network: Network) -> str:
    """How guests come to IPv6 addresses, in nfdhcpd's word; both of Neutron's keys have to say the same."""
    said = {key: sent[key] for key in ("ipv6_address_mode", "ipv6_ra_mode") if sent.get(key) is not None}
    for key, value in said.items():
        if network.version == 4:
            raise BadRequest(f"{key}: is of IPv6 alone")
        if not isinstance(value, str) or value not in subnetfacts.MODES:
            raise BadRequest(f"{key}: expected one of {', '.join(subnetfacts.MODES)}, got {value!r:.80}")
        if schema.flag(sent, "enable_dhcp", default=True) is False:
            raise BadRequest(f"{key}: cannot be set when enable_dhcp is false")
    if len(set(said.values())) > 1:
        raise BadRequest(f"ipv6_ra_mode: {sent['ipv6_ra_mode']} is not ipv6_address_mode {sent['ipv6_address_mode']}")
    default = next(iter(subnetfacts.MODES)) if network.version == 6 else ""
    return next((subnetfacts.MODES[value] for value in said.values()), default)


def _nameservers(sent: Sequence[Any], network: Network) -> tuple[str, ...]:
    _check_count("dns_nameservers", sent, _NAMESERVERS)
    return tuple(dict.fromkeys(str(_address("dns_nameservers", each, network)) for each in sent))


def _routes(sent: Sequence[Any], network: Network) -> tuple[str, ...]:
    _check_count("host_routes", sent, _ROUTES)
    found = []
    for each in sent:
        text, by = _texts("host_routes", each, "destination", "nexthop")
        try:
            target = ipaddress.ip_network(text)
        except ValueError as err:
            raise BadRequest(f"host_routes: destination: {err}") from err
        if target.version != network.version:
            raise BadRequest(f"host_routes: destination: {text} is not of IPv{network.version}")
        found.append(f"{target}@{_address('host_routes: nexthop', by, network)}")
    return tuple(sorted(set(found)))


def _pools(sent: Sequence[Any], network: Network, gateway_ip: str | None) -> tuple[str, ...]:
    """FIRST-LAST of each, in the order of their addresses; none where they are all of the subnet."""
    _check_count("allocation_pools", sent, _POOLS)
    pools = []
    for each in sent:
        ends = _texts("allocation_pools", each, "start", "end")
        first, last = (_address("allocation_pools", end, network) for end in ends)
        low, high = int(network[1]), int(network[-2] if network.version == 4 else network[-1])
        if not low <= int(first) <= int(last) <= high:
            raise BadRequest(f"allocation_pools: {first}-{last} is no range of addresses of hosts in {network}")
        pools.append((first, last))
    pools.sort(key=lambda pool: int(pool[0]))
    for before, after in pairwise(pools):
        if int(after[0]) <= int(before[1]):
            raise Conflict(f"Found overlapping allocation pools {before[0]}-{before[1]} {after[0]}-{after[1]}.")
    texts = tuple(map(subnetpool.text, pools))
    return () if texts == tuple(map(subnetpool.text, subnetpool.whole(network, gateway_ip))) else texts


def _texts(place: str, one: Any, *keys: str) -> list[str]:
    """These of one of a list of objects."""
    sent = schema.member(place, one)
    return [schema.text({f"{place}: {key}": sent.get(key)}, f"{place}: {key}") for key in keys]


def _address(key: str, value: Any, network: Network) -> Address:
    try:
        found = ipaddress.ip_address(value if isinstance(value, str) else "")
    except ValueError as err:
        raise BadRequest(f"{key}: {value!r:.80} is no IPv{network.version} address") from err
    if found.version != network.version:
        raise BadRequest(f"{key}: {found} is no IPv{network.version} address")
    if isinstance(found, IPv6Address) and found.scope_id:
        raise BadRequest(f"{key}: {found} names a zone, which means nothing to others")
    return found


def _check_count(key: str, sent: Sequence[Any], most: int) -> None:
    if len(sent) > most:
        raise BadRequest(f"{key}: {len(sent)}, at most {most} are allowed")
