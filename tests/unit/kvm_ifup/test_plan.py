"""Plans are values: texts for nft and ip, the record, the binding."""

from __future__ import annotations

import pytest

from ganeti_ext import tags
from ganeti_ext.binding import Binding
from ganeti_ext.errors import ContractError
from ganeti_ext.nicenv import Network, Nic
from kvm_ifup import ruleset
from kvm_ifup.plan import Link, allowed, communication, lower, plan, take_down
from kvm_ifup.state import Record

OWN6 = "0x20010db800000000505400fffe000001"
BRIDGE6 = "0xfe80000000000000000000fffe0000b0"
ELEMENTS = (
    ("taps", ""),
    ("macs", "52:54:00:00:00:01"),
    ("ip4", "10.0.0.5"),
    ("ip6_taps", ""),
    ("ip6_source", "2001:db8::5054:ff:fe00:1"),
    ("ip6_target", OWN6),
    ("ip6_router", BRIDGE6),
)


def test_a_bridged_nic(nic: Nic, tap: Link, bridge: Link) -> None:
    found = plan(nic, tap, bridge, "/b")
    assert found.record == Record("tap0", 12, "gx-1.example.org", "nic-1", "/b/tap0", ELEMENTS)
    assert found.nft == ruleset.skeleton() + ruleset.allow("tap0", 12, ELEMENTS)
    assert found.ip == (
        "link set dev tap0 address fe:11:22:33:44:55 mtu 1400\n"
        "link set dev tap0 master br0\n"
        "link set dev tap0 up\n"
    )  # fmt: skip
    assert found.binding == Binding(
        tap="tap0",
        mac="52:54:00:00:00:01",
        hostname="web-server",
        instance="gx-1.example.org",
        indev="br0",
        ip="10.0.0.5",
        subnet="10.0.0.0/24",
        gateway="10.0.0.1",
        subnet6="2001:db8::/64",
        gateway6="2001:db8::1",
        eui64="2001:db8::5054:ff:fe00:1",
        mtu=1400,
        ifindex=12,
        tags=("nfdhcpd", "public"),
    )
    assert found.warnings == ()


def test_a_nic_without_a_network_has_no_ipv6_and_no_binding(nic: Nic, tap: Link, bridge: Link) -> None:
    found = plan(nic._replace(network=None), tap, bridge, "/b")
    assert found.record.elements == ELEMENTS[:3]
    assert (found.record.binding, found.binding) == (None, None)


def test_a_network_without_the_tag_has_no_binding(nic: Nic, network: Network, tap: Link, bridge: Link) -> None:
    found = plan(nic._replace(network=network._replace(tags=("public",))), tap, bridge, "/b")
    assert (found.record.binding, found.binding) == (None, None)
    assert found.record.elements == ELEMENTS


def test_without_an_address_there_is_nothing_to_bind(nic: Nic, network: Network, tap: Link, bridge: Link) -> None:
    found = plan(nic._replace(ip=None, network=network._replace(subnet6=None)), tap, bridge, "/b")
    assert found.binding is None
    assert found.record.elements == ELEMENTS[:2]


@pytest.mark.parametrize("subnet6", ["2001:db8::/56", "2001:db8::/112"])
def test_another_ipv6_prefix_gives_no_global_address(
    nic: Nic, network: Network, tap: Link, bridge: Link, subnet6: str
) -> None:
    found = plan(nic._replace(network=network._replace(subnet6=subnet6)), tap, bridge, "/b")
    assert found.record.elements == (*ELEMENTS[:4], ELEMENTS[-1])
    assert found.binding is not None
    assert (found.binding.eui64, found.binding.subnet6) == (None, subnet6)
    assert len(found.warnings) == 1
    assert subnet6 in found.warnings[0]


def test_a_link_local_gateway_is_a_router(nic: Nic, network: Network, tap: Link, bridge: Link) -> None:
    found = plan(nic._replace(network=network._replace(gateway6="fe80::1")), tap, bridge, "/b")
    assert ("ip6_router", f"0x{0xFE80 << 112 | 1:032x}") in found.record.elements
    assert ("ip6_router", BRIDGE6) in found.record.elements


def test_spoofing_is_allowed_by_a_tag_only(nic: Nic, network: Network, tap: Link, bridge: Link) -> None:
    by_instance = nic._replace(tags=(tags.SPOOF_ALLOWED,))
    by_network = nic._replace(network=network._replace(tags=("nfdhcpd", tags.SPOOF_ALLOWED)))
    for relaxed in (by_instance, by_network):
        found = plan(relaxed, tap, bridge, "/b")
        assert found.record.elements == ()
        assert found.nft == ruleset.skeleton()
        assert found.binding is not None
        assert found.binding.macspoof
    near = nic._replace(tags=("spoof-allowed", "ganeti-ext:spoof-allowed:no"))
    assert plan(near, tap, bridge, "/b").record.elements == ELEMENTS


def test_allowed_says_the_same_as_the_plan(nic: Nic, tap: Link, bridge: Link) -> None:
    found = plan(nic, tap, bridge, "/b")
    assert found.nft.endswith(allowed(found.record))
    assert allowed(found.record._replace(elements=())) == ""


def test_take_down_leaves_the_bridge_last() -> None:
    assert take_down("tap0") == "link set dev tap0 down\nlink set dev tap0 nomaster\n"


def test_lower_is_the_bridge_or_else_the_link(nic: Nic) -> None:
    assert lower(nic._replace(bridge="br1")) == "br1"
    assert lower(nic._replace(bridge=None, link="br2")) == "br2"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mode": "routed"}, "MODE has a bad value 'routed'"),
        ({"mode": "ovs"}, "MODE has a bad value 'ovs'"),
        ({"vlan": ".10"}, "VLAN has a bad value '.10'"),
        ({"bridge": None, "link": None}, "LINK is not set"),
        ({"bridge": "br0\nlink"}, "LINK has a bad value"),
        ({"tap": 'tap"'}, "INTERFACE has a bad value"),
        ({"tap": "tap*"}, "INTERFACE has a bad value"),
    ],
)
def test_what_cannot_be_done_is_named(nic: Nic, change: dict[str, str | None], words: str) -> None:
    with pytest.raises(ContractError, match=words.replace("*", r"\*")):
        lower(nic._replace(**change))


def test_communication_taps_are_those_of_net_common(nic: Nic) -> None:
    assert communication(nic._replace(tap="gnt.com.3", mode="routed"))
    assert not communication(nic._replace(tap="gnt.com.3", mode="bridged"))
    assert not communication(nic._replace(tap="gnt.company", mode="routed"))
    assert not communication(nic._replace(mode="routed"))
