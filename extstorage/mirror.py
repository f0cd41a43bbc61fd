"""The disk of a running instance, as QEMU and Ganeti's runtime file have it: values in, values out.

Ganeti 3.1 calls a disk's block node by its UUID (hypervisor/hv_kvm/__init__.py, _GenerateDeviceKVMId): a growth and the
removal of a disk that was hot-plugged look for that name. The new disk has a UUID of its own, so its node gets the
name that goes with it before the mirror begins, and takes the old one's place in the guest's device when it ends. The
device itself keeps the id that QEMU was started with; only a new QEMU, after a live migration or a start, has the
other. Until then the disk cannot be hot-unplugged (HotDelDisk finds no device), and nothing else asks for the id.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ganeti_ext.errors import ExtError

if TYPE_CHECKING:
    from typing import Any

    from extstorage.inventory_ganeti import Disk

    Tree = dict[str, Any]

HVPARAMS, DISKS = 2, 3  # in the runtime file (kvm_runtime.py)
_URI = "kvm:"


def node_name(disk: Disk) -> str:
    """The name of a disk's block node, and of its device in a QEMU that is started with it."""
    return "disk-" + disk.uuid.rsplit("-", 2)[0]


def job_name(disk: Disk) -> str:
    """The name of the mirror to a disk."""
    return "move-to-" + node_name(disk)


def answered(reply: str) -> tuple[str, str]:
    """The device's path and the URI for QEMU in what `attach` prints; either may be empty."""
    device, *others = reply.split("\n")
    return device, next((line.removeprefix(_URI) for line in others if line.startswith(_URI)), "")


def protocol(device: str, uri: str, aio: str) -> Tree:
    """QEMU's driver of what `attach` says, as _GenerateKVMBlockDevice makes it: of a URI for userspace, or a device."""
    if not uri:
        return {"driver": "host_device", "filename": device, "aio": aio}
    scheme, _, rest = uri.partition(":")
    if scheme != "rbd":
        return {"driver": "file", "filename": uri, "aio": aio}
    image, *options = rest.split(":")
    pool, _, name = image.partition("/")
    given = dict(option.split("=", 1) for option in options)
    words = {"user": given.get("id"), "conf": given.get("conf")}
    return {"driver": "rbd", "pool": pool, "image": name, **{key: value for key, value in words.items() if value}}


def tree(disk: Disk, below: Tree) -> Tree:
    """The disk's block nodes. What is zero from end to end becomes a hole, as long as this QEMU lives.

    (blockdev-reopen could end that, but would open the device anew, whose descriptor QEMU has no more.)
    """
    cache = {"direct": True, "no-flush": False}  # as Ganeti has it for all shared disks (GetCacheSettings)
    found = {"driver": "raw", "node-name": node_name(disk), "cache": cache, "discard": "unmap"}
    return {**found, "detect-zeroes": "unmap", "file": below}


def mirrored(old: Disk, new: Disk, commands: set[str]) -> Tree:
    """The arguments of blockdev-mirror. QEMU before 8.2 cannot change the mode of a mirror that is at work."""
    return {
        "job-id": job_name(new),
        "device": node_name(old),
        "target": node_name(new),
        "sync": "full",
        "copy-mode": "background" if "block-job-change" in commands else "write-blocking",
        "on-source-error": "report",
        "on-target-error": "report",
        "auto-dismiss": False,  # its end is looked for, whoever began it
    }


def parsed(text: str, path: str) -> list[Any]:
    """A runtime file; ExtError naming its path for anything else."""
    try:
        found = json.loads(text)
        if len(found) == 4 and all(entry[0]["uuid"] for entry in found[DISKS]):
            return list(found)
    except (ValueError, KeyError, TypeError, IndexError) as err:
        raise ExtError(f"{path} is not Ganeti's: {err!r}") from err
    raise ExtError(f"{path} is not Ganeti's: it has {len(found)} parts")


def entry(runtime: list[Any], disk: Disk) -> list[Any] | None:
    """The disk in a runtime file, with its link and its URI."""
    return next((one for one in runtime[DISKS] if one[0]["uuid"] == disk.uuid), None)


def with_access(runtime: list[Any], old: Disk, new: Disk) -> Disk:
    """The new disk with its access. What it does not say itself is its group's default, as it was for the old one."""
    found = entry(runtime, old) or entry(runtime, new)
    if found is None:
        raise ExtError(f"QEMU was not started with disk {old.number} of instance {old.instance!r}: restart it first")
    return new._replace(params={"access": found[0].get("params", {}).get("access", "kernelspace"), **new.params})


def exchanged(runtime: list[Any], old: Disk, new: Disk, link: str, uri: str) -> list[Any]:
    """A runtime file in which a disk has taken another's place. An instance that is migrated or rebooted has that."""

    def changed(one: Tree, *where: str | None) -> list[Any]:
        if one["uuid"] != old.uuid:
            return [one, *where]
        hvinfo = {**one.get("hvinfo", {}), "id": node_name(new)}
        params = {**new.params, "provider": new.provider} if "provider" in one.get("params", {}) else new.params
        facts = {"uuid": new.uuid, "logical_id": [new.provider, new.volume], "size": new.size, "params": params}
        userspace = new.params.get("access") == "userspace"
        return [{**one, **facts, "hvinfo": hvinfo}, None if userspace else link, uri if userspace else None]

    return [*runtime[:DISKS], [changed(*one) for one in runtime[DISKS]]]


def withdrawn(runtime: list[Any], kept: list[Any], new: Disk) -> list[Any]:
    """A runtime file in which a disk has its place again that another took; `kept` is what stood there, of any time."""
    return [*runtime[:DISKS], [kept if one[0]["uuid"] == new.uuid else one for one in runtime[DISKS]]]
