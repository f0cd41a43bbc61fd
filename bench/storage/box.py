"""A cluster of one node, for real: Ganeti's daemons in namespaces of their own, guests that only pretend."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench.root import PATH
from ganeti_ext.command import run

NAME, ADDRESS = "node1.example.org", "10.0.0.1"
OS = "/srv/ganeti/os"
FILES = "/srv/xfs/file"  # disks of the template `file`
_HOSTS = f"127.0.0.1 localhost\n{ADDRESS} {NAME} node1\n10.0.0.9 cluster.example.org\n"
_INIT = (
    *("gnt-cluster", "init", "--no-ssh-init", "--no-etc-hosts", "--enabled-disk-templates=diskless,ext,file"),
    f"--file-storage-dir={FILES}",
    *("--enabled-hypervisors=fake", "--master-netdev=eth0", "--nic-parameters=link=eth0", "cluster.example.org"),
)
# Pid 1 leaves the dead to the kernel (SIGCHLD ignored), and ends with our end of the pipe, and all others with it.
_FIRST = """set -e
hostname "$2"
mount -t sysfs sysfs "$1/sys"
ip link set lo up
ip link add eth0 type bridge
ip address add "$3/24" dev eth0
ip link set eth0 up
mount -t proc proc "$1/proc"
trap '' CHLD
echo ready
exec cat"""


class Box:
    """A root with namespaces for network, processes, mounts and the host's name."""

    def __init__(self, root: Path) -> None:
        self.root = root
        unshare = ["unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child"]
        self._first = subprocess.Popen(
            [*unshare, "sh", "-c", _FIRST, "sh", str(root), NAME, ADDRESS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._first.stdout is not None
        if self._first.stdout.readline() != "ready\n":
            raise ChildProcessError(f"no namespaces for {root}: exit code {self._first.wait()}")
        self._pid = int(Path(f"/proc/{self._first.pid}/task/{self._first.pid}/children").read_text())

    def run(self, *argv: str, stdin: str = "", timeout: float = 60) -> str:
        """A program inside; its stdout."""
        return run(self.enter(*argv), stdin=stdin, timeout=timeout)

    def enter(self, *argv: str) -> list[str]:
        """A command line that runs inside."""
        enter = ["nsenter", f"--target={self._pid}", "--mount", "--net", "--pid", "--uts", "--ipc"]
        env = ["env", "-i", f"PATH={PATH}", "HOME=/root", "LC_ALL=C.UTF-8"]
        return [*enter, "chroot", str(self.root), *env, *argv]

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        file = self.root / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def close(self) -> None:
        assert self._first.stdin is not None
        self._first.stdin.close()
        self._first.wait(20)


@contextlib.contextmanager
def cluster(root: Path, create: str) -> Iterator[Box]:
    """Ganeti with the hypervisor `fake`; an OS whose `create` is those lines of a shell, and one that does nothing."""
    box = Box(root)
    try:
        box.write("/etc/hosts", _HOSTS)
        box.run("mkdir", "-p", "/run/lock", "/var/log/ganeti/extstorage", "/var/log/ganeti/os")
        for name, lines in (("none", ""), ("copy", create)):
            for script in ("create", "export", "import", "rename"):
                box.write(f"{OS}/{name}/{script}", f"#!/bin/sh\n{lines if script == 'create' else ''}\n", 0o755)
            box.write(f"{OS}/{name}/ganeti_api_version", "10\n")
        box.write("/etc/ganeti/file-storage-paths", f"{FILES}\n")
        box.run("mkdir", FILES)
        box.run(*_INIT)
        yield box
    finally:
        box.close()
