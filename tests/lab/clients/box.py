"""A Debian 13 root in namespaces of its own: whatever is mounted, made or started in it is gone when it closes."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import os
import re
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ganeti_ext import command
from lab import ROOT, base, layer

PATIENCE = 20.0  # seconds until what was expected is a failure
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PACKAGES = (
    *("udhcpc", "busybox-static", "isc-dhcp-client", "dhcpcd-base", "network-manager", "wide-dhcpv6-client"),
    *("ndisc6", "tshark", "ethtool", "ovmf"),
)

# Pid 1 leaves the dead to the kernel (SIGCHLD ignored) and ends, with all others, when the test's end of the pipe does.
_INIT = """set -e
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o "lowerdir=$1,upperdir=/mnt/upper,workdir=/mnt/work" /mnt/root
cd /mnt/root
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mkdir -p ".$3" tmp/host
mount --bind -o ro "$2" ".$3"
rm -f etc/resolv.conf etc/hostname
pivot_root . tmp/host
umount --lazy /tmp/host
ip link set lo up
trap '' CHLD
echo ready
exec cat"""

_CLONE_NEWNET = 0x40000000
_F_SETPIPE_SZ = 1031
_libc = ctypes.CDLL(None, use_errno=True)


class Program:
    """A program that runs in a box; `told` is what it has said so far, on stdout and stderr."""

    def __init__(self, name: str, argv: list[str]) -> None:
        self.name = name
        self._process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        assert self._process.stdout is not None
        self._out = self._process.stdout
        # What nobody reads must not stop the program.
        fcntl.fcntl(self._out, _F_SETPIPE_SZ, 1 << 20)
        os.set_blocking(self._out.fileno(), False)
        self.told = ""
        self._at = 0

    def says(self, pattern: str, patience: float = PATIENCE) -> re.Match[str]:
        """Wait for a line in which the pattern is found, behind the one found before."""
        end = time.monotonic() + patience
        while not (found := re.compile(pattern, re.MULTILINE).search(self.told, self._at)):
            if not self._read(end - time.monotonic()):
                raise AssertionError(f"{self.name}: {pattern!r} was expected, it said:\n{self.told[self._at :]}")
        self._at = found.end()
        return found

    def everything(self) -> str:
        """All that it has said so far."""
        while self._read(0):
            pass
        return self.told

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program, not to the nsenter that it is a child of."""
        os.kill(self._pid(), number)

    def go_on(self) -> None:
        """After SIGSTOP and SIGCONT to the program: its nsenter has stopped itself then, and would see no end."""
        self._process.send_signal(signal.SIGCONT)

    def follow(self) -> None:
        """Let the nsenter go on, which stops with its child and would never hear of its end."""
        self._process.send_signal(signal.SIGCONT)

    def ends(self, patience: float = PATIENCE) -> int:
        """Wait for its end; its exit code."""
        return self._process.wait(patience)

    def stop(self) -> None:
        """End it if it has not ended."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.signal(signal.SIGTERM)
            self.ends()

    def _pid(self) -> int:
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        end = time.monotonic() + PATIENCE
        while not (pids := children.read_text().split()):
            assert time.monotonic() < end, f"{self.name}: not started"
            time.sleep(0.01)  # nsenter forks in no time, but tells nobody
        return int(pids[0])

    def _read(self, wait: float) -> bool:
        """Take in what it says within so many seconds; whether there was anything."""
        if wait < 0 or not select.select([self._out], [], [], wait)[0]:
            return False
        chunk = os.read(self._out.fileno(), 1 << 16)
        self.told += chunk.decode(errors="backslashreplace")
        return bool(chunk)


@functools.cache
def _compile() -> None:
    """The checkout is read-only in a box: each start of each script would compile its modules anew."""
    folders = [f"{layer.HERE}/{path.parent.name}" for path in ROOT.glob("*/__init__.py")]
    with tempfile.TemporaryDirectory() as place, layer.mounted(base.root(), Path(place) / "box") as root:
        command.run(["chroot", str(root), "python3", "-m", "compileall", "-q", *folders], timeout=300)


class Box:
    """One root with namespaces for mounts, network, processes, host name; `network=False`: on the host's network."""

    def __init__(self, name: str, lowerdir: str, *, network: bool = True) -> None:
        _compile()
        self.name = name
        self.programs: list[Program] = []
        own = ["--mount", "--pid", "--uts", "--ipc", *(["--net"] if network else [])]
        unshare = ["unshare", *own, "--fork", "--kill-child", "--propagation"]
        self._init = subprocess.Popen(
            [*unshare, "private", "sh", "-c", _INIT, "sh", lowerdir, str(ROOT), layer.HERE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._init.stdout is not None
        assert self._init.stdout.readline() == "ready\n", f"{name}: no root"
        self.pid = int(Path(f"/proc/{self._init.pid}/task/{self._init.pid}/children").read_text())
        self.run("hostname", name)

    def close(self) -> None:
        """End what runs inside; mounts and namespaces go with the last process."""
        assert self._init.stdin is not None
        self._init.stdin.close()
        self._init.wait(PATIENCE)

    def run(self, *argv: str, stdin: str = "", patience: float = PATIENCE) -> str:
        """Run a program to its end, as root with a bare environment; its stdout."""
        return command.run(self._enter(argv), stdin=stdin, timeout=patience)

    def start(self, *argv: str, env: tuple[str, ...] = ()) -> Program:
        """Start a program, which runs until it ends, is stopped or the box closes."""
        self.programs.append(Program(f"{argv[0]} in {self.name}", self._enter(argv, env)))
        return self.programs[-1]

    def path(self, name: str) -> Path:
        """A file inside, seen from outside."""
        return Path(f"/proc/{self.pid}/root{name}")

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def ip(self, *lines: str) -> None:
        """Lines for ip(8), of the host: it sees all processes, so a line may name another box's by pid."""
        self._batch("ip", lines)

    def tc(self, *lines: str) -> None:
        """Lines for tc(8)."""
        self._batch("tc", lines)

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """Within the block, sockets that this thread makes are of this box's network."""
        with open("/proc/thread-self/ns/net", "rb") as home, open(f"/proc/{self.pid}/ns/net", "rb") as there:
            assert _libc.setns(there.fileno(), _CLONE_NEWNET) == 0
            try:
                yield
            finally:
                assert _libc.setns(home.fileno(), _CLONE_NEWNET) == 0

    def _enter(self, argv: tuple[str, ...], env: tuple[str, ...] = ()) -> list[str]:
        namespaces = ["--mount", "--net", "--pid", "--uts", "--ipc", "--root", "--wdns=/"]
        words = [f"PATH={PATH}", "HOME=/root", "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1", *env]
        return ["nsenter", f"--target={self.pid}", *namespaces, "--", "env", "-i", *words, *argv]

    def _batch(self, tool: str, lines: tuple[str, ...]) -> None:
        enter = ["nsenter", f"--target={self.pid}", "--net", tool, "-batch", "-"]
        command.run(enter, stdin="\n".join(lines) + "\n")
