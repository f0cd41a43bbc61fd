"""Records as facts."""

from __future__ import annotations

from typing import Any

import pytest

from ganeti_ext import tags
from ganeti_ext.nicenv import Nic
from kvm_ifup import describe
from kvm_ifup.settings import Settings
from tests.unit.kvm_ifup.explained import ENV, IP, IP6, MAC, record


def facts(profile: str = "unprotected", **env: Any) -> dict[str, Any]:
    return describe.tap(record(profile, **env), Settings())


def test_a_tap_on_a_bridge() -> None:
    assert facts() == {
        "tap": "tap0",
        "ifindex": 12,
        "instance": "gx-1.example.org",
        "nic": {"index": 0, "uuid": "nic-1", "name": None},
        "mac": MAC,
        "mode": "bridged",
        "link": "br0",
        "vlan": None,
        "network": "net1",
        "kinds": [],
        "addresses": [IP, IP6],
        "may_say": {
            "judged": True,
            "anything_by": None,
            "macs": [MAC],
            "addresses": [IP, IP6],
            "ipv6": True,
            "more": [],
            "delegated": None,
            "vlans": [],
        },
        "reached_by": {"macs": None, "zone": None, "routed": False},
        "profile": {"name": "unprotected", "number": 3, "tag": None},
        "binding": "/var/lib/nfdhcpd/tap0",
        "tags_told": None,
        "undo": ["ip link set dev tap0 down", "ip link set dev tap0 nomaster"],
    }


def test_a_routed_tap() -> None:
    found = facts(MODE="routed", LINK="100", BRIDGE="", NETWORK_TAGS="")
    assert (found["link"], found["reached_by"]["routed"], found["binding"]) == ("100", True, None)
    assert "ip route del 10.0.0.5/32 dev tap0 table 100" in found["undo"]


def test_a_private_network() -> None:
    found = facts(zone=5, NETWORK_TAGS="private-filtered", NETWORK_SUBNET6="")
    assert found["kinds"] == ["private-filtered"]
    assert found["reached_by"] == {"macs": "52:54:00:00:00:00-52:54:0f:ff:ff:ff", "zone": "5", "routed": False}
    assert (found["may_say"]["ipv6"], found["addresses"]) == (False, [IP])


@pytest.mark.parametrize(("variable", "whose"), [("TAGS", "instance"), ("NETWORK_TAGS", "network")])
def test_which_tag_allows_what(variable: str, whose: str) -> None:
    more = [
        f"{tags.ALLOW_ADDRESS}:192.0.2.0/24",
        f"{tags.ALLOW_ADDRESS}.7:192.0.3.1",
        f"{tags.ALLOW_ADDRESS}:2001:db8:7::1",
    ]
    found = facts(**{variable: " ".join(more)})["may_say"]
    assert sorted(found["more"], key=lambda one: str(one["address"])) == [
        {"address": "192.0.2.0/24", "tag": more[0], "of": whose},
        {"address": "2001:db8:7::1", "tag": more[2], "of": whose},
    ]
    spoof = facts(**{variable: tags.SPOOF_ALLOWED})["may_say"]
    assert (spoof["judged"], spoof["anything_by"]) == (False, f"the {whose}'s tag {tags.SPOOF_ALLOWED}")


def test_which_tag_chose_the_profile() -> None:
    assert facts("limited", TAGS="synnefo:network:0:limited")["profile"] == {
        "name": "limited",
        "number": 3,
        "tag": "synnefo:network:0:limited",
    }
    assert facts(MODE="openvswitch", BRIDGE="")["profile"] is None


def test_vlans_of_a_trunk_and_a_delegated_prefix() -> None:
    found = facts(VLAN=".5:7:8", TAGS="nfdhcpd:prefix6:2001:db8:77::/56")
    assert found["vlan"] == ".5:7:8"
    assert found["may_say"]["vlans"] == ["7", "8"]
    assert found["may_say"]["delegated"] == "2001:db8:77::/56"


@pytest.mark.parametrize(
    ("address", "why"),
    [
        (IP, "the guest's address"),
        (IP6, "the guest's address"),
        ("192.0.2.7", f"allowed by the network's tag {tags.ALLOW_ADDRESS}:192.0.2.0/24"),
        ("2001:db8:7::9", "allowed by the instance's tag ganeti-ext:allow-address:2001:db8:7::/64"),
        ("2001:db8:77:1::9", "in 2001:db8:77::/56, which is delegated to the guest"),
        ("203.0.113.1", "allowed to the guest"),
    ],
)
def test_the_origin_of_an_address(address: str, why: str) -> None:
    env = {
        **ENV,
        "TAGS": f"{tags.ALLOW_ADDRESS}:2001:db8:7::/64 nfdhcpd:prefix6:2001:db8:77::/56",
        "NETWORK_TAGS": f"{tags.ALLOW_ADDRESS}:192.0.2.0/24",
    }
    assert describe.origin(Nic.from_env(env), address) == why
