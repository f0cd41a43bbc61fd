"""From OpenStack's words to Ganeti's, and back. Pure: values in, values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from frontend.effect.purpose import Purpose
from frontend.network import netname
from ganeti_ext.rapi import Query

MIB = 1 << 20
GIB = 1 << 30


class Call(NamedTuple):
    """One call of the remote API that starts a job (rapi.rst)."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    query: Query | None = None


class Step(NamedTuple):
    """One call of several, each of which waits for the one before it (chain.py)."""

    call: Call
    anyway: bool = False
    """Also when the one before it failed."""
    alone: bool = False
    """It can be told neither what it is for nor what to wait for."""
    unless: bool = False
    """Only when the one before it failed."""
    purpose: Purpose | None = None
    """What it is for; None: as the chain."""


class Size(NamedTuple):
    vcpus: int
    ram: int
    """MiB."""
    disk: int
    """MiB."""


SPAWNING = "spawning"
DELETING = "deleting"


def create_again(body: Mapping[str, Any]) -> Call:
    """The same create, which now waits for every node, as the first one found no room on those that were free."""
    return Call("POST", "instances", {**body, "opportunistic_locking": False})


def start(instance: str) -> Call:
    return Call("PUT", f"instances/{instance}/startup")


def stop(instance: str, timeout: int) -> Call:
    """Ask the guest to power off; after `timeout` seconds it is switched off."""
    return Call("PUT", f"instances/{instance}/shutdown", {"timeout": timeout})


def reboot(instance: str, kind: str, timeout: int) -> Call:
    """SOFT and HARD are both Ganeti's `hard`: its `soft` kills a KVM guest at once (hv_kvm RebootInstance)."""
    wait = timeout if kind == "SOFT" else 0
    return Call("POST", f"instances/{instance}/reboot", {"shutdown_timeout": wait}, {"type": "hard"})


def delete(instance: str, after: int | None = None) -> Call:
    """The disk goes, so there is nothing to wait for; but for the job `after`, whatever becomes of it."""
    body: dict[str, Any] = {"shutdown_timeout": 0}
    if after is not None:
        body["depends"] = [[after, ["success", "error", "canceled"]]]
    return Call("DELETE", f"instances/{instance}", body)


# Back: what a server's row means in OpenStack's words.

_POWER = {"ACTIVE": 1, "SHUTOFF": 4}  # nova.objects.fields.InstancePowerState; others: no state
# Of a server that awaits a word about its new flavor, and of one that runs from a rescue disk (state.py).
VERIFY_RESIZE, RESCUE = "VERIFY_RESIZE", "RESCUE"
_VM_STATE = {
    "BUILD": "building",
    "ACTIVE": "active",
    "SHUTOFF": "stopped",
    "ERROR": "error",
    "DELETED": "deleted",
    "UNKNOWN": None,  # its node does not answer
    VERIFY_RESIZE: "resized",
    RESCUE: "rescued",
}
_RESIZE = {"resize_prep": "RESIZE", "resize_finish": "RESIZE", "resize_reverting": "REVERT_RESIZE"}
_REBUILD = {"rebuilding": "REBUILD", "rebuild_block_device_mapping": "REBUILD"}
# What is shown of a status while a task goes on (nova/api/openstack/common.py _STATE_MAP).
SHOWN: Mapping[str, Mapping[str, str]] = {
    "ACTIVE": {
        "rebooting": "REBOOT",
        "rebooting_hard": "HARD_REBOOT",
        "migrating": "MIGRATING",
        **_RESIZE,
        **_REBUILD,
    },
    "SHUTOFF": {**_RESIZE, **_REBUILD},
    "ERROR": _REBUILD,
    VERIFY_RESIZE: _RESIZE,
}


def status(row: Mapping[str, Any]) -> str:
    """Nova's status."""
    if row["deleted"] is not None:
        return "DELETED"
    kept = str(row["status"])
    return SHOWN.get(kept, {}).get(row["task"], kept)


def vm_state(row: Mapping[str, Any]) -> str | None:
    kept = "DELETED" if row["deleted"] is not None else row["status"]
    if kept == VERIFY_RESIZE and status(row) == "RESIZE":
        kept = row["power"]  # its tags tell of the new flavor before the last job is over
    return _VM_STATE.get(kept, "error")


def power_state(row: Mapping[str, Any]) -> int:
    kept = row["power"] if row["status"] in (VERIFY_RESIZE, RESCUE) else row["status"]
    return _POWER.get(kept, 0) if row["deleted"] is None else 0


def addresses(nics: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Addresses by network name, IPv4 before IPv6; a NIC without a network is no tenant's."""
    found: dict[str, list[dict[str, Any]]] = {}
    for nic in nics:
        if not nic.get("network"):
            continue
        shown = found.setdefault(netname.shown(nic["network"]), [])
        for version, key in ((4, "ip"), (6, "ip6")):
            if nic.get(key):
                shown.append(
                    {
                        "version": version,
                        "addr": nic[key],
                        "OS-EXT-IPS:type": "fixed",
                        "OS-EXT-IPS-MAC:mac_addr": nic.get("mac"),
                    }
                )
    return found
