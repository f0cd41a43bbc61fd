"""A server that an administrator makes, with two disks of one of the storage providers, and what its guest writes.

The first disk has a system; the second has none, and gets numbered blocks of 4 KiB, each of which is on the disk for
good before the next one is begun (fsync). So what a disk has tells what it has lost.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lab.console import Console
from lab.ganeti import NETWORK

if TYPE_CHECKING:
    from lab.node import Node
    from lab.story import Story

# Disk parameters of each provider. This kernel maps no images of Ceph: QEMU opens them itself.
PROVIDERS = {"cow": "provider=cow", "rbd": "provider=rbd,access=userspace"}
IMAGE = "lab-guest"  # in each provider's store
SIZES = (96, 64)  # MiB, of the disks; the image has 64
NUMBERED = "/dev/vdb"
# Each is one line: a shell at a terminal would answer each line with a prompt.
# Says each number on the console too, while /tmp/loud is there.
_WRITE = (
    "((n={first}; while [ ! -e /tmp/stop ]; do"
    " printf '%08d\\n' $n | dd of={device} bs=4096 seek=$n conv=sync,notrunc,fsync 2>/dev/null || break;"
    ' echo $n > /tmp/acked; [ -e /tmp/loud ] && echo "ACK $n"; n=$((n+1)); usleep 50000;'
    " done; rm -f /tmp/stop; : > /tmp/stopped) &)"
)
_MORE = (
    "have=$(cat /tmp/acked 2>/dev/null); have=${{have:-0}};"
    " until now=$(cat /tmp/acked 2>/dev/null); [ ${{now:-0}} -ge $((have+{more})) ]; do usleep 50000; done; echo $now"
)
_READ = (
    "echo 3 > /proc/sys/vm/drop_caches;"
    " dd if={device} bs=4096 count={count} 2>/dev/null | tr -d '\\000' > /tmp/seen;"
    " wc -l < /tmp/seen; md5sum < /tmp/seen"
)


class Server:
    """`home` is the node that it is on, which who moves it says.

    For the story: `known` blocks that its guest knows to be on the disk, the checksum of a file, its snapshots.
    """

    def __init__(self, story: Story, name: str, provider: str, home: Node) -> None:
        self.story, self.name, self.provider, self.home = story, name, provider, home
        self.known, self.proof = 0, ""
        self.snapshots: list[str] = []

    def add(self, origins: Sequence[str] = (f"image:{IMAGE}", ""), *words: str) -> None:
        """Create and start it; the disks are clones of `origins`, or empty. `words` are more of gnt-instance add."""
        self.gnt("add", *self.hardware(), "-o", "ganeti-ext+default", *self.disks(origins), *words)

    def hardware(self) -> list[str]:
        """Words of gnt-instance add and gnt-backup import: a small machine on its node."""
        # Whom Ganeti asks by ACPI, and who does not listen, is asked again 5 s later, whatever the timeout.
        small = ["-B", "memory=128,vcpus=1", "-H", "kvm:acpi=false"]
        return ["-n", self.home.name, "-t", "ext", "--net", f"0:network={NETWORK},ip=pool", *small]

    def disks(self, origins: Sequence[str] = ("", "")) -> list[str]:
        """The options that say what disks it gets."""
        params = [f"{PROVIDERS[self.provider]}{',origin=' if origin else ''}{origin}" for origin in origins]
        return [f"--disk={i}:size={SIZES[i]}M,{words}" for i, words in enumerate(params)]

    def gnt(self, verb: str, *words: str) -> str:
        """`gnt-instance VERB WORDS INSTANCE`."""
        return self.story.gnt("instance", verb, *words, self.name)

    def fails(self, verb: str, *words: str) -> str:
        """What `gnt-instance VERB WORDS INSTANCE` says that fails, its job included; whatever it asks is answered yes.

        AssertionError if it does not fail.
        """
        # It asks the terminal.
        command = 'echo y | script --quiet --return --command "$1" /dev/null && echo DONE; true'
        typed = shlex.join(["gnt-instance", verb, *words, self.name])
        said = self.story.master.run("sh", "-c", command, "sh", typed, timeout=180)
        assert not said.endswith("DONE\n"), f"{typed} did not fail: {said}"
        return said.replace("\r", "")

    def stop(self) -> None:
        self.gnt("shutdown", "--timeout=1")

    def move(self, verb: str, target: Node, *words: str) -> None:
        """`migrate` or `failover` to a node."""
        self.gnt(verb, "--force", f"--target-node={target.name}", *words)
        self.home = target

    def remove(self) -> None:
        """Nothing of it is left in Ganeti. Safe to repeat."""
        if self.name in self.story.gnt("instance", "list", "--no-headers", "-o", "name").split():
            self.gnt("remove", "--force", "--ignore-failures", "--shutdown-timeout=1")

    def console(self) -> Console:
        return Console(self.home, self.name)

    def volumes(self) -> list[str]:
        """The names of its disks' volumes."""
        config = json.loads(self.story.master.read("/var/lib/ganeti/config.data"))
        (mine,) = (one for one in config["instances"].values() if one["name"] == self.name)
        return [config["disks"][uuid]["logical_id"][1] for uuid in mine["disks"]]

    def snapshot(self, prefix: str) -> list[str]:
        """Snapshots of both disks, of one moment; returns their names."""
        rows = storage(self.home, "snapshot-instance", self.name, prefix)
        return [row["volume"] for row in rows]


def storage(node: Node, verb: str, *words: str) -> list[dict[str, Any]]:
    """The rows that `ganeti-ext-storage VERB WORDS` prints on a node."""
    said = node.run("ganeti-ext-storage", verb, "--json", *words, timeout=180)
    return [json.loads(line) for line in said.splitlines()]


def findings(node: Node) -> list[dict[str, Any]]:
    """What `ganeti-ext-storage verify` finds on a node, however young."""
    # It ends with 4 when there is something.
    said = node.run("sh", "-c", "ganeti-ext-storage verify --json --age=0 || [ $? = 4 ]", timeout=180)
    return [json.loads(line) for line in said.splitlines()]


def write(console: Console, first: int = 1, device: str = NUMBERED) -> None:
    """Let the guest write numbered blocks from `first` on until it is told to stop."""
    console.ask(_WRITE.format(first=first, device=device))


def acknowledged(console: Console, more: int = 1) -> int:
    """The number of a block that the guest knows to be on its disk, once it has written that many more than it had."""
    return int(console.ask(_MORE.format(more=more), timeout=60))


def aloud(console: Console) -> None:
    """From now on the console says each number once its block is on the disk, and so it has already; see `heard`."""
    console.ask(f"touch /tmp/loud; {_MORE.format(more=2)}", timeout=60)


def heard(console: Console) -> int:
    """The last number that the console said before its guest died."""
    return max(int(number) for number in re.findall(r"ACK (\d+)\r?\n", console.rest()))


def stop(console: Console) -> int:
    """Let the guest stop to write; returns the number of the last block."""
    console.ask("touch /tmp/stop; until [ -e /tmp/stopped ]; do usleep 50000; done; rm -f /tmp/stopped /tmp/loud")
    return int(console.ask("cat /tmp/acked"))


def numbers(console: Console, known: int, device: str = NUMBERED) -> int:
    """How many numbered blocks are on a disk, from the first on and without a gap; AssertionError below `known`.

    The guest reads them from the disk, not from its memory, and tells a checksum of all.
    """
    # More than it can have written since: what comes behind a gap is seen, too.
    lines, digest = console.ask(_READ.format(device=device, count=known + 1000)).split()[:2]
    there = int(lines)
    whole = "".join(f"{number:08d}\n" for number in range(1, there + 1))
    assert hashlib.md5(whole.encode(), usedforsecurity=False).hexdigest() == digest, f"{there} blocks, but not 1 to it"
    assert there >= known, f"of {known} blocks that the guest knew to be on the disk {there} are there"
    return there
