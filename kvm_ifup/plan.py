"""What is to be done for a NIC, as values. Nothing here touches the host.

What follows from the mode is told by modes.py; what every mode has (isolation, firewall profile, binding, record) is
added by `plan`.
"""

from __future__ import annotations

import ipaddress
import os
from collections import namedtuple

from ganeti_ext import addresses, nicenv
from ganeti_ext.address import link_local
from ganeti_ext.binding import Binding
from ganeti_ext.errors import ContractError
from kvm_ifup import allowance, elements, modes, profile_nft, reach, ruleset, terms
from kvm_ifup.elements import of_tap
from kvm_ifup.modes import MODES
from kvm_ifup.settings import ALWAYS
from kvm_ifup.state import Assigned, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ganeti_ext.addresses import Addresses
    from ganeti_ext.nicenv import Nic
    from kvm_ifup.elements import Element
    from kvm_ifup.modes import Facts, Link
    from kvm_ifup.settings import Settings
    from kvm_ifup.terms import Told

# nft and ip read our text with grammars of their own; names outside this need quoting that they do not have.
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


class Firewall(namedtuple("Firewall", "profile number drops text zone", defaults=(None,))):
    """A profile by name and number (0 when it judges nothing), whether it drops anything, the text that makes its
    rules, and the conntrack zone of a network whose addresses may be another's too.
    """

    __slots__ = ()
    profile: str
    number: int
    drops: bool
    text: str
    zone: int | None


class Plan(namedtuple("Plan", "record rules steps sysctls binding announce warnings")):
    """`rules` is the nft text for all taps and the profile; `steps` are (program, line), and end with the tap up."""

    __slots__ = ()
    record: Record
    rules: str
    steps: tuple[tuple[str, str], ...]
    sysctls: tuple[tuple[str, str], ...]
    binding: Binding | None
    announce: tuple[tuple[Link, str | None, str | None], ...]
    warnings: tuple[str, ...]


def communication(nic: Nic) -> bool:
    """Whether this is Ganeti's own tap to a guest (net-common, is_instance_communication_tap)."""
    return nic.mode == "routed" and nic.tap.startswith("gnt.com.")


def lower(nic: Nic) -> str | None:
    """The interface that the tap joins, if any; ContractError when we cannot do what is asked for."""
    if nic.mode not in MODES:
        raise ContractError(f"MODE has a bad value {nic.mode!r}: only {', '.join(MODES)} can be set up")
    _check("INTERFACE", nic.tap)
    if nic.link:
        _check("LINK", nic.link)
    below = MODES[nic.mode].below(nic)
    return _check("LINK", below) if below else None


def plan(env: Mapping[str, str], nic: Nic, facts: Facts, firewall: Firewall, settings: Settings) -> Plan:
    """All that is done for a NIC, of which `env` tells."""
    found = addresses.of(nic)
    told = terms.of(nic)
    wiring = modes.wire(nic, found, facts, settings, told.prefix6)
    wanted = modes.has_tag(nic, settings.tag_nfdhcpd) and (found.ip or found.eui64)
    record = Record(
        tap=nic.tap,
        ifindex=facts.tap.ifindex,
        env=nicenv.pick(env),
        told="",
        binding=os.path.join(settings.binding_directory, nic.tap) if wanted else None,
        firewall=_assigned(nic, found, facts, firewall),
        elements=(*_said(nic, found, told, facts, settings), *wiring.elements, *_zone(nic, firewall, settings)),
        undo=wiring.undo,
    )
    return Plan(
        record=record,
        rules=skeleton(settings, [record]) + firewall.text,
        steps=wiring.steps,
        sysctls=wiring.sysctls,
        binding=_binding(nic, found, told, facts, settings) if wanted else None,
        announce=modes.announcements(found, facts),
        warnings=found.warnings + told.warnings,
    )


def skeleton(settings: Settings, records: Iterable[Record]) -> str:
    """The tables, sets, chains and rules that these taps need and that say nothing of any tap or profile.

    What nobody needs is not there: each chain that hangs at a hook costs every packet of the node.
    """
    found = list(records)
    text = ruleset.skeleton()
    if any(_filtered(record) for record in found):
        text += reach.skeleton() + profile_nft.zones(settings.mac_mask)
    if any(record.firewall and record.firewall.number for record in found):
        text += judging(settings)
    return text + (profile_nft.track() if settings.track == ALWAYS else "")


def judging(settings: Settings) -> str:
    """What finds the profile of a packet, for all taps that have one that judges."""
    return profile_nft.skeleton(int(settings.mark_mask, 16), judge=settings.firewall == "nftables")


def transaction(plan: Plan, before: Record | None = None) -> str:
    """The nft text that makes all rules of a plan, in the place of those of `before`."""
    text = plan.rules
    if before:
        text += _without(before)
        if not judged(plan.record):
            text += ruleset.forget(before.ifindex)
    return text + stands(plan.record)


def stands(record: Record) -> str:
    """The nft text that makes a tap's rules, where those of all taps are."""
    text = elements.add(record.elements)
    if record.firewall and record.firewall.number:
        _, number, bridge, addresses = record.firewall
        text += profile_nft.assign(record.tap, number, bridge, addresses)
    return (_judge(record) if judged(record) else "") + text


def forget(record: Record) -> str:
    """The nft text that takes all of a tap's rules away, whether or not they are there."""
    return ruleset.forget(record.ifindex) + _without(record)


def judged(record: Record) -> bool:
    """Whether what the tap says is judged: else it may say anything."""
    return any(element.set == "macs" for element in record.elements)


def _said(nic: Nic, found: Addresses, told: Told, facts: Facts, settings: Settings) -> Iterator[Element]:
    """What the tap may say (ruleset.py); a family that it lacks has no element and so is dropped."""
    if modes.spoof_allowed(nic, settings):
        return
    for name, value in _own(nic, found, _indev_mac(nic, facts, settings)):
        yield of_tap("netdev", name, nic.tap, value)
    delegated = (told.prefix6,) if told.prefix6 and found.subnet6 else ()
    yield from allowance.elements(nic, *delegated)


def _own(nic: Nic, found: Addresses, router_mac: str) -> Iterator[tuple[str, str]]:
    yield "macs", nic.mac
    if found.ip:
        yield "ip4", found.ip
    if not found.subnet6:
        return
    yield "ip6_taps", ""
    if found.eui64:
        yield "ip6_source", found.eui64
        yield "ip6_target", _number(found.eui64)
    # nfdhcpd advertises from the link-local address of the interface below.
    routers = {link_local(router_mac)}
    if found.gateway6 and ipaddress.IPv6Address(found.gateway6).is_link_local:
        routers.add(found.gateway6)
    for router in sorted(routers):
        yield "ip6_router", _number(router)


def _assigned(nic: Nic, found: Addresses, facts: Facts, firewall: Firewall) -> Assigned | None:
    if nic.mode == "openvswitch":
        if firewall.drops:
            raise ContractError(f"firewall profile {firewall.profile!r} cannot be enforced in MODE openvswitch")
        return None
    # Addresses that may be another's too lead to nobody's profile: the host does not route for such networks.
    own = (found.ip, found.eui64) if firewall.zone is None else ()
    addresses = tuple(address for address in own if address)
    return Assigned(firewall.profile, firewall.number, facts.below.name if facts.below else None, addresses)


def _without(record: Record) -> str:
    """What takes a tap's elements out of sets and maps."""
    text = (reach.sets() if _filtered(record) else "") + elements.delete(record.elements)
    if record.firewall and record.firewall.number:
        _, number, bridge, addresses = record.firewall
        text += profile_nft.unassign(record.tap, number, bridge, addresses)
    return text


def _judge(record: Record) -> str:
    own: dict[str, list[str]] = {"macs": [], "ip4": [], "ip6_source": []}
    for element in record.elements:
        if element.set in own:
            own[element.set].append(element.text.partition(" . ")[2])
    (mac,) = own["macs"]
    return ruleset.judge(record.tap, record.ifindex, mac, own["ip4"] + own["ip6_source"])


def _filtered(record: Record) -> bool:
    """Whether its network shares a bridge with others."""
    return any(element.set == "filtered" for element in record.elements)


def _zone(nic: Nic, firewall: Firewall, settings: Settings) -> Iterator[Element]:
    """Connections of a network whose addresses may be another's too have a zone of their own."""
    if firewall.zone is not None:
        yield elements.Element("inet", "zones", f"{reach.network(nic.mac, settings.mac_mask)} : {firewall.zone}")


def _indev_mac(nic: Nic, facts: Facts, settings: Settings) -> str:
    """The MAC that nfdhcpd answers from."""
    if nic.mode == "routed":
        return settings.tap_mac
    return (facts.below or facts.tap).mac


def _binding(nic: Nic, found: Addresses, told: Told, facts: Facts, settings: Settings) -> Binding:
    indev = facts.below or facts.tap
    return Binding(
        tap=nic.tap,
        mac=nic.mac,
        hostname=addresses.host_name(nic.instance, nic.tags),
        instance=nic.instance,
        indev=indev.name,
        ip=found.ip,
        subnet=found.subnet,
        gateway=found.gateway,
        subnet6=found.subnet6,
        gateway6=found.gateway6,
        eui64=found.eui64,
        mtu=told.mtu or indev.mtu,
        ifindex=facts.tap.ifindex,
        macspoof=modes.spoof_allowed(nic, settings),
        tags=nic.network.tags if nic.network else (),
        terms=told.terms,
    )


def _check(variable: str, name: str) -> str:
    if not set(name) <= _NAME:
        raise ContractError(f"{variable} has a bad value {name!r}: only letters, digits, '-', '_' and '.' are allowed")
    return name


def _number(address: str) -> str:
    return f"0x{int(ipaddress.IPv6Address(address)):032x}"
