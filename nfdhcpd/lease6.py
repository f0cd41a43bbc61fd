"""What DHCPv6 gives to one guest, as its binding and the configuration say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from ipaddress import IPv6Address, IPv6Network
from typing import TYPE_CHECKING, NamedTuple

from nfdhcpd import boot6, names, options6
from nfdhcpd.mode import mode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ganeti_ext.binding import Binding
    from nfdhcpd.boot6 import Boot6
    from nfdhcpd.terms import Terms

# Guests share networks, and to parse one takes longer than to answer a packet.
_network = lru_cache(maxsize=1024)(partial(IPv6Network, strict=False))


class Grant(NamedTuple):
    """An address (16 bytes) or a prefix (its length, then 16 bytes) as packets and as people write it."""

    packed: bytes
    text: str


@dataclass(frozen=True, slots=True)
class Lease6:
    """Terms of one guest, ready to send; times in seconds.

    `address` and `prefix` are None when there is none to give; `network` is that of the link, None when it has only
    link-local addresses. `options` are encoded, by their codes, as are `refresh` and `boot`; `fqdn` is a name in wire
    form.
    """

    duid: bytes
    address: Grant | None
    prefix: Grant | None
    network: IPv6Network | None
    preferred: int
    valid: int
    options: Mapping[int, bytes]
    refresh: bytes
    fqdn: bytes
    boot: Boot6

    @property
    def t1(self) -> int:
        """When to renew: RFC 8415, 21.4 recommends half of the preferred lifetime."""
        return self.preferred // 2

    @property
    def t2(self) -> int:
        """When to rebind: four fifths of it."""
        return self.preferred * 4 // 5

    def has(self, packed: bytes) -> bool:
        """Whether an address is of the link, as far as one can tell."""
        return self.network is None or IPv6Address(packed) in self.network


def lease6(binding: Binding, terms: Terms, duid: bytes) -> Lease6 | None:
    """The terms for a binding whose server has this identifier; ValueError says what is wrong with it.

    None when DHCPv6 has nothing to say to the guest: it has no IPv6, or its mode is slaac.
    """
    if binding.subnet6 is None and binding.gateway6 is None and binding.eui64 is None:
        return None
    how = mode(terms, binding.subnet6)
    address = _address(binding)
    if not how.stateless:
        return None
    given = address if how.addresses else None
    prefix = _prefix(terms.prefix6) if terms.prefix6 else None
    domain = terms.domain or binding.hostname.partition(".")[2]
    return Lease6(
        duid=duid,
        address=given,
        prefix=prefix,
        network=_network(binding.subnet6) if binding.subnet6 else None,
        # An address is not for new connections any more some time before it ends, so that the old ones can end well.
        preferred=terms.lease * 5 // 8,
        valid=terms.lease,
        options=options6.encode(options6.Facts(terms, domain, leases=bool(given or prefix))),
        refresh=options6.refresh(terms),
        fqdn=_fqdn(binding.hostname, domain),
        boot=boot6.boot(terms),
    )


def _address(binding: Binding) -> Grant | None:
    """The guest's address, whatever its form: EUI64 is what the key was called when there was one form."""
    if binding.eui64 is None:
        return None
    if binding.subnet6 is None:
        raise ValueError(f"EUI64 {binding.eui64} without SUBNET6")
    address, network = IPv6Address(binding.eui64), _network(binding.subnet6)
    # The first address of a network is its routers' (RFC 4291, 2.6.1), except on links of two (RFC 6164).
    if address not in network or (network.prefixlen < 127 and address == network.network_address):
        raise ValueError(f"EUI64 {address} is no host of SUBNET6 {network}")
    return Grant(address.packed, str(address))


def _prefix(text: str) -> Grant:
    prefix = IPv6Network(text)
    return Grant(bytes((prefix.prefixlen,)) + prefix.network_address.packed, str(prefix))


def _fqdn(hostname: str, domain: str) -> bytes:
    """A name that ends with the root when it is whole, and without it when the domain is unknown (RFC 4704, 4.2)."""
    if "." in hostname or not domain:
        wire = names.encode(hostname)
        return wire if "." in hostname else wire[:-1]
    return names.encode(f"{hostname}.{domain}")
