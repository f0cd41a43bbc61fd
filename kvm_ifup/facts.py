"""What the host has for a NIC, read from /sys."""

from __future__ import annotations

import os

from ganeti_ext import addresses
from ganeti_ext.errors import ContractError, ExtError
from kvm_ifup import uplink
from kvm_ifup.modes import Facts, Link, has_tag, vlans

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ganeti_ext.nicenv import Nic
    from kvm_ifup.settings import Settings

SYS = "/sys/class/net"


class LinkError(ExtError):
    """A network interface that is not there."""


def of(nic: Nic, below: str | None, settings: Settings, sys: str = SYS) -> Facts:
    """What a NIC meets; LinkError when an interface is missing, ContractError when a bridge takes no VLANs."""
    found = Facts(tap=link(nic.tap, sys), below=link(below, sys) if below else None)
    if below and nic.vlan:
        found = _vlan_aware(found, nic, below, sys)
    if nic.mode != "routed" or not has_tag(nic, settings.tag_ip_less_routed):
        return found
    table, own = nic.link or "main", addresses.of(nic)
    return found._replace(
        uplink4=link(uplink.find(table, 4), sys) if own.ip else None,
        uplink6=link(uplink.find(table, 6), sys) if own.eui64 else None,
    )


def link(name: str, sys: str = SYS) -> Link:
    """What the kernel says of an interface; LinkError when there is none."""
    try:
        return Link(
            name=name,
            ifindex=int(_attribute(sys, name, "ifindex")),
            mac=_attribute(sys, name, "address"),
            mtu=int(_attribute(sys, name, "mtu")),
        )
    except OSError as err:
        raise LinkError(f"interface {name}: {err}") from err


def ifindex(name: str, sys: str = SYS) -> int | None:
    """The interface's index, or None when there is no such interface."""
    try:
        return int(_attribute(sys, name, "ifindex"))
    except OSError:
        return None


def _vlan_aware(found: Facts, nic: Nic, bridge: str, sys: str) -> Facts:
    """With the ports of a VLAN aware bridge that lead out of the host, as net-common finds them."""
    vlans(nic)
    try:
        aware = _attribute(sys, bridge, "bridge/vlan_filtering")
        pvid = int(_attribute(sys, bridge, "bridge/default_pvid"))
    except OSError as err:
        raise LinkError(f"interface {bridge}: {err}") from err
    if aware != "1":
        raise ContractError(f"VLAN {nic.vlan!r} needs vlan_filtering on bridge {bridge}, where it is off")
    lower = (entry.removeprefix("lower_") for entry in os.listdir(f"{sys}/{bridge}") if entry.startswith("lower_"))
    return found._replace(ports=tuple(sorted(port for port in lower if not port.startswith("tap"))), pvid=pvid)


def _attribute(sys: str, name: str, attribute: str) -> str:
    with open(f"{sys}/{name}/{attribute}", encoding="ascii") as file:
        return file.read().strip()
