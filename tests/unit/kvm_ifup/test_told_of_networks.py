"""What a tenant says of subnets comes to the guest: by the network's tags, the interface script and nfdhcpd."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from frontend.network import subnetfacts
from frontend.network.subnetfacts import Subnet
from ganeti_ext.nicenv import Nic
from kvm_ifup import terms
from nfdhcpd.client import Client
from nfdhcpd.dhcp4 import Code
from nfdhcpd.mode import mode
from nfdhcpd.terms import Guests
from tests.unit.nfdhcpd.guest import MAC_TEXT, guest

FOUR = Subnet(nameservers=("9.9.9.9", "1.1.1.1"), routes=("10.0.0.0/8@10.77.0.5",))
SIX = Subnet(nameservers=("fd00:77::53",), mode="dhcpv6")
EUI64 = "fd00:77::5054:ff:fe00:10"


def said(nic: Nic, four: Subnet | None, six: Subnet | None) -> tuple[tuple[str, str], ...]:
    """The terms of a binding of a guest in this network."""
    tags = subnetfacts.write([], 4, four, None)
    tags = subnetfacts.write(tags, 6, six, 4 if four is not None else None)
    assert nic.network is not None
    told = terms.of(nic._replace(tags=(), network=nic.network._replace(tags=tuple(sorted(tags)))))
    assert told.warnings == ()
    return told.terms


def served(nic: Nic, four: Subnet | None, six: Subnet | None) -> Client:
    return guest(mac=MAC_TEXT, eui64=EUI64, terms=said(nic, four, six))


def test_name_servers_and_routes(nic: Nic) -> None:
    client = served(nic, FOUR, SIX)
    assert client.options[Code.NAMESERVER][2:] == b"".join(IPv4Address(each).packed for each in FOUR.nameservers)
    assert client.options[Code.ROUTES][2:7] == bytes((8, 10, 10, 77, 0))
    assert client.advert is not None
    assert [bytes(each)[-1] for each in client.advert.told.servers] == [0x53]


@pytest.mark.parametrize(("word", "flags"), [("slaac", (True, False, False)), ("slaac+dhcpv6", (True, True, False)),
                                             ("dhcpv6", (False, True, True))])  # fmt: skip
def test_how_it_comes_to_its_address(nic: Nic, word: str, flags: tuple[bool, ...]) -> None:
    found = Guests({}).of((), said(nic, FOUR, SIX._replace(mode=word)))
    assert mode(found, "fd00:77::/64")[:3] == flags


@pytest.mark.parametrize("four", [True, False])
def test_dhcp_of_one_family_alone(nic: Nic, *, four: bool) -> None:
    client = served(nic, FOUR._replace(dhcp=four), SIX._replace(dhcp=not four))
    assert (client.lease is not None, client.advert is not None, client.six is not None) == (four, not four, not four)
