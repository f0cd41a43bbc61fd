"""A guest behind its tap: the binding joined with the interfaces it names, and what is answered to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ganeti_ext.binding import BindingError
from nfdhcpd import lease, lease6, neighbour, options4, ra
from nfdhcpd.frame import mac_bytes
from nfdhcpd.stats import Counts
from nfdhcpd.terms import IPV4, IPV6

if TYPE_CHECKING:
    from ganeti_ext.binding import Binding
    from nfdhcpd.lease6 import Lease6
    from nfdhcpd.memory import Remembered
    from nfdhcpd.neighbour import Neighbours
    from nfdhcpd.settings import Settings


class Link(NamedTuple):
    """An interface of this host: its MAC (empty for one that has none) and its IPv6 addresses, packed."""

    ifindex: int
    mac: bytes
    addresses: frozenset[bytes] = frozenset()


@dataclass(slots=True)
class Client:
    """A guest that is served. `source` is the MAC that answers, `source6` its link's packed address.

    `ipv6` is the guest's own address, for people.

    What DHCPv4 (`lease`), DHCPv6 (`six`), router advertisements and neighbour discovery have for it may be None;
    `options` are DHCPv4's, encoded; `memory` is memory.py's, `counts` the tap's.
    """

    tap: str
    instance: str
    ifindex: int
    mac: bytes
    macspoof: bool
    source: bytes
    lease: lease.Lease | None
    advert: ra.Advert | None
    counts: Counts = field(default_factory=Counts)
    memory: dict[bytes, Remembered] = field(default_factory=dict)
    options: dict[int, bytes] = field(default_factory=dict)
    six: Lease6 | None = None
    source6: bytes = b""
    ipv6: str = ""
    neighbours: Neighbours | None = None

    def __str__(self) -> str:
        return f"{self.tap} ({self.instance or 'unnamed'})"


def client(binding: Binding, tap: Link, indev: Link | None, settings: Settings) -> Client:
    """Prepare to serve a binding; BindingError says what is wrong with it.

    INDEV answers; where it is not named (Open vSwitch), gone or has no MAC, the tap's own MAC does.
    """
    uplink = indev if indev is not None and len(indev.mac) == 6 else tap
    if len(uplink.mac) != 6:
        raise BindingError(f"binding of {binding.tap}: neither INDEV {binding.indev!r} nor the tap has a MAC")
    try:
        if binding.mtu is not None and not 68 <= binding.mtu <= 65535:
            raise ValueError(f"MTU {binding.mtu} is not from 68 to 65535")  # RFC 2132, 5.1
        terms = settings.guests.of(binding.tags, binding.terms)
        told4 = settings.dhcp.enable and terms.only != IPV6
        told6 = settings.ipv6.enable and terms.only != IPV4
        four = lease.lease(binding, settings.dhcp, terms) if told4 else None
        facts = ra.Uplink(uplink.mac, uplink.addresses, routed=uplink.ifindex == tap.ifindex)
        return Client(
            tap=binding.tap,
            instance=binding.instance,
            ifindex=tap.ifindex,
            mac=mac_bytes(binding.mac),
            macspoof=binding.macspoof,
            source=uplink.mac,
            lease=four,
            advert=ra.advertise(binding, facts, settings.ipv6, terms) if told6 else None,
            options=options4.encode(four) if four else options4.without_address(settings.dhcp, terms),
            six=lease6.lease6(binding, terms, settings.duid) if told6 else None,
            source6=ra.source(facts),
            ipv6=binding.eui64 or "",
            neighbours=neighbour.neighbours(binding, facts, terms) if settings.ipv6.enable else None,
        )
    except ValueError as err:
        raise BindingError(f"binding of {binding.tap}: {err}") from err
