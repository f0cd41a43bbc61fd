"""Real takers of router advertisements (RFC 4861, RFC 4862, RFC 8106)."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet6 import ICMPv6ND_RA, ICMPv6ND_RS, IPv6
from scapy.packet import Packet

from ganeti_ext import binding
from tests.lab.clients import host as site
from tests.lab.clients.conftest import MakeGuest
from tests.lab.clients.guest import NIC, Guest
from tests.lab.clients.slaac import CLIENTS, EXPECTED, Kernel

# What rdisc6 is to print, beside what it does of every advertisement.
TOLD = [
    "Router preference         :       medium",
    "Router lifetime           :         1800 (0x00000708) seconds",
    " MTU                      :         1400 bytes (valid)",
    f" Prefix                   : {site.SUBNET6}",
    "  On-link                 :          Yes",
    "  Autonomous address conf.:          Yes",
    *(f" Recursive DNS server     : {server}" for server in site.NAMESERVERS6),
    f" DNS search list          : {' '.join(site.SEARCH)} ",
    f" from {site.GATEWAY6}",
]


def solicits(packet: Packet) -> bool:
    return ICMPv6ND_RS in packet


def advertises(packet: Packet) -> bool:
    return ICMPv6ND_RA in packet


@pytest.fixture
def guest(guest: Guest) -> Guest:
    """One whose first unasked advertisement is gone, with nobody there to take it; the next is far."""
    guest.wire.expect("router advertisement", advertises, out=True)
    return guest


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_a_guest_makes_its_address(guest: Guest, client: Any) -> None:
    one = client(guest)
    one.start()
    guest.wire.expect("router solicitation", solicits, out=False)
    advert = guest.wire.expect("router advertisement", advertises, out=True, patience=2)
    one.configured()
    assert one.autoconf() == EXPECTED
    assert (advert[IPv6].src, advert[IPv6].dst, advert[IPv6].hlim) == (site.GATEWAY6, "ff02::1", 255)
    guest.run("ping", "-c1", "-W5", site.ROUTER6)


def test_a_guest_whose_link_local_address_tells_nothing_of_its_mac(guest: Guest) -> None:
    guest.run("ip", "link", "set", NIC, "addrgenmode", "random")
    one = Kernel(guest)
    one.start()
    solicit = guest.wire.expect("router solicitation", solicits, out=False)
    guest.wire.expect("router advertisement", advertises, out=True, patience=2)
    assert "ff:fe" not in solicit[IPv6].src
    one.configured()
    assert one.autoconf() == EXPECTED


def test_rdisc6_and_ndisc6(guest: Guest) -> None:
    guest.up()
    lines = guest.run("rdisc6", "--single", NIC).splitlines()
    assert [line for line in lines if line in TOLD] == TOLD
    found = guest.run("ndisc6", site.GATEWAY6, NIC)
    assert f"Target link-layer address: {site.MAC.upper()}" in found


def test_unasked_when_the_binding_appears_and_without_a_router_when_it_goes(make_guest: MakeGuest) -> None:
    guest = make_guest()
    guest.up()
    monitor = guest.start("ip", "-6", "monitor", "route")
    guest.serve()
    guest.wire.expect("router advertisement", advertises, out=True, patience=5)
    monitor.says(f"^default via {site.GATEWAY6}")
    assert not guest.wire.all(solicits, out=False)
    binding.remove(guest.terms.tap, str(guest.host.path(binding.DIRECTORY)))
    advert = guest.wire.expect("withdrawal", advertises, out=True)
    monitor.says(f"^Deleted default via {site.GATEWAY6}")
    assert advert[ICMPv6ND_RA].routerlifetime == 0


def test_a_private_network_has_no_router(make_guest: MakeGuest) -> None:
    guest = make_guest()
    guest.serve(private=True)
    one = Kernel(guest)
    one.start()
    advert = guest.wire.expect("router advertisement", advertises, out=True)
    assert advert[ICMPv6ND_RA].routerlifetime == 0
    one.configured(router=False)
    assert guest.routes(6) == {}
