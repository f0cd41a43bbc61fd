"""What clients do when it is time (RFC 2131, 4.4.5; RFC 8415, 18.2.4 and 18.2.5).

The leases are short; the guests were started with the first test of this folder.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.dhcp6 import DHCP6_Rebind, DHCP6_Renew, DHCP6_Reply, DHCP6OptServerId
from scapy.packet import Packet

from tests.lab.clients import host as site
from tests.lab.clients.elder import KINDS4, KINDS6, Elder, Kind
from tests.lab.clients.lease import expected
from tests.lab.clients.messages import ACK, ANYONE, REQUEST, addressed, dhcp, granted, named, of, options

LATE = 12  # seconds: timers of systemd may be 10 late, and this machine is busy


def names(kinds: dict[str, Kind], *, heard: bool) -> pytest.MarkDecorator:
    found = [pytest.param(name, kind, id=name) for name, kind in kinds.items() if kind.heard == heard]
    return pytest.mark.parametrize(("name", "kind"), found)


@names(KINDS4, heard=True)
def test_renewal(elders: dict[str, Elder], name: str, kind: Kind) -> None:
    one = elders[name]
    wire = one.guest.wire
    first, again = (wire.expect("ACK", dhcp(ACK), out=True, patience=kind.lease) for _ in range(2))
    request = wire.all(_to(site.GATEWAY), out=False)[0]
    assert named(request) == (one.guest.terms.ip, None, None)
    assert addressed(again) == (one.guest.mac, site.GATEWAY, one.guest.terms.ip)
    assert options(again)["lease_time"] == options(first)["lease_time"] == kind.lease
    assert _in_time(again.time - first.time, kind.lease / 2)
    assert one.lease() == expected(one.guest)


@names(KINDS4, heard=False)
def test_rebinding(elders: dict[str, Elder], name: str, kind: Kind) -> None:
    one = elders[name]
    wire = one.guest.wire
    first, again = (wire.expect("ACK", dhcp(ACK), out=True, patience=kind.lease) for _ in range(2))
    unheard = wire.all(_to(site.GATEWAY), out=False)[0]
    request = next(packet for packet in wire.all(_to(ANYONE), out=False) if packet.time > unheard.time)
    assert named(unheard) == named(request) == (one.guest.terms.ip, None, None)
    assert _in_time(unheard.time - first.time, kind.lease / 2)
    assert _in_time(again.time - first.time, kind.lease * 7 / 8)
    assert addressed(again)[2] == one.guest.terms.ip
    assert one.lease() == expected(one.guest)


@names(KINDS6, heard=True)
def test_renewal_by_dhcpv6(elders: dict[str, Elder], name: str, kind: Kind) -> None:
    """NetworkManager's timers are so coarse that it may come to rebind at once."""
    one = elders[name]
    kinds = [DHCP6_Renew, DHCP6_Rebind] if one.name == "networkmanager" else [DHCP6_Renew]
    renew = one.guest.wire.expect(
        "RENEW", lambda packet: any(kind in packet for kind in kinds), out=False, patience=kind.lease
    )
    _answered(one, renew, kind)
    preferred = kind.lease * 5 // 8
    assert _in_time(renew.time - one.guest.wire.all(of(DHCP6_Reply), out=True)[0].time, preferred / 2)


@names(KINDS6, heard=False)
def test_rebinding_by_dhcpv6(elders: dict[str, Elder], name: str, kind: Kind) -> None:
    one = elders[name]
    one.guest.wire.expect("RENEW", of(DHCP6_Renew), out=False, patience=kind.lease)
    rebind = one.guest.wire.expect("REBIND", of(DHCP6_Rebind), out=False, patience=kind.lease)
    _answered(one, rebind, kind)
    assert DHCP6OptServerId not in rebind
    preferred = kind.lease * 5 // 8
    assert _in_time(rebind.time - one.guest.wire.all(of(DHCP6_Reply), out=True)[0].time, preferred * 4 / 5)


def _answered(one: Elder, query: Packet, kind: Kind) -> None:
    """The reply to a Renew or Rebind says what the first one said."""
    again = one.guest.wire.expect("REPLY", of(DHCP6_Reply), out=True)
    first = one.guest.wire.all(of(DHCP6_Reply), out=True)[0]
    assert again.trid == query.trid
    assert granted(again) == granted(first) == [(one.guest.terms.eui64, kind.lease * 5 // 8, kind.lease)]


def _in_time(seconds: float, due: float) -> bool:
    """Clients may come early by a tenth, so that not all do at once; some count whole seconds, twice rounded."""
    return due * 0.9 - 2 <= seconds <= due + LATE


def _to(destination: str) -> Callable[[Packet], bool]:
    """A check for a REQUEST to this address."""
    return lambda packet: dhcp(REQUEST)(packet) and addressed(packet)[2] == destination
