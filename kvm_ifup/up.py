"""The verb `up` of a NIC: what Ganeti runs when it has made a tap, before the guest may use it."""

from __future__ import annotations

import sys

from ganeti_ext import binding
from ganeti_ext.config import load
from ganeti_ext.errors import ExtError
from ganeti_ext.nicenv import Nic
from kvm_ifup.apply import Host, link
from kvm_ifup.plan import communication, lower, plan
from kvm_ifup.settings import PATH, Settings
from kvm_ifup.state import Records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def main(verb: str, env: Mapping[str, str]) -> None:
    """Set up the NIC of this environment, or raise: Ganeti then does not start the instance."""
    nic = Nic.from_env(env)
    if communication(nic):
        # kvm-ifup has run kvm-ifup-os for it before it called us, and would do no more without us.
        return
    settings = load(PATH, "network", Settings)
    try:
        warnings = set_up(nic, settings.binding_directory, Records())
    except OSError as err:
        raise ExtError(f"{nic.tap} of {nic.instance}: {err}") from err
    for warning in warnings:
        sys.stderr.write(f"{verb}: {warning}\n")


def set_up(nic: Nic, directory: str, records: Records) -> tuple[str, ...]:
    """Purge what stands for the tap's name, then set it up; returns warnings for the operator."""
    below = lower(nic)
    host = Host(records)
    with records.lock(nic.tap):
        planned = plan(nic, link(nic.tap), link(below), directory)
        old = records.read(nic.tap)
        if old:
            host.undo(old)
        binding.remove(nic.tap, directory)  # one from before a reboot has no record
        host.set_up(planned)
    return planned.warnings
