"""Real DHCPv4 clients: how each comes to its lease, keeps it, loses it and gives it back (RFC 2131)."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.dhcp import BOOTP
from scapy.layers.l2 import Ether

from lab.step import until
from tests.lab.clients import host as site
from tests.lab.clients.box import PATIENCE
from tests.lab.clients.conftest import MakeGuest
from tests.lab.clients.dhclient import Dhclient
from tests.lab.clients.dhcpcd import Dhcpcd
from tests.lab.clients.guest import Guest, begun
from tests.lab.clients.lease import expected
from tests.lab.clients.messages import (
    ACK,
    ANYONE,
    DECLINE,
    DISCOVER,
    NAK,
    NOBODY,
    OFFER,
    RELEASE,
    REQUEST,
    addressed,
    dhcp,
    named,
    options,
)
from tests.lab.clients.networkd import Networkd
from tests.lab.clients.networkmanager import NetworkManager
from tests.lab.clients.udhcpc import Udhcpc

CLIENTS = (Udhcpc, Dhclient, Dhcpcd, Networkd, NetworkManager)
REMEMBERS = [client for client in CLIENTS if client.remembers]
# Those that can be told to renew, and of these those that soon rebind when nobody answers.
RENEWS = (Udhcpc, Dhclient, Dhcpcd, Networkd)
REBINDS = (Udhcpc, Dhclient)
OTHER = {"ip": "198.51.100.7", "subnet": "198.51.100.0/24", "gateway": "198.51.100.1"}


def each(*clients: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("client", clients, ids=lambda client: client.name)


@each(*CLIENTS)
def test_fresh_lease(guest: Guest, client: Any) -> None:
    one = client(guest)
    one.start()
    wire = guest.wire
    discover = wire.expect("DISCOVER", dhcp(DISCOVER), out=False)
    assert ("rapid_commit" in options(discover)) == client.rapid
    pairs = []
    if not client.rapid:
        pairs.append((discover, wire.expect("OFFER", dhcp(OFFER), out=True)))
        request = wire.expect("REQUEST", dhcp(REQUEST), out=False)
        assert named(request) == (NOBODY, guest.terms.ip, site.GATEWAY)
    pairs.append((discover if client.rapid else request, wire.expect("ACK", dhcp(ACK), out=True)))
    one.bound()
    assert one.lease() == expected(guest)
    for query, answer in pairs:
        told = options(answer)
        assert (answer[BOOTP].xid, answer[BOOTP].yiaddr) == (query[BOOTP].xid, guest.terms.ip)
        assert (answer[Ether].src, answer[Ether].dst) == (site.MAC, guest.mac)
        assert (told["lease_time"], told["renewal_time"], told["rebinding_time"]) == (3600, 1800, 3150)
        assert told.get("client_id") == options(query).get("client_id")
    guest.run("ping", "-c1", "-W5", site.GATEWAY)
    assert len(wire.all(dhcp(DISCOVER), out=False)) == 1, "the first answer was good"


@each(*RENEWS)
def test_renewal(guest: Guest, client: Any) -> None:
    one = begun(client(guest))
    guest.wire.skip()
    one.renew()
    request = guest.wire.expect("REQUEST to the server", lambda packet: _asks(packet, site.GATEWAY), out=False)
    ack = guest.wire.expect("ACK", dhcp(ACK), out=True)
    one.bound()
    assert named(request) == (guest.terms.ip, None, None)
    assert addressed(ack) == (guest.mac, site.GATEWAY, guest.terms.ip)
    assert (ack[BOOTP].ciaddr, ack[BOOTP].yiaddr) == (guest.terms.ip, guest.terms.ip)
    assert options(ack)["lease_time"] == site.LEASE
    assert one.lease() == expected(guest)


@each(*REBINDS)
def test_rebinding(guest: Guest, client: Any) -> None:
    one = begun(client(guest))
    guest.host.deafen(guest.terms.tap)
    guest.wire.skip()
    one.renew()
    guest.wire.expect("REQUEST to the server", lambda packet: _asks(packet, site.GATEWAY), out=False)
    request = guest.wire.expect("REQUEST to all", lambda packet: _asks(packet, ANYONE), out=False)
    ack = guest.wire.expect("ACK", dhcp(ACK), out=True)
    one.bound()
    assert named(request) == (guest.terms.ip, None, None)
    assert ack[BOOTP].yiaddr == guest.terms.ip
    assert one.lease() == expected(guest)


@each(*REMEMBERS)
def test_reboot_with_the_old_address(guest: Guest, client: Any) -> None:
    one = begun(client(guest))
    guest.reboot()
    one.start()
    request = guest.wire.expect("REQUEST", dhcp(REQUEST), out=False)
    ack = guest.wire.expect("ACK", dhcp(ACK), out=True)
    one.bound()
    assert named(request) == (NOBODY, guest.terms.ip, None)
    assert ack[BOOTP].yiaddr == guest.terms.ip
    assert one.lease() == expected(guest)
    assert len(guest.wire.all(dhcp(DISCOVER), out=False)) == 1


@each(*REMEMBERS)
def test_reboot_in_another_network(make_guest: MakeGuest, client: Any) -> None:
    guest = make_guest()
    here = guest.terms
    guest.serve(**OTHER)
    one = begun(client(guest))
    guest.serve(ip=here.ip, subnet=here.subnet, gateway=here.gateway)
    guest.reboot()
    one.start()
    request = guest.wire.expect("REQUEST", dhcp(REQUEST), out=False)
    nak = guest.wire.expect("NAK", dhcp(NAK), out=True)
    guest.wire.expect("DISCOVER", dhcp(DISCOVER), out=False)
    one.bound()
    assert named(request) == (NOBODY, OTHER["ip"], None)
    assert addressed(nak) == ("ff:ff:ff:ff:ff:ff", site.GATEWAY, ANYONE)
    assert nak[BOOTP].yiaddr == NOBODY
    assert one.lease() == expected(guest)


@each(*RENEWS)
def test_renewal_of_an_address_that_is_no_longer_the_guests(guest: Guest, client: Any) -> None:
    one = begun(client(guest))
    guest.serve(ip="192.0.2.200")
    guest.wire.skip()
    one.renew()
    guest.wire.expect("NAK", dhcp(NAK), out=True)
    guest.wire.expect("ACK", dhcp(ACK), out=True)
    one.bound()
    assert one.lease() == expected(guest)


@each(Udhcpc)
def test_asking_for_an_old_address(guest: Guest, client: Any) -> None:
    one = client(guest)
    one.start("-r", OTHER["ip"])
    discover = guest.wire.expect("DISCOVER", dhcp(DISCOVER), out=False)
    one.bound()
    assert named(discover) == (NOBODY, OTHER["ip"], None)
    assert one.lease() == expected(guest)


@each(*CLIENTS)
def test_release(guest: Guest, client: Any) -> None:
    one = begun(client(guest))
    guest.wire.skip()
    one.release()
    release = guest.wire.expect("RELEASE", dhcp(RELEASE), out=False)
    guest.host.daemon.says(rf"{guest.terms.tap} .*RELEASE")
    assert addressed(release)[1:] == (guest.terms.ip, site.GATEWAY)
    assert named(release)[:2] == (guest.terms.ip, None)
    assert not guest.wire.all(dhcp(NAK), out=True)
    until("the address is gone", lambda: not guest.addresses(), PATIENCE)


@each(Dhcpcd)
def test_an_address_in_use_is_declined(guest: Guest, client: Any) -> None:
    guest.host.ip(f"address add {guest.terms.ip}/32 dev br0")
    try:
        one = client(guest, probe=True)
        one.start()
        decline = guest.wire.expect("DECLINE", dhcp(DECLINE), out=False)
        guest.host.daemon.says(rf"{guest.terms.tap} .*DECLINE")
    finally:
        guest.host.ip(f"address del {guest.terms.ip}/32 dev br0")
    assert named(decline) == (NOBODY, guest.terms.ip, site.GATEWAY)


def _asks(packet: Any, destination: str) -> bool:
    return dhcp(REQUEST)(packet) and addressed(packet)[2] == destination
