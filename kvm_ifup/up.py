"""A NIC comes up, or goes: what Ganeti runs when it has made a tap, before the guest may use it.

Ganeti 3.0 and 3.1 run it for `up` alone, as kvm-vif-bridge. 3.2 runs network/MODE/up and network/MODE/down, both of
which are this, with the same environment and ACTION beside.
"""

from __future__ import annotations

import sys

from ganeti_ext import binding
from ganeti_ext.errors import ContractError, ExtError
from ganeti_ext.nicenv import Nic
from kvm_ifup import announce, facts, firewall, sender
from kvm_ifup.apply import Host
from kvm_ifup.plan import communication, lower, plan
from kvm_ifup.settings import load
from kvm_ifup.state import Records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kvm_ifup.plan import Plan
    from kvm_ifup.settings import Settings


def main(verb: str, env: Mapping[str, str]) -> None:
    """Set up the NIC of this environment, or raise: Ganeti then does not start the instance.

    With ACTION `down`, undo it.
    """
    nic = Nic.from_env(env)
    if communication(nic):
        # kvm-ifup has run kvm-ifup-os for it before it called us, and would do no more without us.
        return
    action = env.get("ACTION") or "up"
    if action not in ("up", "down"):
        raise ContractError(f"ACTION has a bad value {action!r}: only up and down are known")
    settings = load()
    try:
        if action == "down":
            take_down(nic, Records())
            return
        for warning in set_up(env, nic, settings, Records()):
            sys.stderr.write(f"{verb}: {warning}\n")
    except OSError as err:
        raise ExtError(f"{nic.tap} of {nic.instance}: {err}") from err


def set_up(env: Mapping[str, str], nic: Nic, settings: Settings, records: Records) -> Iterator[str]:
    """Purge what stands for the tap's name, then set it up; yields warnings for the operator."""
    below = lower(nic)
    host = Host(records)
    with records.lock(nic.tap):
        found, stamp = facts.of(nic, below, settings), firewall.stamp()
        planned = plan(env, nic, found, firewall.of(nic, settings), settings)
        old = records.read(nic.tap)
        if old:
            host.undo(old)
        binding.remove(nic.tap, settings.binding_directory)  # one from before a reboot has no record
        host.set_up(planned)
        firewall.keep_up(planned.record, stamp, settings, host)
    yield from planned.warnings
    yield from tell_neighbours(planned)


def take_down(nic: Nic, records: Records) -> None:
    """Undo what stands for a NIC, if the tap of this name is still its own."""
    with records.lock(nic.tap):
        record = records.read(nic.tap)
        if record and (record.instance, record.nic) == (nic.instance, nic.uuid):
            Host(records).undo(record)


def tell_neighbours(planned: Plan) -> Iterator[str]:
    """Announce the addresses; yields what failed, which keeps no guest from running."""
    for uplink, ip, eui64 in planned.announce:
        try:
            sender.send(uplink.name, announce.frames(uplink.mac, ip, eui64))
        except (OSError, ValueError) as err:  # ValueError: the uplink is not Ethernet
            yield f"{ip or eui64} is not announced: {err}"
