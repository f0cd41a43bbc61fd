"""QEMU's options for a guest's disks, made by Ganeti's own code: they are the same for our disks and for others'."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.storage.place import Bench

FIRST = 12  # the slot of the first disk: hypervisor parameter kvm_pci_reservations

# Debian's Ganeti with the defaults of the hypervisor parameters. `ext` is the template of all: it is what makes
# Ganeti bypass the page cache (kvm_utils.py, GetCacheSettings).
_GANETI = """
import json, subprocess, sys
sys.path.insert(0, "/usr/share/ganeti/default")
from ganeti import constants, objects
from ganeti.hypervisor.hv_kvm import KVMHypervisor
def said(*words):
    return subprocess.run(["qemu-system-x86_64", *words], capture_output=True, text=True, check=True).stdout
disks = []
for slot, (name, disk) in enumerate(json.loads(sys.argv[1]), start=int(sys.argv[2])):
    uri = None if disk.startswith("/") else disk
    access = constants.DISK_USERSPACE if uri else constants.DISK_KERNELSPACE
    place = {"driver": "virtio-blk-pci", "id": "disk-" + name, "bus": "pci.0", "addr": hex(slot)}
    made = objects.Disk(dev_type=constants.DT_EXT, mode=constants.DISK_RDWR, hvinfo=place)
    made.params = {constants.LDP_ACCESS: access}
    disks.append((made, disk, uri))
kvm = object.__new__(KVMHypervisor)
parameters = constants.HVC_DEFAULTS[constants.HT_KVM]
print(json.dumps(kvm._GenerateKVMBlockDevicesOptions(parameters, disks, said("--help"), said("-device", "help"))))
"""


def options(bench: Bench, disks: Sequence[tuple[str, str]]) -> list[str]:
    """Of disks by name, each a block device or an URI of QEMU's: in slots from FIRST on."""
    words: list[str] = json.loads(bench.run("python3", "-c", _GANETI, json.dumps(disks), str(FIRST)))
    return words


def told(words: Sequence[str]) -> str:
    """What the options are but for the disks' names, if they are the same for all."""
    drivers = dict.fromkeys(_plain(word) for option, word in pairwise(words) if option in _OPTIONS)
    return "; ".join(drivers)


_OPTIONS = ("-blockdev", "-device")
_NAMES = ("id", "bus", "addr", "drive", "node-name", "file.filename", "file.image")


def _plain(word: str) -> str:
    return ",".join(pair for pair in word.split(",") if pair.partition("=")[0] not in _NAMES)


def block(slot: int) -> str:
    """A shell's line that says in the guest how it calls the disk in a slot."""
    return f"ls /sys/bus/pci/devices/0000:00:{slot:02x}.0/virtio*/block"
