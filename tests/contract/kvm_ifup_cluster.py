"""Nodes of a cluster, whose guests come and go: what is done to each, and whether what is set is what must be."""

from __future__ import annotations

import os
import re
import select
import signal
from pathlib import Path
from random import Random
from subprocess import Popen

from tests.contract import kvm_ifup_model as model
from tests.contract.kvm_ifup_live import hook
from tests.contract.kvm_ifup_model import Nic, Up
from tests.contract.kvm_ifup_node import PATIENCE, Node, Reaper
from tests.contract.kvm_ifup_set import files, for_taps, nftables, own, routing
from tests.contract.kvm_ifup_site import TABLE, ip

RECORDS, BINDINGS = "/run/ganeti-ext/taps", "/var/lib/nfdhcpd"
_UP = 1  # IFF_UP
_LONGEST = 0.15  # seconds, of a start


class Place:
    """A node. `up` is what must be set; `left` may be there still, of taps that nobody has seen go.

    `_torn` are taps of which drafts may be there still, also when the next guest has the name.
    """

    def __init__(self, lib: Path) -> None:
        self._lib = lib
        self.up: dict[str, Up] = {}
        self.left: list[Up] = []
        self._torn: set[str] = set()
        self.boot()

    def boot(self) -> None:
        """/run is empty then, and /var/lib is not."""
        self.node = Node(self._lib)
        self.reaper: Reaper | None = None
        self.left = [up._replace(ifindex=0) for up in (*self.left, *self.up.values())]
        self.up = {}
        self._taps = {"eth0": self.node.tap("eth0")}
        ip(self.node, "link set lo up", "link set eth0 up")
        ip(self.node, *(f"-{version} route add default dev eth0 table {TABLE}" for version in (4, 6)))
        self._bare = {line for line in for_taps(self.node) if not line.startswith(BINDINGS)}

    def crash(self) -> None:
        """All that runs here ends at once."""
        self.node.close()
        for tap in self._taps.values():
            tap.close()

    def free(self) -> str:
        """The name that the kernel would choose for a new tap."""
        return next(name for name in map("tap{}".format, range(99)) if name not in self._taps)

    def come(self, nic: Nic, tags: str) -> str:
        """Start a NIC; what the script complains of, if it does."""
        tap = self._open()
        done = self.node.kvm_ifup(nic.env(tap, tags))
        if done.returncode:
            self.vanish(tap)
            return done.stderr
        assert done.stderr == ""
        self.left = [up for up in self.left if up.tap != tap]
        self.up[tap] = Up(nic, tap, self._index(tap), tags, tags)
        return ""

    def torn(self, nic: Nic, tags: str, random: Random) -> None:
        """A start whose script is killed at some moment, with or without what it runs; its QEMU ends."""
        tap = self._open()
        process = self.node.start("kvm-vif-bridge", nic.env(tap, tags))
        _kill(process, random)
        self.left.append(Up(nic, tap, self._index(tap), tags, tags))
        self._torn.add(tap)
        self.vanish(tap)

    def vanish(self, *taps: str, and_reaper: bool = False) -> None:
        """QEMU ends, and the reaper with it, perhaps in the midst of its work."""
        for tap in taps:
            self._taps.pop(tap).close()
            if tap in self.up:
                self.left.append(self.up.pop(tap))
        if and_reaper and self.reaper:
            self.unwatch()
        self._noticed()

    def hook(self, instance: str) -> None:
        """Ganeti's hook behind an operation on an instance."""
        done = self.node.script("instance-moved", hook("", instance=instance))
        assert (done.returncode, done.stderr) == (0, "")
        self._swept()

    def tell(self, instance: str, tags: str, at: float, *, late: bool = False) -> str:
        """Tell an instance's tags, which are heeded unless they are late; what the script complains of, if it does."""
        done = self.node.script("instance-tags", hook(tags, at, instance))
        if done.returncode:
            return done.stderr
        assert done.stderr == ""
        for tap, up in self.up.items():
            if up.nic.instance == instance and not late:
                self.up[tap] = up._replace(tags=tags)
        return ""

    def watch(self) -> None:
        """Start the reaper: when it is ready all that was left is gone."""
        assert self.reaper is None
        self.reaper = self.node.reaper()
        self._swept()

    def unwatch(self) -> None:
        assert self.reaper is not None
        self.reaper.kill()
        self.reaper = None

    def flush(self) -> None:
        """Somebody flushes all rules, and has the reaper say them again."""
        self.node.run("nft", "flush", "ruleset")
        if self.reaper is None:
            self.watch()
            return
        # It tells how many it has restored, some at a time.
        log = self.reaper
        start = len(log.heard())
        log.hang_up()
        log.until(lambda: _stand(log.told[start:]) >= len(self.up), "all rules stand again")

    def check(self) -> None:
        """Whether neither more nor less is set than must be."""
        marks = self._numbers("profiles")
        want = self._bare.union(*(model.expected(up, marks) for up in self.up.values()))
        rules = nftables(self.node)
        found = routing(self.node) | files(self.node) | own(rules)
        lacks, more = sorted(want - found), sorted(line for line in found - want if not self._may_be_left(line))
        assert not lacks, f"not set: {lacks}"
        assert not more, f"set for nobody: {more}"
        self._check_common(rules, marks)
        for tap, up in self.up.items():
            self._check_files(tap, up)
            link = self.node.file(f"/sys/class/net/{tap}")
            assert int((link / "flags").read_text(), 16) & _UP
            assert (link / "master").exists() == (up.nic.kind in ("bridged", "filtered"))

    def _check_common(self, found: set[str], marks: dict[str, int]) -> None:
        """What profiles and networks need; those that nobody has any more may stay."""
        for name in {model.profile(up) for up in self.up.values()} & {*model.DROP}:
            mark = marks[name] << 16
            assert f"inet profiles {mark} : jump profile_{marks[name]}" in found
            assert f"bridge enforced {mark}" in found
        zones = {line.split()[2]: line.split()[-1] for line in found if line.startswith("inet zones ")}
        assert {f"{up.nic.mac[:7]}0:00:00:00" for up in self.up.values() if up.nic.kind == "filtered"} <= set(zones)
        assert len(set(zones.values())) == len(zones)

    def _check_files(self, tap: str, up: Up) -> None:
        record = self.node.file(f"{RECORDS}/{tap}").read_text().splitlines()
        lines = {f"IFINDEX={up.ifindex}", f"ENV=INSTANCE={up.nic.instance}", f"ENV=TAGS={up.tags}"}
        assert lines <= set(record), record
        bound = self.node.file(f"{BINDINGS}/{tap}")
        if bound.exists():
            said = dict(line.split("=", 1) for line in bound.read_text().splitlines())
            assert {key: said.get(key, "") for key in model.binding(up)} == model.binding(up), said

    def _swept(self) -> None:
        self.left.clear()
        self._torn.clear()

    def _may_be_left(self, line: str) -> bool:
        draft = re.search(r"/\.(\w+)\.\d+$", line)
        if draft and draft[1] in self._torn:
            return True
        words = set().union(*(model.words(up) for up in self.left))
        return not words.isdisjoint(re.split(r"/\.|[ /]|\.\d+$", line))

    def _noticed(self) -> None:
        """Wait until the reaper has seen what there is to see, if it runs."""
        if self.reaper:
            names = {up.tap for up in self.left}
            self.reaper.until(lambda: not self._written() & names, f"files of {names} are gone")
            self._swept()

    def _written(self) -> set[str]:
        """The taps that files are there for, drafts of them, too."""
        folders = (self.node.file(place) for place in (RECORDS, BINDINGS))
        names = (path.name for folder in folders if folder.exists() for path in folder.iterdir())
        return {name[1:].partition(".")[0] if name.startswith(".") else name for name in names}

    def _open(self) -> str:
        tap = self.free()
        self._taps[tap] = self.node.tap(tap)
        return tap

    def _index(self, tap: str) -> int:
        return int(self.node.file(f"/sys/class/net/{tap}/ifindex").read_text())

    def _numbers(self, kind: str) -> dict[str, int]:
        path = self.node.file(f"/run/ganeti-ext/{kind}")
        lines = path.read_text().splitlines() if path.exists() else []
        found = {name: int(number) for number, name in (line.split(" ", 1) for line in lines)}
        assert len(set(found.values())) == len(found)
        return found


def _stand(told: str) -> int:
    words = [line.split() for line in told.splitlines() if line.endswith("taps stand")]
    return sum(int(line[-3]) for line in words)


def _kill(process: Popen[str], random: Random) -> None:
    """Kill a script at some moment. What it runs ends, too, or comes to its end: it is over when this returns."""
    alone = random.random() < 0.5
    script = os.pidfd_open(process.pid)
    select.select([script], [], [], random.uniform(0, _LONGEST))
    process.send_signal(signal.SIGSTOP)
    try:
        pids = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
        children = [os.pidfd_open(pid) for pid in pids]
    except (FileNotFoundError, ProcessLookupError):
        children = []
    process.kill()
    for child in children:
        if not alone:
            signal.pidfd_send_signal(child, signal.SIGKILL)
        assert select.select([child], [], [], PATIENCE)[0], "what the script ran does not end"
        os.close(child)
    os.close(script)
    process.communicate(timeout=PATIENCE)
