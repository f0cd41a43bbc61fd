from __future__ import annotations

from typing import Any

import pytest

from ganeti_ext.binding import BindingError
from nfdhcpd.client import Link
from nfdhcpd.settings import Dhcp, Settings
from tests.unit.nfdhcpd.guest import guest, guests


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ({"mac": "52:54:00"}, "bad MAC"),
        ({"ip": "10.77.0.300"}, "10.77.0.300"),
        ({"subnet": None}, "IP 10.77.0.10 without SUBNET"),
        ({"subnet": "10.78.0.0/24"}, "no host of SUBNET 10.78.0.0/24"),
        ({"ip": "10.77.0.0"}, "no host"),
        ({"ip": "10.77.0.255"}, "no host"),
        ({"subnet": "10.77.0.0/33"}, "33"),
        ({"gateway": "gw"}, "gw"),
        ({"subnet6": "fd00::/129"}, "129"),
        ({"gateway6": "10.0.0.1"}, "10.0.0.1"),
        ({"mtu": 67}, "MTU 67"),
        ({"mtu": 65536}, "MTU 65536"),
        ({"mtu": 1 << 40, "ip": None}, "MTU"),
        ({"hostname": "wéb"}, "HOSTNAME"),
        ({"hostname": "w" * 254}, "HOSTNAME"),
    ],
)
def test_a_bad_binding_says_what_is_wrong_and_where(about: dict[str, Any], why: str) -> None:
    with pytest.raises(BindingError, match=f"binding of tap0: .*{why}"):
        guest(**about)


def test_no_mac_at_all() -> None:
    with pytest.raises(BindingError, match="neither INDEV 'br0' nor the tap has a MAC"):
        guest(tap=Link(7, b""), indev=Link(2, b""))


def test_a_subnet_may_be_written_by_any_of_its_addresses() -> None:
    lease = guest(subnet="10.77.0.1/24").lease
    assert lease is not None
    assert str(lease.network) == "10.77.0.0/24"


def test_guests_may_be_told_of_one_family_alone() -> None:
    eui64 = "fd00:77::5054:ff:fe00:10"
    four, six = (guest(settings=guests(only=family), eui64=eui64) for family in ("ipv4", "ipv6"))
    assert (four.lease is None, four.advert, four.six) == (False, None, None)
    assert (six.lease, six.advert is None, six.six is None) == (None, False, False)
    with pytest.raises(BindingError, match="ONLY has a bad value 'ipv5': say ipv4 or ipv6"):
        guest(terms=(("only", "ipv5"),))


def test_dhcp_can_be_off() -> None:
    assert guest(settings=Settings(dhcp=Dhcp(enable=False))).lease is None
