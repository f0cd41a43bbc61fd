"""Guests whose tap is the port of no bridge: the host routes, and answers by the tap itself."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet6 import ICMPv6ND_RA, IPv6
from scapy.layers.l2 import Ether

from tests.lab.clients import host as site
from tests.lab.clients.conftest import MakeGuest
from tests.lab.clients.guest import Guest
from tests.lab.clients.lease import expected
from tests.lab.clients.messages import ACK, dhcp, options
from tests.lab.clients.slaac import EXPECTED, Kernel
from tests.lab.clients.test_dhcp4 import CLIENTS, each


@pytest.fixture
def routed(make_guest: MakeGuest) -> Guest:
    made = make_guest(routed=True)
    made.serve()
    return made


def mac(guest: Guest) -> str:
    """The MAC of the guest's tap."""
    return guest.host.run("cat", f"/sys/class/net/{guest.terms.tap}/address").strip()


@each(*CLIENTS)
def test_fresh_lease(routed: Guest, client: Any) -> None:
    one = client(routed)
    one.start()
    ack = routed.wire.expect("ACK", dhcp(ACK), out=True)
    one.bound()
    assert ack[Ether].src == mac(routed)
    assert one.lease() == expected(routed)
    routed.run("ping", "-c1", "-W5", site.GATEWAY)


@each(*CLIENTS)
def test_a_gateway_outside_of_the_subnet(routed: Guest, client: Any) -> None:
    """The guest has its own address alone for a subnet, and the way to both routers by option 121 (RFC 3442)."""
    routed.serve(subnet=f"{routed.terms.ip}/32")
    one = client(routed)
    one.start()
    ack = routed.wire.expect("ACK", dhcp(ACK), out=True)
    one.bound()
    assert one.lease() == expected(routed)
    assert options(ack)["subnet_mask"] == "255.255.255.255"
    routed.run("ping", "-c1", "-W5", site.GATEWAY)


def test_a_guest_makes_its_address(routed: Guest) -> None:
    one = Kernel(routed)
    one.start()
    advert = routed.wire.expect("router advertisement", lambda packet: ICMPv6ND_RA in packet, out=True)
    one.configured()
    assert one.autoconf() == EXPECTED
    assert advert[IPv6].src == site.GATEWAY6
