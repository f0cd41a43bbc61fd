"""How a guest comes to its IPv6 address: what its router advertisement says and what DHCPv6 gives."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Network
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nfdhcpd.terms import Terms


class Mode(NamedTuple):
    """`slaac`, `stateful` and `stateless` are the flags A, M and O (RFC 4861, 4.6.2 and 4.2).

    `stateless` also says whether DHCPv6 answers at all, and `addresses` whether it gives the guest's address to
    whoever asks, though M may not invite to it.
    """

    slaac: bool
    stateless: bool
    stateful: bool
    addresses: bool


def mode(terms: Terms, subnet6: str | None) -> Mode:
    """The mode in a network (a CIDR text, None: link-local only); ValueError when that is no network.

    auto invites to SLAAC where it works, in a /64, and to DHCPv6 elsewhere. A guest that asks all the same in a /64
    is given its address: systemd-networkd, NetworkManager, Windows and iPXE obey the flags and ask for information
    alone, but dhclient -6 and the boot managers of UEFI ask for an address whatever the flags say, and the latter
    have no other way to boot. M is an invitation and not a condition (RFC 4861, 4.2; RFC 8415 knows no such flag),
    and the address is the one that Ganeti thinks the guest has, so that nobody gets a second one by surprise.
    With a prefix to delegate, auto sets M too: systemd-networkd asks for one only then.
    """
    return _mode(terms.ipv6_mode, subnet6, bool(terms.prefix6))


@lru_cache(maxsize=1024)
def _mode(word: str, subnet6: str | None, delegates: bool) -> Mode:
    prefix = IPv6Network(subnet6, strict=False) if subnet6 else None
    # Hosts make addresses in a /64 only (RFC 4862, 5.5.3 d; RFC 2464, 4).
    possible = prefix is not None and prefix.prefixlen == 64
    stateful = prefix is not None and (word == "dhcpv6" or (word == "auto" and (delegates or not possible)))
    return Mode(
        slaac=possible and word != "dhcpv6",
        stateless=word != "slaac",
        stateful=stateful,
        addresses=stateful or (prefix is not None and word == "auto"),
    )
