"""A real Ceph on one machine: a monitor, OSDs and if wanted a manager, from Debian 13's packages, without systemd.

All of it lives in one directory, its processes in a root that is mounted there and in one network namespace, so that
`down` finds everything whatever became of whoever called `up`. An up that is repeated starts what does not run.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from ganeti_ext.command import run
from lab import ROOT, cephconf, layer
from lab.step import step, until

PACKAGES = (
    *("ceph-mon", "ceph-mgr", "ceph-osd", "ceph-common"),
    *("python3-rados", "python3-rbd", "qemu-block-extra", "qemu-utils"),
)
POOL = "rbd"
USER = "ganeti"
# Inside the root. Its nodes find configuration and keys where Ceph looks for them by itself.
ETC, STATE = "/etc/ceph", "/var/lib/ceph"
CONF = f"{ETC}/ceph.conf"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# `ceph` is a Python program that takes 0.2 s for each command, and 300 s for a dead monitor.
_COMMANDS = """
import json, rados, sys
with rados.Rados(conffile=sys.argv[1], rados_id="admin") as cluster:
    for command, data in json.load(sys.stdin):
        code, _, words = cluster.mon_command(json.dumps(command), data.encode(), timeout=20)
        if code:
            sys.exit(f"{command}: {code}: {words}")
"""


class Ceph:
    """A Ceph under the directory `place`, at `address` of a network namespace (None: this machine's own network)."""

    def __init__(
        self,
        place: Path,
        *,
        address: str = "127.0.0.1",
        namespace: str | None = None,
        store: str = "bluestore",
        osds: int = 1,
        manager: bool = False,
    ) -> None:
        self.place = place
        self.root = place / "root"
        self.address = address
        self.namespace = namespace
        self.store = store
        self.osds = osds
        self.manager = manager

    def up(self) -> None:
        """Start what does not run; returns when the pool takes reads and writes."""
        below = layer.lower("ceph", PACKAGES)
        with step(f"Starting Ceph ({self.osds} OSD, {self.store})"):
            self._mount(below)
            if not (self.root / CONF[1:]).exists():
                self._configure()
            self.start("mon", "a")
            self._register()
            for number in range(self.osds):
                self._format(number)
                self.start("osd", str(number))
            if self.manager:
                self.start("mgr", "x")
            # Waits until the placement groups are active.
            self.run("rbd", "pool", "init", POOL, timeout=60)

    def down(self) -> None:
        """End everything and forget all data. Safe to repeat, and after any crash."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until("processes of Ceph end", lambda: not self.pids(), 20)
        for mount in reversed(self._mounts()):
            run(["umount", "--lazy", mount])
        shutil.rmtree(self.place, ignore_errors=True)

    def enter(self, *argv: str, env: Mapping[str, str] | None = None) -> list[str]:
        """The command line that runs a program in the root, with nothing in its environment but `env` and PATH."""
        words = [f"{key}={value}" for key, value in {"PATH": _PATH, "HOME": "/root", **(env or {})}.items()]
        return self.inside("env", "-i", *words, *argv)

    def inside(self, *argv: str) -> list[str]:
        """The command line that runs a program in the root, in the environment of whoever runs it."""
        inside = ["chroot", str(self.root), *argv]
        # Not `ip netns exec`, which mounts a /sys of its own at each call.
        return ["nsenter", f"--net=/run/netns/{self.namespace}", *inside] if self.namespace else inside

    def run(self, *argv: str, stdin: str = "", timeout: float = 30, env: Mapping[str, str] | None = None) -> str:
        """Run a program in the root as Ceph's administrator, and return its stdout; CommandError has its words."""
        return run(self.enter(*argv, env=env), stdin=stdin, timeout=timeout)

    def start(self, kind: str, name: str) -> None:
        """Start a daemon if it does not run; it has forked to the background when this returns."""
        if not self.pids(kind, name):
            self.run(f"ceph-{kind}", "-i", name)

    def stop(self, kind: str, name: str, how: signal.Signals = signal.SIGTERM) -> None:
        """End a daemon, and wait for its end."""
        for pid in self.pids(kind, name):
            with contextlib.suppress(ProcessLookupError):
                end = os.pidfd_open(pid)
                try:
                    signal.pidfd_send_signal(end, how)
                    if not select.select([end], [], [], 30)[0]:
                        raise TimeoutError(f"ceph-{kind} {name} (process {pid}) has not ended after 30 s")
                finally:
                    os.close(end)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """No daemon does anything meanwhile, as if the network were gone."""
        pids = self.pids("mon") + self.pids("osd")
        try:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def pids(self, kind: str = "", name: str = "") -> list[int]:
        """Processes in the root, or those of one kind of daemon, or of one."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(process / "root") != str(self.root):
                    continue
                words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if not kind or (words[0].endswith(f"ceph-{kind}") and (not name or words[1:3] == ["-i", name])):
                found.append(int(process.name))
        return found

    def _mount(self, below: str) -> None:
        mounts = self._mounts()
        if str(self.root) not in mounts:
            for part in ("root", "upper", "work"):
                (self.place / part).mkdir(parents=True, exist_ok=True)
            layers = f"lowerdir={below},upperdir={self.place}/upper,workdir={self.place}/work"
            run(["mount", "-t", "overlay", "overlay", "-o", layers, str(self.root)])
        if f"{self.root}/proc" not in mounts:
            run(["mount", "-t", "proc", "proc", f"{self.root}/proc"])
        for source, target in (("/dev", f"{self.root}/dev"), (str(ROOT), f"{self.root}{layer.HERE}")):
            if target not in mounts:
                Path(target).mkdir(parents=True, exist_ok=True)
                run(["mount", "--rbind", "--make-rslave", source, target])

    def _mounts(self) -> list[str]:
        """Mounts under our directory, in the order in which they were made."""
        table = Path("/proc/self/mountinfo").read_text().splitlines()
        return [point for line in table if (point := line.split()[4]).startswith(f"{self.place}/")]

    def _configure(self) -> None:
        """Configuration, keys and the monitor's first database; the configuration comes last and says it is done."""
        shutil.rmtree(self.root / STATE[1:], ignore_errors=True)
        for folder in (ETC, f"{STATE}/mon", f"{STATE}/mgr", f"{STATE}/run", f"{STATE}/log"):
            (self.root / folder[1:]).mkdir(parents=True, exist_ok=True)
        cluster = str(uuid.uuid4())
        text = cephconf.text(cluster, self.address, self.store)
        names = ["mon.", "client.admin", "mgr.x", f"client.{USER}", *(f"osd.{number}" for number in range(self.osds))]
        keyring = cephconf.keyring(names, POOL)
        for path, content in ((f"{ETC}/draft.conf", text), (f"{ETC}/keyring", keyring)):
            with open(os.open(self.root / path[1:], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(content)
        where = ("--conf", f"{ETC}/draft.conf")
        monitor = f"[v2:{self.address}:{cephconf.PORT},v1:{self.address}:{cephconf.PORT + 1}]"
        self.run("monmaptool", "--create", "--clobber", "--fsid", cluster, "--addv", "a", monitor, f"{ETC}/monmap")
        self.run("ceph-mon", *where, "--mkfs", "-i", "a", "--monmap", f"{ETC}/monmap", "--keyring", f"{ETC}/keyring")
        (self.root / ETC[1:] / "draft.conf").rename(self.root / CONF[1:])

    def _register(self) -> None:
        """Make OSDs and the pool known; what is known already stays."""
        commands: list[tuple[dict[str, object], str]] = [
            ({"prefix": "osd new", "uuid": self._identity(number), "id": number}, "{}") for number in range(self.osds)
        ]
        size = {"pg_num": 8, "pgp_num": 8, "size": 1, "yes_i_really_mean_it": True}
        commands.append(({"prefix": "osd pool create", "pool": POOL, "pool_type": "replicated", **size}, ""))
        commands.append(({"prefix": "osd pool application enable", "pool": POOL, "app": "rbd"}, ""))
        self.run("python3", "-c", _COMMANDS, CONF, stdin=json.dumps(commands), timeout=60)

    def _identity(self, number: int) -> str:
        file = self.root / STATE[1:] / f"osd-{number}.uuid"
        if not file.exists():
            file.write_text(str(uuid.uuid4()))
        return file.read_text()

    def _format(self, number: int) -> None:
        folder = self.root / STATE[1:] / f"osd/{number}"
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self.run("ceph-osd", "-i", str(number), "--mkfs", "--osd-uuid", self._identity(number))
