"""One node: a Debian system under systemd-nspawn on an overlay of the base."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ganeti_ext.command import run
from ganeti_ext.errors import CommandError
from lab import RUN, STATE, cgroup, wires
from lab.step import until

DEBS = "/srv/debs"
SHARED = "/srv/ganeti-ext"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Node:
    """Node `number` (from 1), called node<number>.lab."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = f"node{number}.lab"
        self.machine = f"lab-node{number}"
        self.address = wires.address(number)
        self.folder = STATE / f"node{number}"
        self.root = self.folder / "root"
        self._pidfile = RUN / f"node{number}.pid"

    def start(self, base: str, hosts: str) -> None:
        """Boot from a new disk; returns when systemd has reached its target or says what failed."""
        for part in ("upper", "work", "root"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        overlay = f"lowerdir={base},upperdir={self.folder}/upper,workdir={self.folder}/work"
        run(["mount", "-t", "overlay", "overlay", "-o", overlay, str(self.root)])
        (self.root / "etc/hosts").write_text(hosts)
        (self.root / "etc/hostname").write_text(f"{self.name}\n")
        (self.root / "etc/machine-id").write_text("")
        self.boot()

    def boot(self) -> None:
        """Boot from the disk as it is."""
        with (self.folder / "boot.log").open("wb") as log:
            nspawn = subprocess.Popen(
                cgroup.command(self.machine, self._command()),
                env={"PATH": _PATH, "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network", **cgroup.environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._pidfile.write_text(str(nspawn.pid))
        until(f"{self.name} starts", self.leader, 20)
        until(f"systemd of {self.name} is up", self._booted, 60)

    def _command(self) -> list[str]:
        devices = ["/dev/net/tun", "/dev/fuse", "/dev/loop-control"]
        devices += ["/dev/kvm"] if os.path.exists("/dev/kvm") else []
        return [
            "systemd-nspawn",
            f"--directory={self.root}",
            f"--machine={self.machine}",
            f"--hostname={self.name}",
            "--boot",
            f"--network-namespace-path=/run/netns/{wires.namespace(self.number)}",
            "--capability=all",
            "--register=no",
            "--keep-unit",
            "--resolv-conf=off",
            "--console=pipe",
            *(f"--bind={device}" for device in devices),
            f"--bind={STATE}/shared:{SHARED}",
            f"--bind-ro={STATE}/debs:{DEBS}",
        ]

    def leader(self) -> int | None:
        """The pid of the node's own pid 1, as the host sees it; None when it does not run."""
        try:
            nspawn = int(self._pidfile.read_text())
            if b"systemd-nspawn" not in Path(f"/proc/{nspawn}/cmdline").read_bytes():
                return None
            children = Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split()
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return None
        return int(children[0]) if children else None

    def processes(self) -> list[int]:
        """The pids, as the host sees them, of all that runs in the node; its pid 1 last."""
        leader = self.leader()
        if leader is None:
            return []
        inside = os.readlink(f"/proc/{leader}/ns/pid")
        found = []
        for name in os.listdir("/proc"):
            with contextlib.suppress(OSError):  # not a process, or gone meanwhile
                if name.isdecimal() and os.readlink(f"/proc/{name}/ns/pid") == inside:
                    found.append(int(name))
        return sorted(found, key=lambda pid: (pid == leader, pid))

    def run(self, *argv: str, stdin: str = "", timeout: float = 120, env: Mapping[str, str] | None = None) -> str:
        """Run a program in the node and return its stdout; CommandError carries its words."""
        return run(self.enter(*argv, env=env), stdin=stdin, timeout=timeout)

    def enter(self, *argv: str, env: Mapping[str, str] | None = None) -> list[str]:
        """The command line that runs a program in the node."""
        leader = self.leader()
        if leader is None:
            raise CommandError(f"{self.name} does not run; start the lab with: make lab-up")
        settings = {"PATH": _PATH, "HOME": "/root", "LANG": "C.UTF-8", "TERM": os.environ.get("TERM", "dumb")}
        settings |= env or {}
        words = [f"{key}={value}" for key, value in settings.items()]
        return ["nsenter", "-t", str(leader), "-m", "-u", "-i", "-n", "-p", "env", "-i", "--chdir=/root", *words, *argv]

    def write(self, path: str, text: str, mode: str = "644") -> None:
        """Put a file into the node; its content does not show in a process list."""
        self.run("install", "-D", f"--mode={mode}", "/dev/stdin", path, stdin=text)

    def read(self, path: str) -> str:
        return self.run("cat", path)

    def listing(self, path: str) -> list[str]:
        """Names in a directory; none when there is no such directory."""
        try:
            return sorted(self.run("ls", "-A", path).split())
        except CommandError:
            return []

    def stop(self) -> None:
        """Halt the node as its own systemd would, or by force; unmount and forget it. Safe to repeat."""
        leader = self.leader()
        if leader is not None:
            os.kill(leader, signal.SIGRTMIN + 4)  # systemd: power off
            with contextlib.suppress(TimeoutError):
                until(f"{self.name} stops", lambda: self.leader() is None, 20)
        if (leader := self.leader()) is not None:
            os.kill(leader, signal.SIGKILL)
            until(f"{self.name} is gone", lambda: self.leader() is None, 10)
        self._pidfile.unlink(missing_ok=True)

    def crash(self) -> None:
        """End the node as a loss of power does: nothing runs any more, its disk stays as it is."""
        leader = self.leader()
        if leader is not None:
            os.kill(leader, signal.SIGKILL)
            until(f"{self.name} is gone", lambda: self.leader() is None, 20)

    def _booted(self) -> bool:
        # The exit code is only 0 for "running"; a failed unit is for those to report who need it.
        try:
            state = self.run("sh", "-c", "systemctl is-system-running --wait; true", timeout=60).strip()
        except CommandError:  # nspawn's first child is there for a moment only
            return False
        return state in ("running", "degraded")
