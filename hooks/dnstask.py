"""What an operation on an instance asks of the DNS."""

from __future__ import annotations

import ipaddress
from collections import namedtuple

from ganeti_ext import tags
from ganeti_ext.address import eui64
from ganeti_ext.errors import ContractError
from hooks.dnsname import absolute, zone_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ganeti_ext.hookenv import Hook
    from ganeti_ext.nicenv import Network
    from hooks.dnssettings import Settings

REMOVE, RENAME = "OP_INSTANCE_REMOVE", "OP_INSTANCE_RENAME"
# After these, records may have to go although no NIC is on a network with the tag.
CLEARING = (REMOVE, RENAME, "OP_INSTANCE_SET_PARAMS")
OPCODES = frozenset((*CLEARING, "OP_INSTANCE_CREATE", "OP_INSTANCE_STARTUP", "OP_INSTANCE_REBOOT"))


class Task(namedtuple("Task", "wanted own owner complaints")):
    """By absolute name, the addresses that it is to have from now on, and no others.

    `own` are the addresses of the instance's NICs on networks with the tag, whichever are wanted; `owner` is whose
    the names are; `complaints` are what cannot be done.
    """

    __slots__ = ()
    wanted: dict[str, tuple[str, ...]]
    own: tuple[str, ...]
    owner: str
    complaints: tuple[str, ...]


def of(hook: Hook, settings: Settings) -> Task | None:
    """The task, None when there is nothing to do; ContractError for an address that is none."""
    nics = [
        (index, hook.nics[index], network)
        for index, network in enumerate(hook.networks)
        if network and settings.tag in network.tags
    ]
    if not hook.instance or hook.opcode not in OPCODES or not (nics or hook.opcode in CLEARING):
        return None
    own = tuple(dict.fromkeys(address for nic in nics for address in _of_nic(*nic)))
    off = [number for number, tag in ((4, tags.DISABLE_IPV4), (6, tags.DISABLE_IPV6)) if tag in hook.tags]
    addresses = tuple(address for address in own if version(address) not in off)
    names = [(hook.instance, () if hook.opcode in (REMOVE, RENAME) else addresses)]
    if hook.new_name:
        names.append((hook.new_name, addresses))
    wanted, complaints = {}, []
    for text, its in names:
        if name := _name(text, settings.zones):
            wanted[name] = its
        elif its:
            complaints.append(f"{text!r} is no name in the zones {' '.join(settings.zones)}")
    return Task(wanted, own, settings.owner or _cluster(hook), tuple(complaints))


def version(address: str) -> int:
    """4 or 6."""
    return 6 if ":" in address else 4


def _cluster(hook: Hook) -> str:
    try:
        return absolute(hook.cluster or "").removesuffix(".")
    except ValueError as err:
        raise ContractError(f"GANETI_CLUSTER has a bad value {hook.cluster!r}: {err}") from err


def _name(instance: str, zones: Sequence[str]) -> str | None:
    """The instance's name in full, None when it is in none of the zones. One without a dot is in the first."""
    try:
        name = absolute(instance if "." in instance else f"{instance}.{zones[0]}")
    except ValueError:  # Ganeti lets names pass that the DNS does not
        return None
    return name if zone_of(name, zones) else None


def _of_nic(index: int, nic: dict[str, str], network: Network) -> Iterator[str]:
    variable = f"GANETI_INSTANCE_NIC{index}_"
    try:
        if nic["ip"]:
            yield str(ipaddress.ip_address(nic["ip"]))
    except ValueError as err:
        raise ContractError(f"{variable}IP has a bad value {nic['ip']!r}: {err}") from err
    try:
        # In a subnet of another size a guest has no address that follows from its MAC.
        if network.subnet6 and ipaddress.IPv6Network(network.subnet6).prefixlen == 64:
            yield eui64(_mac(nic["mac"]), network.subnet6)
    except ValueError as err:
        raise ContractError(f"{variable}MAC or NETWORK_SUBNET6 has a bad value: {err}") from err


def _mac(text: str) -> str:
    if len(bytes.fromhex(text.replace(":", ""))) != 6:
        raise ValueError(f"{text!r} is not a MAC address")
    return text
