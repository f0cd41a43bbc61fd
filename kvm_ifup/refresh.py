"""Taps that are up meet what has changed since: tags of their instance, or the node that it runs on.

Two scripts in Ganeti's hook directories. `instance-tags` is run by eventd, on the node of an instance whose tags have
changed. `instance-moved` is run by Ganeti behind operations that start, stop or move an instance, on every node that
has to do with it.
"""

from __future__ import annotations

import sys

from ganeti_ext.env import need
from ganeti_ext.errors import ExtError
from ganeti_ext.nicenv import Nic
from kvm_ifup import conntrack, facts, firewall, profiles
from kvm_ifup.apply import Host
from kvm_ifup.plan import lower, plan
from kvm_ifup.profile import CUT
from kvm_ifup.settings import load
from kvm_ifup.state import Records
from kvm_ifup.up import tell_neighbours

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kvm_ifup.plan import Plan
    from kvm_ifup.settings import Settings
    from kvm_ifup.state import Record


def main(verb: str, env: Mapping[str, str]) -> None:
    """Run one of the two; ExtError tells of every tap that could not be changed and keeps what it had."""
    settings = load()
    records = Records()
    instance = need(env, "GANETI_INSTANCE_NAME", str)
    if verb == "instance-tags":
        told = need(env, "GANETI_EXT_TAGS_TIME", _time)
        retag(instance, env.get("GANETI_INSTANCE_TAGS", ""), told, settings, records)
    else:
        settle(instance, settings, records)


def retag(instance: str, tags: str, told: str, settings: Settings, records: Records) -> None:
    """Let the taps of an instance follow its tags, as they were at the time `told` by the master's clock."""
    failed = []
    for record in records.of_instance(instance):
        try:
            _retag(record.tap, record.ifindex, tags, told, settings, records)
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
            for warning in tell_neighbours(_again(record, record.env.get("TAGS", ""), settings)):
                sys.stderr.write(f"{record.tap} of {instance}: {warning}\n")


def _retag(tap: str, ifindex: int, tags: str, told: str, settings: Settings, records: Records) -> None:
    with records.lock(tap):
        record = records.read(tap)
        if record is None or record.ifindex != ifindex or facts.ifindex(tap) != ifindex:
            return  # another guest's by now, or gone: what comes up reads its tags itself
        if record.told and _moment(record.told) >= _moment(told):
            return
        planned = _again(record, tags, settings)
        planned = planned._replace(record=planned.record._replace(told=told))
        Host(records).change(record, planned)
        if planned.record.firewall != record.firewall and _cuts(planned.record):
            conntrack.condemn(planned.record)


def _again(record: Record, tags: str, settings: Settings) -> Plan:
    """The plan for a NIC as Ganeti told of it, with other tags."""
    env = {**record.env, "TAGS": tags}
    nic = Nic.from_env(env)
    return plan(env, nic, facts.of(nic, lower(nic), settings), firewall.of(nic, settings), settings)


def _cuts(record: Record) -> bool:
    return record.firewall is not None and profiles.load(record.firewall.profile).established == CUT


def _time(text: str) -> str:
    _moment(text)
    return text


def _moment(text: str) -> tuple[int, int]:
    seconds, _, nanoseconds = text.partition(".")
    return int(seconds), int(nanoseconds)
