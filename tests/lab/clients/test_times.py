"""What clients do when it is time, of which they cannot be told to (RFC 2131, 4.4.5).

The leases are of a minute; the guests were started with the first test of this folder.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.packet import Packet

from tests.lab.clients import elder
from tests.lab.clients import host as site
from tests.lab.clients.elder import Elder
from tests.lab.clients.lease import expected
from tests.lab.clients.messages import ACK, ANYONE, REQUEST, addressed, dhcp, named, options

SLACK = 6  # clients may come early or late at random, and this machine may be slow


def test_renewal(elders: dict[str, Elder]) -> None:
    one = elders["networkmanager that renews"]
    wire = one.guest.wire
    first, again = (wire.expect("ACK", dhcp(ACK), out=True, patience=elder.RENEWAL + SLACK) for _ in range(2))
    request = wire.all(_to(site.GATEWAY), out=False)[0]
    assert named(request) == (one.guest.terms.ip, None, None)
    assert addressed(again) == (one.guest.mac, site.GATEWAY, one.guest.terms.ip)
    assert options(again)["lease_time"] == options(first)["lease_time"] == elder.LEASE
    assert again.time - first.time == pytest.approx(elder.RENEWAL, abs=SLACK)
    assert one.lease() == expected(one.guest)


@pytest.mark.parametrize("name", [name for name in elder.NAMES if "rebinds" in name])
def test_rebinding(elders: dict[str, Elder], name: str) -> None:
    one = elders[name]
    wire = one.guest.wire
    first, again = (wire.expect("ACK", dhcp(ACK), out=True, patience=elder.REBINDING + SLACK) for _ in range(2))
    unheard = wire.all(_to(site.GATEWAY), out=False)[0]
    request = next(packet for packet in wire.all(_to(ANYONE), out=False) if packet.time > unheard.time)
    assert named(unheard) == named(request) == (one.guest.terms.ip, None, None)
    assert unheard.time - first.time == pytest.approx(elder.RENEWAL, abs=SLACK)
    assert again.time - first.time == pytest.approx(elder.REBINDING, abs=SLACK)
    assert addressed(again)[2] == one.guest.terms.ip
    assert one.lease() == expected(one.guest)


def _to(destination: str) -> Callable[[Packet], bool]:
    """A check for a REQUEST to this address."""
    return lambda packet: dhcp(REQUEST)(packet) and addressed(packet)[2] == destination
