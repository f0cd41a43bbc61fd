from __future__ import annotations

from bench.storage import guest_drives

# What Debian's Ganeti 3.1 makes of a loop device and of an URI.
LOOP = [
    *("-device", "virtio-blk-pci,id=disk-0,bus=pci.0,addr=0xc,drive=disk-0,write-cache=on", "-blockdev"),
    "driver=raw,node-name=disk-0,cache.direct=on,file.driver=host_device,file.filename=/dev/loop7,file.aio=threads",
]
OTHER = [word.replace("disk-0", "disk-1").replace("loop7", "loop9").replace("0xc", "0xd") for word in LOOP]
IMAGE = ["-blockdev", "driver=raw,node-name=disk-1,cache.direct=on,file.driver=rbd,file.pool=rbd,file.image=v"]
_TOLD = "virtio-blk-pci,write-cache=on; driver=raw,cache.direct=on,file.driver=host_device,file.aio=threads"


def test_options_that_are_the_same_for_both_disks_are_told_once() -> None:
    assert guest_drives.told([*LOOP, *OTHER]) == _TOLD


def test_a_difference_between_the_disks_shows() -> None:
    assert guest_drives.told([*LOOP, *IMAGE]) == f"{_TOLD}; driver=raw,cache.direct=on,file.driver=rbd,file.pool=rbd"


def test_the_guest_finds_a_disk_by_its_slot() -> None:
    assert guest_drives.block(12) == "ls /sys/bus/pci/devices/0000:00:0c.0/virtio*/block"
