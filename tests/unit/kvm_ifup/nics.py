"""NICs of every mode: what is different of the environment of the fixture `env`, and of its `facts`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kvm_ifup.modes import Link
from kvm_ifup.plan import Plan

# Makes the plan of a mode, with other tags of the instance than its own if any are given.
Make = Callable[..., Plan]
# Tells all that there is of tap0.
Left = Callable[[], list[object]]

UPLINKS = {"uplink4": Link("eth0", 2, "02:00:00:00:00:e0", 1500), "uplink6": Link("eth1", 4, "02:00:00:00:00:e1", 1500)}
ROUTED = {"MODE": "routed", "LINK": "100", "BRIDGE": ""}
IP_LESS = {**ROUTED, "NETWORK_TAGS": "nfdhcpd ip-less-routed"}
OVS = {"MODE": "openvswitch", "LINK": "ovs0", "BRIDGE": "", "VLAN": ".10:20"}
MODES: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "bridged": ({}, {}),
    "bridged, VLAN": ({"VLAN": ".10:20:30"}, {"ports": ("eth0", "eth1"), "pvid": 1}),
    "private-filtered": ({"NETWORK_TAGS": "private-filtered nfdhcpd"}, {}),
    "openvswitch": (OVS, {"below": None}),
    "routed": (ROUTED, {"below": None}),
    "routed, no table": ({**ROUTED, "LINK": ""}, {"below": None}),
    "routed, IPv4 only": ({**ROUTED, "TAGS": "disable_ipv6"}, {"below": None}),
    "routed, IPv6 only": ({**ROUTED, "IP": ""}, {"below": None}),
    "ip-less-routed": (IP_LESS, {"below": None, **UPLINKS}),
    "no network": ({"NETWORK_NAME": ""}, {}),
}
# The tags of an instance decide more than the mode here.
TAGGED: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "spoof-allowed": ({"TAGS": "ganeti-ext:spoof-allowed"}, {}),
    "delegated prefix": ({**ROUTED, "TAGS": "nfdhcpd:prefix6:2001:db8:77::/56"}, {"below": None}),
}
