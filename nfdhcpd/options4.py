"""Options of DHCPv4: what a guest is told, from its lease; encoded once."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from nfdhcpd import dhcp4, names
from nfdhcpd.dhcp4 import UNSET, Code
from nfdhcpd.lease import NOBODY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from ipaddress import IPv4Network

    from nfdhcpd.lease import Lease
    from nfdhcpd.settings import Dhcp
    from nfdhcpd.terms import Terms

DEFAULT_ROUTE = b"\0"  # a prefix of 0 bits, as option 121 writes it
POINTER = 0xC000


def _seconds(value: int) -> bytes:
    return value.to_bytes(4, "big")


def _addresses(addresses: Iterable[IPv4Address]) -> bytes:
    return b"".join(address.packed for address in addresses)


def routes(lease: Lease) -> bytes:
    """RFC 3442. A client that takes this option leaves the router option alone, so the default is in here as well.

    The way to a gateway outside of the subnet comes first: it is the wire itself, which 0.0.0.0 means.
    """
    wanted = [(_target(to), by) for to, by in lease.shared.routes if by != lease.ip]
    if lease.router is not None and (wanted or lease.router not in lease.network):
        wanted.append((DEFAULT_ROUTE, lease.router))
    far = {by for _, by in wanted if by not in lease.network and by.packed != UNSET}
    links = [b"\x20" + gateway.packed + UNSET for gateway in sorted(far)]
    return b"".join([*links, *(target + gateway.packed for target, gateway in wanted)])


def _target(network: IPv4Network) -> bytes:
    return bytes((network.prefixlen,)) + network.network_address.packed[: (network.prefixlen + 7) // 8]


@lru_cache(maxsize=256)
def search(domains: tuple[str, ...]) -> bytes:
    """RFC 3397: a list of names, each ending in a pointer where it ends like one before (RFC 1035, 4.1.4)."""
    wire, seen = b"", dict[str, int]()
    for domain in domains:
        labels = domain.removesuffix(".").lower().split(".")
        full = names.encode(domain)
        at = 0  # of the label in the name's own encoding
        for index, label in enumerate(labels):
            rest = ".".join(labels[index:])
            if rest in seen:
                wire += full[:at] + (POINTER | seen[rest]).to_bytes(2, "big")
                break
            if len(wire) + at < 1 << 14:
                seen[rest] = len(wire) + at
            at += 1 + len(label)
        else:
            wire += full
    return wire


def fqdn(asked: bytes, lease: Lease) -> bytes | None:
    """The answer to option 81 (RFC 4702, 4): what the guest is called, and that DNS is not updated from here.

    None when the client's option is cut short.
    """
    if len(asked) < 3:
        return None
    wants_update, encoded = asked[0] & _S, asked[0] & _E
    name = lease.hostname if "." in lease.hostname or not lease.domain else f"{lease.hostname}.{lease.domain}"
    if encoded:
        wire = names.encode(name)
        text = wire if "." in name else wire[:-1]  # a name of one label is not complete, which no last zero says
    else:
        text = name.encode("ascii")
    return bytes((_N | encoded | (_O if wants_update else 0), 255, 255)) + text


_S, _O, _E, _N = 1, 2, 4, 8  # "server updates", "overridden", "encoding is DNS's", "no updates"

# What can be told, and from what: a value of None or nothing leaves the option out. The order is that of need: what
# does not fit is left out from the end. What depends on the client as well, boot and FQDN, is not in the table.
OPTIONS: Mapping[int, Callable[[Lease], bytes | None]] = {
    Code.SERVER: lambda lease: lease.server.packed,
    Code.LEASE: lambda lease: _seconds(lease.shared.seconds),
    Code.RENEWAL: lambda lease: _seconds(lease.shared.seconds // 2),
    Code.REBINDING: lambda lease: _seconds(lease.shared.seconds * 7 // 8),
    Code.MASK: lambda lease: lease.network.netmask.packed,
    Code.ROUTES: routes,
    Code.ROUTER: lambda lease: lease.router.packed if lease.router else None,
    Code.NAMESERVER: lambda lease: _addresses(lease.shared.nameservers),
    Code.MTU: lambda lease: lease.mtu.to_bytes(2, "big") if lease.mtu else None,
    Code.IPV6_ONLY: lambda lease: _seconds(lease.shared.ipv6_only) if lease.shared.ipv6_only else None,
    Code.ROUTES_MS: routes,
    Code.HOSTNAME: lambda lease: lease.hostname.encode("ascii"),
    Code.BROADCAST: lambda lease: lease.network.broadcast_address.packed if lease.network.prefixlen < 31 else None,
    Code.DOMAIN: lambda lease: lease.domain.encode("ascii"),
    Code.NTP: lambda lease: _addresses(lease.shared.ntp),
    Code.SEARCH: lambda lease: search(lease.shared.search),
}
# Told to a client that did not ask, too; the others only when asked for, or when it asked for nothing by name.
ALWAYS = frozenset(
    (Code.SERVER, Code.LEASE, Code.RENEWAL, Code.REBINDING, Code.MASK, Code.ROUTES, Code.ROUTER, Code.NAMESERVER)
)
# Never to a client without a list: RFC 8925, 3.3, and Microsoft's older number of option 121.
BY_NAME = frozenset((Code.IPV6_ONLY, Code.ROUTES_MS))
# RFC 2131, 4.3.5: an INFORM is answered without times, as the client has its address from elsewhere.
TIMES = frozenset((Code.LEASE, Code.RENEWAL, Code.REBINDING))

# Guests of a network share most values; one of each is enough.
_option = lru_cache(maxsize=4096)(dhcp4.option)


def encode(lease: Lease) -> dict[int, bytes]:
    """Every option of a lease, encoded, in order of need; raw ones stand in for those of the same code."""
    values = {code: make(lease) for code, make in OPTIONS.items()}
    raw = dict(lease.shared.options)
    return {int(code): _option(code, value) for code, value in _merged(values, raw)}


def _merged(values: Mapping[int, bytes | None], raw: Mapping[int, bytes]) -> Iterator[tuple[int, bytes]]:
    for code, value in ({**values, **raw}).items():
        if value or code in raw:
            yield code, value or b""


def without_address(dhcp: Dhcp, terms: Terms) -> dict[int, bytes]:
    """What a guest without IPv4 can be told: to stay without (RFC 2563, 8925)."""
    server = IPv4Address(dhcp.server_ip) if dhcp.server_ip else NOBODY
    found = {
        int(Code.SERVER): dhcp4.option(Code.SERVER, server.packed),
        int(Code.AUTOCONF): dhcp4.option(Code.AUTOCONF, b"\0"),
    }
    if terms.ipv6_only:
        found[Code.IPV6_ONLY] = dhcp4.option(Code.IPV6_ONLY, _seconds(terms.ipv6_only))
    return found
