"""What is to be done for a NIC, as values. Nothing here touches the host.

The modes are rows of MODES. A mode's function gets the NIC, its tap and the interface it hangs on, and tells
what follows from the mode; what every mode has (isolation, binding, record) is added by `plan`.
"""

from __future__ import annotations

import ipaddress
import os
from collections import namedtuple

from ganeti_ext import tags
from ganeti_ext.address import link_local
from ganeti_ext.binding import Binding
from ganeti_ext.errors import ContractError
from kvm_ifup import addresses, ruleset, terms
from kvm_ifup.state import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ganeti_ext.nicenv import Nic
    from kvm_ifup.addresses import Addresses
    from kvm_ifup.terms import Told

# nft and ip read our text with grammars of their own; names outside this need quoting that they do not have.
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


class Link(namedtuple("Link", "name ifindex mac mtu")):
    """One network interface of the host."""

    __slots__ = ()
    name: str
    ifindex: int
    mac: str
    mtu: int


class Plan(namedtuple("Plan", "record nft ip binding warnings")):
    """`nft` is one transaction, `ip` one batch whose last line brings the tap up; both are texts."""

    __slots__ = ()
    record: Record
    nft: str
    ip: str
    binding: Binding | None
    warnings: tuple[str, ...]


def communication(nic: Nic) -> bool:
    """Whether this is Ganeti's own tap to a guest (net-common, is_instance_communication_tap)."""
    return nic.mode == "routed" and nic.tap.startswith("gnt.com.")


def lower(nic: Nic) -> str:
    """The interface that the tap hangs on; ContractError when we cannot do what is asked for."""
    if nic.mode not in MODES:
        raise ContractError(f"MODE has a bad value {nic.mode!r}: only {', '.join(MODES)} can be set up")
    _check("INTERFACE", nic.tap)
    return _check("LINK", MODES[nic.mode].lower(nic))


def plan(nic: Nic, tap: Link, below: Link, directory: str) -> Plan:
    """All that is done for a NIC; `below` is the interface called `lower(nic)`, `directory` that of the bindings."""
    found = addresses.of(nic)
    told = terms.of(nic)
    wanted = tags.NFDHCPD in (nic.network.tags if nic.network else ()) and (found.ip or found.eui64)
    elements = () if spoof_allowed(nic) else tuple(_elements(nic, found, told, below))
    record = Record(
        tap=nic.tap,
        ifindex=tap.ifindex,
        instance=nic.instance,
        nic=nic.uuid,
        binding=os.path.join(directory, nic.tap) if wanted else None,
        elements=elements,
    )
    return Plan(
        record=record,
        nft=ruleset.skeleton() + allowed(record),
        ip="".join(f"link set dev {line}\n" for line in MODES[nic.mode].lines(nic, tap, below)),
        binding=_binding(nic, found, told, tap, below) if wanted else None,
        warnings=found.warnings + told.warnings,
    )


def allowed(record: Record) -> str:
    """The nft text that judges a tap; none for a tap that may say anything."""
    return ruleset.allow(record.tap, record.ifindex, record.elements) if record.elements else ""


def take_down(tap: str) -> str:
    """The `ip` batch that takes a tap off the wire."""
    return f"link set dev {tap} down\nlink set dev {tap} nomaster\n"


def spoof_allowed(nic: Nic) -> bool:
    return tags.SPOOF_ALLOWED in nic.tags or (nic.network is not None and tags.SPOOF_ALLOWED in nic.network.tags)


def _elements(nic: Nic, found: Addresses, told: Told, below: Link) -> Iterator[tuple[str, str]]:
    """What the tap may say (ruleset.py); a family that it lacks has no element and so is dropped."""
    yield "taps", ""
    yield "macs", nic.mac
    if found.ip:
        yield "ip4", found.ip
    if not found.subnet6:
        return
    yield "ip6_taps", ""
    if found.eui64:
        yield "ip6_source", found.eui64
        yield "ip6_target", _number(found.eui64)
    if told.prefix6:
        yield "ip6_prefix", told.prefix6
    # nfdhcpd advertises from the link-local address of the interface below.
    routers = {link_local(below.mac)}
    if found.gateway6 and ipaddress.IPv6Address(found.gateway6).is_link_local:
        routers.add(found.gateway6)
    for router in sorted(routers):
        yield "ip6_router", _number(router)


def _binding(nic: Nic, found: Addresses, told: Told, tap: Link, below: Link) -> Binding:
    return Binding(
        tap=nic.tap,
        mac=nic.mac,
        hostname=addresses.host_name(nic.instance, nic.tags),
        instance=nic.instance,
        indev=below.name,
        ip=found.ip,
        subnet=found.subnet,
        gateway=found.gateway,
        subnet6=found.subnet6,
        gateway6=found.gateway6,
        eui64=found.eui64,
        mtu=told.mtu or below.mtu,
        ifindex=tap.ifindex,
        macspoof=spoof_allowed(nic),
        tags=nic.network.tags if nic.network else (),
        terms=told.terms,
    )


def _bridge(nic: Nic) -> str:
    if nic.vlan:
        raise ContractError(f"VLAN has a bad value {nic.vlan!r}: only plain bridges can be set up")
    bridge = nic.bridge or nic.link
    if not bridge:
        raise ContractError("LINK is not set")
    return bridge


def _join_bridge(_nic: Nic, tap: Link, bridge: Link) -> Iterator[str]:
    # A bridge takes the lowest MAC of its ports: `fe` in front keeps a tap from changing it (net-common, fix_mac).
    yield f"{tap.name} address fe{tap.mac[2:]} mtu {bridge.mtu}"
    yield f"{tap.name} master {bridge.name}"
    yield f"{tap.name} up"


class _Mode(namedtuple("_Mode", "lower lines")):
    """`lower(nic)` names the interface below, `lines(nic, tap, below)` are the ends of `ip link set dev`."""

    __slots__ = ()


MODES = {"bridged": _Mode(_bridge, _join_bridge)}


def _check(variable: str, name: str) -> str:
    if not set(name) <= _NAME:
        raise ContractError(f"{variable} has a bad value {name!r}: only letters, digits, '-', '_' and '.' are allowed")
    return name


def _number(address: str) -> str:
    return f"0x{int(ipaddress.IPv6Address(address)):032x}"
