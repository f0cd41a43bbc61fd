"""Taps that are up meet what has changed since: tags of their instance, their networks, or the node that it runs on.

Two scripts in Ganeti's hook directories. `instance-tags` is run by eventd, on the node of an instance whose tags have
changed, or one of whose networks has. `instance-moved` is run by Ganeti behind operations that start, stop or move an
instance, on every node that has to do with it.
"""

from __future__ import annotations

import sys

from ganeti_ext import addresses
from ganeti_ext.env import need
from ganeti_ext.errors import ContractError, ExtError
from ganeti_ext.nicenv import Nic
from kvm_ifup import ctnetlink, facts, firewall, profiles
from kvm_ifup.apply import Host
from kvm_ifup.plan import lower, plan
from kvm_ifup.profile import CUT
from kvm_ifup.settings import load
from kvm_ifup.state import Records
from kvm_ifup.told import checked, is_late
from kvm_ifup.up import tell_neighbours

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kvm_ifup.plan import Plan
    from kvm_ifup.settings import Settings
    from kvm_ifup.state import Record


# What changes of a network while taps are up, besides its name, which nothing goes by.
_OF_NETWORK = ("NETWORK_TAGS", "NETWORK_GATEWAY", "NETWORK_SUBNET6", "NETWORK_GATEWAY6")


def main(verb: str, env: Mapping[str, str]) -> None:
    """Run one of the two; ExtError tells of every tap that could not be changed and keeps what it had."""
    settings = load()
    records = Records()
    instance = need(env, "GANETI_INSTANCE_NAME", str)
    if verb == "instance-tags":
        told = need(env, "GANETI_EXT_TAGS_TIME", checked)
        if "GANETI_INSTANCE_TAGS" not in env:  # which may be empty; but nothing said must not take what is set
            raise ContractError("GANETI_INSTANCE_TAGS is not set")
        retag(instance, env["GANETI_INSTANCE_TAGS"], told, settings, records, of_networks(env))
    else:
        settle(instance, settings, records)


def of_networks(env: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What is said of the networks that an instance's NICs are in, in the variables of a NIC, by the NIC's UUID."""
    count = env.get("GANETI_INSTANCE_NIC_COUNT", "")
    names = [f"GANETI_INSTANCE_NIC{index}" for index in range(int(count) if count.isdecimal() else 0)]
    return {
        env[f"{name}_UUID"]: {key: env.get(f"{name}_{key}", "") for key in _OF_NETWORK}
        for name in names
        if f"{name}_UUID" in env and f"{name}_NETWORK_TAGS" in env
    }


def retag(
    instance: str,
    tags: str,
    told: str,
    settings: Settings,
    records: Records,
    networks: Mapping[str, Mapping[str, str]] | None = None,
) -> None:
    """Let the taps of an instance follow its tags, as they were at the time `told` by the master's clock.

    `networks` has what is said of networks by the UUID of the NIC that is in them; others stay as they are.
    """
    failed = []
    for record in records.of_instance(instance):
        try:
            known = {"TAGS": tags, **(networks or {}).get(record.nic, {})}
            _retag(record, known, told, settings, records)
        except (ExtError, OSError) as err:
            failed.append(f"{record.tap} of {instance} stays as it was: {err}")
    if failed:
        raise ExtError("; ".join(failed))


def settle(instance: str, settings: Settings, records: Records) -> None:
    """Undo what is left of taps that are gone, and announce an instance that is here now."""
    from kvm_ifup.reaper import Reaper  # noqa: PLC0415 (a daemon's imports, for which instance-tags has no time)

    Reaper(records, Host(records), settings).sweep()
    for record in records.of_instance(instance):
        if facts.ifindex(record.tap) == record.ifindex:
            try:
                warnings = list(tell_neighbours(_again(record, {}, settings)))
            except (ExtError, OSError) as err:  # one tap must not cost the others their announcement
                warnings = [str(err)]
            sys.stderr.writelines(f"{record.tap} of {instance}: {warning}\n" for warning in warnings)


def _retag(seen: Record, known: Mapping[str, str], told: str, settings: Settings, records: Records) -> None:
    with records.lock(seen.tap):
        record = records.read(seen.tap)
        if record is None or record.ifindex != seen.ifindex or facts.ifindex(seen.tap) != seen.ifindex:
            return  # another guest's by now, or gone: what comes up reads its tags itself
        if record.told and is_late(told, record.told):
            return
        host, stamp = Host(records), firewall.stamp()
        planned = _again(record, known, settings)
        planned = planned._replace(record=planned.record._replace(told=told))
        cuts = planned.record.firewall != record.firewall and _cuts(planned.record)
        host.change(record, planned, (lambda: _cut(planned.record)) if cuts else None)
        firewall.keep_up(planned.record, stamp, settings, host)


def _again(record: Record, known: Mapping[str, str], settings: Settings) -> Plan:
    """The plan for a NIC as Ganeti told of it, but for what is known better."""
    env = {**record.env, **known}
    nic = Nic.from_env(env)
    return plan(env, nic, facts.of(nic, lower(nic), settings), firewall.of(nic, settings), settings)


def _cut(record: Record) -> None:
    """End the connections that the guest has."""
    zones = [int(element.text.partition(" : ")[2]) for element in record.elements if element.set == "zones"]
    found = addresses.of(Nic.from_env(record.env))  # the firewall's lack those of a zone
    ctnetlink.condemn([address for address in (found.ip, found.eui64) if address], *zones)


def _cuts(record: Record) -> bool:
    return record.firewall is not None and profiles.load(record.firewall.profile).established == CUT
