"""Guests whose tap is the port of no bridge: the host routes, and answers by the tap itself."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from ganeti_ext.address import link_local
from lab.step import until
from tests.lab.clients import host as site
from tests.lab.clients.box import PATIENCE
from tests.lab.clients.conftest import MakeGuest
from tests.lab.clients.dhcp6 import Dhclient6
from tests.lab.clients.guest import NIC, Guest
from tests.lab.clients.lease import expected
from tests.lab.clients.messages import ACK, dhcp, of, options
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
    advert = routed.wire.expect("router advertisement", of(ICMPv6ND_RA), out=True)
    one.configured()
    assert one.autoconf() == EXPECTED
    assert advert[IPv6].src == site.GATEWAY6
    routed.run("ping", "-c1", "-W5", site.ROUTER6)


def test_ndisc6(routed: Guest) -> None:
    """The daemon answers for a router that is no address of the tap, the kernel for the tap's own, and nobody twice."""
    routed.up()
    for address in (site.GATEWAY6, link_local(mac(routed))):
        found = routed.run("ndisc6", "--single", address, NIC)
        assert f"Target link-layer address: {mac(routed).upper()}" in found
        assert len(_answers(routed, address)) == 1


def test_nobody_answers_for_the_guest_itself(routed: Guest) -> None:
    """Duplicate address detection finds no other (RFC 4862, 5.4)."""
    one = Kernel(routed)
    one.start()
    one.configured()
    probed = [packet[ICMPv6ND_NS].tgt for packet in routed.wire.all(of(ICMPv6ND_NS), out=False) if _anonymous(packet)]
    assert routed.terms.eui64 in probed
    assert _answers(routed, str(routed.terms.eui64)) == []


def test_address_by_dhcpv6(routed: Guest) -> None:
    routed.serve(terms=(("ipv6_mode", "dhcpv6"),))
    one = Dhclient6(routed)
    one.start()
    one.bound()
    assert one.lease().addresses == [f"{routed.terms.eui64}/128"]
    until("a router was advertised", lambda: "default" in routed.routes(6), PATIENCE)
    routed.run("ping", "-c1", "-W5", site.ROUTER6)


def _answers(guest: Guest, target: str) -> list[Packet]:
    """Neighbour advertisements of an address."""
    return guest.wire.all(lambda packet: ICMPv6ND_NA in packet and packet[ICMPv6ND_NA].tgt == target, out=True)


def _anonymous(packet: Packet) -> bool:
    return str(packet[IPv6].src) == "::"
