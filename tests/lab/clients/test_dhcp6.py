"""Real DHCPv6 clients: an address, information alone, a prefix for others (RFC 8415)."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.dhcp6 import (
    DHCP6_Advertise,
    DHCP6_Confirm,
    DHCP6_Decline,
    DHCP6_InfoRequest,
    DHCP6_Release,
    DHCP6_Renew,
    DHCP6_Reply,
    DHCP6_Request,
    DHCP6_Solicit,
    DHCP6OptIA_NA,
    DHCP6OptIA_PD,
    DHCP6OptPref,
    DHCP6OptRapidCommit,
    DHCP6OptServerId,
    DHCP6OptStatusCode,
)
from scapy.layers.inet6 import IPv6

from lab.step import until
from tests.lab.clients import host as site
from tests.lab.clients.box import PATIENCE
from tests.lab.clients.conftest import MakeGuest
from tests.lab.clients.dhcp6 import (
    ADDRESS,
    INFORMATION,
    PREFIX,
    Dhclient6,
    Dhcp6c,
    Dhcpcd6,
    Lease6,
    Networkd6,
    NetworkManager6,
    Udhcpc6,
)
from tests.lab.clients.guest import Guest, begun
from tests.lab.clients.messages import granted, of

CLIENTS = (Dhclient6, Udhcpc6, Dhcpcd6, Networkd6, NetworkManager6, Dhcp6c)
REMEMBERS = (Dhclient6, Dhcpcd6)
RENEWS = (Udhcpc6, Dhcpcd6)
# udhcpc6 tells the server's link-local address alone, from its global one, and waits for no answer.
RELEASES = tuple(client for client in CLIENTS if client is not Udhcpc6)
DELEGATES = (Dhclient6, Udhcpc6, Dhcpcd6, Networkd6, Dhcp6c)
STATEFUL = ("ipv6_mode", "dhcpv6")
DELEGATED = "2001:db8:77::/56"
PREFERRED, VALID = site.LEASE * 5 // 8, site.LEASE
NOT_ON_LINK = 4


def each(*clients: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("client", clients, ids=lambda client: client.name)


@pytest.fixture
def guest(make_guest: MakeGuest) -> Guest:
    """A guest that is to have its address by DHCPv6."""
    made = make_guest()
    made.serve(terms=(STATEFUL,))
    return made


def expected(guest: Guest, *, address: bool = True, prefix: str | None = None) -> Lease6:
    return Lease6([f"{guest.terms.eui64}/128"] if address else [], prefix, site.NAMESERVERS6, site.SEARCH)


@each(*CLIENTS)
def test_fresh_address(guest: Guest, client: Any) -> None:
    one = client(guest)
    one.start()
    wire = guest.wire
    solicit = wire.expect("SOLICIT", of(DHCP6_Solicit), out=False)
    assert (DHCP6OptRapidCommit in solicit) == client.rapid
    if not client.rapid:
        advertise = wire.expect("ADVERTISE", of(DHCP6_Advertise), out=True)
        request = wire.expect("REQUEST", of(DHCP6_Request), out=False)
        assert advertise[DHCP6OptPref].prefval == 255
        assert advertise.trid == solicit.trid
        assert request[DHCP6OptServerId].duid == advertise[DHCP6OptServerId].duid
    reply = wire.expect("REPLY", of(DHCP6_Reply), out=True)
    one.bound()
    assert one.lease() == expected(guest)
    assert granted(reply) == [(guest.terms.eui64, PREFERRED, VALID)]
    assert (reply[DHCP6OptIA_NA].T1, reply[DHCP6OptIA_NA].T2) == (PREFERRED // 2, PREFERRED * 4 // 5)
    assert (reply[IPv6].dst, reply.dst) == (solicit[IPv6].src, guest.mac)
    assert len(wire.all(of(DHCP6_Solicit), out=False)) == 1, "the first answer was good"


@each(*CLIENTS)
def test_information_alone(make_guest: MakeGuest, client: Any) -> None:
    guest = make_guest()
    guest.serve()
    one = client(guest, INFORMATION)
    one.start()
    guest.wire.expect("INFORMATION-REQUEST", of(DHCP6_InfoRequest), out=False)
    reply = guest.wire.expect("REPLY", of(DHCP6_Reply), out=True)
    one.bound()
    assert one.lease() == expected(guest, address=False)
    assert granted(reply) == []
    assert not guest.wire.all(of(DHCP6_Solicit), out=False)


@each(*DELEGATES)
def test_delegated_prefix(guest: Guest, client: Any) -> None:
    guest.serve(terms=(STATEFUL, ("prefix6", DELEGATED)))
    one = client(guest, PREFIX)
    one.start()
    solicit = guest.wire.expect("SOLICIT", of(DHCP6_Solicit), out=False)
    reply = guest.wire.expect("REPLY", of(DHCP6_Reply), out=True)
    one.bound()
    both = DHCP6OptIA_NA in solicit
    assert one.lease() == expected(guest, address=both, prefix=DELEGATED)
    assert (DELEGATED, PREFERRED, VALID) in granted(reply)
    assert reply[DHCP6OptIA_PD].iaid == solicit[DHCP6OptIA_PD].iaid


@each(*RENEWS)
def test_renewal(guest: Guest, client: Any) -> None:
    one = begun(client(guest))
    guest.wire.skip()
    one.renew()
    renew = guest.wire.expect("RENEW", of(DHCP6_Renew), out=False)
    reply = guest.wire.expect("REPLY", of(DHCP6_Reply), out=True)
    one.bound()
    assert granted(reply) == [(guest.terms.eui64, PREFERRED, VALID)]
    assert reply[DHCP6OptServerId].duid == renew[DHCP6OptServerId].duid
    assert one.lease() == expected(guest)


def test_renewal_of_an_address_that_is_no_longer_the_guests(guest: Guest) -> None:
    one = begun(Dhcpcd6(guest))
    old = guest.terms.eui64
    guest.serve(eui64=f"{site.SUBNET6.partition('/')[0]}77")
    guest.wire.skip()
    one.renew()
    reply = guest.wire.expect("REPLY", of(DHCP6_Reply), out=True)
    one.bound()
    assert granted(reply) == [(guest.terms.eui64, PREFERRED, VALID), (old, 0, 0)]
    assert one.lease() == expected(guest)


@each(*REMEMBERS)
def test_reboot_with_the_old_address(guest: Guest, client: Any) -> None:
    one = begun(client(guest))
    guest.reboot()
    one.start()
    confirm = guest.wire.expect("CONFIRM", of(DHCP6_Confirm), out=False)
    reply = guest.wire.expect("REPLY", of(DHCP6_Reply), out=True)
    one.bound()
    assert [address for address, *_ in granted(confirm)] == [guest.terms.eui64]
    assert reply[DHCP6OptStatusCode].statuscode == 0
    assert one.lease() == expected(guest)
    assert len(guest.wire.all(of(DHCP6_Solicit), out=False)) == 1


@each(*REMEMBERS)
def test_reboot_in_another_network(make_guest: MakeGuest, client: Any) -> None:
    guest = make_guest()
    here = guest.terms
    guest.serve(terms=(STATEFUL,), subnet6="2001:db8:f::/64", eui64="2001:db8:f::7")
    one = begun(client(guest))
    guest.serve(subnet6=here.subnet6, eui64=here.eui64)
    guest.reboot()
    one.start()
    guest.wire.expect("CONFIRM", of(DHCP6_Confirm), out=False)
    reply = guest.wire.expect("REPLY", of(DHCP6_Reply), out=True)
    guest.wire.expect("SOLICIT", of(DHCP6_Solicit), out=False)
    one.bound()
    assert reply[DHCP6OptStatusCode].statuscode == NOT_ON_LINK
    assert one.lease() == expected(guest)


@each(*RELEASES)
def test_release(guest: Guest, client: Any) -> None:
    one = begun(client(guest))
    guest.wire.skip()
    one.release()
    release = guest.wire.expect("RELEASE", of(DHCP6_Release), out=False)
    reply = guest.wire.expect("REPLY", of(DHCP6_Reply), out=True)
    assert [address for address, *_ in granted(release)] == [guest.terms.eui64]
    assert reply[DHCP6OptStatusCode].statuscode == 0
    assert reply.trid == release.trid
    until("the address is gone", lambda: f"{guest.terms.eui64}/128" not in guest.addresses(6), PATIENCE)


@each(Dhcpcd6)
def test_an_address_in_use_is_declined(guest: Guest, client: Any) -> None:
    guest.host.ip(f"address add {guest.terms.eui64}/128 dev br0 nodad")
    try:
        one = client(guest, probe=True)
        one.start()
        decline = guest.wire.expect("DECLINE", of(DHCP6_Decline), out=False)
        reply = guest.wire.expect("REPLY", of(DHCP6_Reply), out=True)
    finally:
        guest.host.ip(f"address del {guest.terms.eui64}/128 dev br0")
    assert [address for address, *_ in granted(decline)] == [guest.terms.eui64]
    assert (reply.trid, reply[DHCP6OptStatusCode].statuscode) == (decline.trid, 0)


def test_who_asks_for_an_address_beside_its_own_making_is_given_it(make_guest: MakeGuest) -> None:
    """The network invites to make addresses; dhclient asks all the same."""
    guest = make_guest()
    guest.serve()
    one = Dhclient6(guest, ADDRESS)
    one.start()
    one.bound()
    assert one.lease() == expected(guest)
