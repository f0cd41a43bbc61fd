"""What DHCPv4 gives to one guest, as its binding and the configuration say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from nfdhcpd import names, raw, terms
from nfdhcpd.boot import Boot

if TYPE_CHECKING:
    from ganeti_ext.binding import Binding
    from nfdhcpd.settings import Dhcp
    from nfdhcpd.terms import Terms

# The address of RFC 7600: a valid source that nobody has, for a guest which is alone in its subnet.
NOBODY = IPv4Address("192.0.0.8")

# Guests share networks and servers, and to parse them takes longer than to answer a packet.
_network = lru_cache(maxsize=1024)(partial(IPv4Network, strict=False))
_address = lru_cache(maxsize=1024)(IPv4Address)


@dataclass(frozen=True, slots=True)
class Shared:
    """What every guest of the same terms is told; `options` are raw."""

    seconds: int
    search: tuple[str, ...]
    nameservers: tuple[IPv4Address, ...]
    ntp: tuple[IPv4Address, ...]
    routes: tuple[tuple[IPv4Network, IPv4Address], ...]
    options: tuple[tuple[int, bytes], ...]
    ipv6_only: int
    boot: Boot | None


@dataclass(frozen=True, slots=True)
class Lease:
    """Terms of one guest; `router` is None when it is to know none; `own` is its address packed, `text` in words."""

    ip: IPv4Address
    own: bytes
    text: str
    network: IPv4Network
    server: IPv4Address
    router: IPv4Address | None
    hostname: str
    domain: str
    mtu: int | None
    shared: Shared


def lease(binding: Binding, dhcp: Dhcp, said: Terms) -> Lease | None:
    """The terms for a binding, None when it has no IPv4; ValueError says what is wrong with it."""
    if binding.ip is None:
        return None
    if binding.subnet is None:
        raise ValueError(f"IP {binding.ip} without SUBNET")
    ip, network = IPv4Address(binding.ip), _network(binding.subnet)
    edges = (network.network_address, network.broadcast_address) if network.prefixlen < 31 else ()
    if ip not in network or ip in edges:
        raise ValueError(f"IP {ip} is no host of SUBNET {network}")
    try:
        names.encode(binding.hostname)
    except ValueError as err:
        raise ValueError(f"HOSTNAME {binding.hostname!r} is not a host name: {err}") from err
    gateway = _address(binding.gateway) if binding.gateway else None
    if gateway == ip:  # the guest is the router of its network
        gateway = None
    return Lease(
        ip=ip,
        own=ip.packed,
        text=str(ip),
        network=network,
        server=_address(dhcp.server_ip) if dhcp.server_ip else gateway or _neighbour(ip, network),
        router=None if binding.private else gateway,
        hostname=binding.hostname,
        domain=said.domain or binding.hostname.partition(".")[2],
        mtu=binding.mtu or said.mtu or None,
        shared=shared(said),
    )


@lru_cache(maxsize=1024)
def shared(said: Terms) -> Shared:
    """The terms' own part, made once; ValueError names a raw option that cannot be."""
    routes = (terms.route(text) for text in said.routes)
    return Shared(
        seconds=said.lease,
        search=said.search,
        nameservers=_fours(said.nameservers),
        ntp=_fours(said.ntp),
        routes=tuple((to, by) for to, by in routes if isinstance(to, IPv4Network) and isinstance(by, IPv4Address)),
        options=raw.fours(said.options),
        ipv6_only=said.ipv6_only,
        boot=Boot.of(said),
    )


def _fours(texts: tuple[str, ...]) -> tuple[IPv4Address, ...]:
    return tuple(_address(text) for text in texts if ":" not in text)


def _neighbour(ip: IPv4Address, network: IPv4Network) -> IPv4Address:
    """The first host that is not the guest itself: a server must not have the client's address."""
    return next((host for host in network.hosts() if host != ip), NOBODY)
