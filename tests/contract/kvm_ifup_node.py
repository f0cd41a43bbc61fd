"""A node for kvm_ifup's tests: network and mount namespaces of its own, and taps whose guest is the test."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.contract.network_namespace import inside

ROOT = Path(os.environ.get("GANETI_EXT_ROOT", Path(__file__).parents[2]))
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
PATIENCE = 20

_SETUP = """set -e
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
if [ "$1" ]; then mount --bind "$1" /var/lib; else mount -t tmpfs tmpfs /var/lib; fi
mkdir -p /var/lib/nfdhcpd
mkdir /run/etc /run/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/work /etc
rm -rf /etc/ganeti-ext
mkdir /etc/ganeti-ext
ip link add br0 address 02:00:00:00:00:b0 type bridge mcast_snooping 0
ip link set br0 mtu 1400 up
# Else conntrack holds a lone fragment back; profiles have tests of their own.
for family in ip ip6; do echo 0 > /proc/sys/net/bridge/bridge-nf-call-${family}tables; done
echo ready
exec cat"""

_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 2, 0x1000


class Node:
    """`run` runs a program inside, `tap` makes a tap inside. `lib` is its /var/lib, if that outlives it."""

    def __init__(self, lib: Path | None = None) -> None:
        unshare = ["unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", _SETUP, "sh", str(lib or "")]
        self._init = subprocess.Popen(unshare, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._init.stdout is not None
        assert self._init.stdout.readline() == "ready\n"
        self._reapers: list[Reaper] = []
        self._taps: list[Tap] = []
        self.pid = self._init.pid
        self._enter = ["nsenter", f"--target={self.pid}", "--mount", "--net", "--wd=/"]

    def close(self) -> None:
        """End what runs inside, whatever became of the test."""
        for reaper in self._reapers:
            reaper.close()
        for tap in self._taps:
            tap.close()
        self._init.communicate()

    def run(self, *argv: str | Path, stdin: str = "") -> str:
        return subprocess.run(
            [*self._enter, *argv], input=stdin, capture_output=True, text=True, timeout=PATIENCE, check=True
        ).stdout

    def kvm_ifup(self, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run the script as Ganeti does."""
        return self.script(SCRIPT.name, env)

    def script(self, name: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run one of our scripts with this environment alone."""
        process = self.start(name, env)
        try:
            said, complained = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
        return subprocess.CompletedProcess(name, process.returncode, said, complained)

    def start(self, name: str, env: dict[str, str]) -> subprocess.Popen[str]:
        """Start one of our scripts; its pid is the script's own."""
        return subprocess.Popen(
            [*self._enter, "env", "-i", *(f"{key}={value}" for key, value in env.items()), SCRIPT.with_name(name)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def reaper(self) -> Reaper:
        self._reapers.append(Reaper(self._enter))
        return self._reapers[-1]

    def tap(self, name: str) -> Tap:
        """Make a tap as Ganeti does; the result is its guest's side."""
        with self.inside():
            self._taps.append(Tap(name))
        return self._taps[-1]

    def file(self, path: str) -> Path:
        """A path inside, seen from outside."""
        return Path(f"/proc/{self.pid}/root{path}")

    def write(self, path: str, text: str) -> None:
        self.run("tee", path, stdin=text)

    def inside(self) -> AbstractContextManager[None]:
        """Within the block, sockets and interfaces that this thread makes are of this node."""
        return inside(self.pid)


class Tap:
    """A tap, from the guest's end. A frame that is sent has passed through the bridge when `send` returns."""

    def __init__(self, name: str) -> None:
        self._fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self._fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))

    def close(self) -> None:
        """The tap vanishes, as it does when QEMU ends. Twice is as once."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def send(self, frame: bytes) -> None:
        os.write(self._fd, frame)

    def received(self) -> list[bytes]:
        """What waits to be received."""
        frames = []
        with contextlib.suppress(BlockingIOError):
            while True:
                frames.append(os.read(self._fd, 65536))
        return frames


class Reaper:
    """The daemon, running: made when it says that it is ready."""

    def __init__(self, enter: list[str]) -> None:
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(f"{folder}/notify")
            ready.settimeout(PATIENCE)
            env = [f"PATH={PATH}", f"NOTIFY_SOCKET={folder}/notify"]
            argv = [*enter, "env", "-i", *env, str(ROOT / "kvm_ifup" / "ganeti-ext-reaper")]
            self._process = subprocess.Popen(argv, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
            assert ready.recv(64) == b"READY=1"
        self.told = ""
        self._at = 0

    def says(self, words: str) -> None:
        """Wait for these words in its log, behind those found before."""
        self.until(lambda: words in self.told[self._at :], words)
        self._at = self.told.index(words, self._at) + len(words)

    def until(self, check: Callable[[], bool], what: str) -> None:
        """Wait for a state of affairs that may change whenever it says something."""
        assert self._process.stderr is not None
        while not check():
            ready, _, _ = select.select([self._process.stderr], [], [], PATIENCE)
            chunk = os.read(self._process.stderr.fileno(), 65536) if ready else b""
            assert chunk, f"expected {what!r}, the log says {self.told[self._at :]!r}"
            self.told += chunk.decode()

    def heard(self) -> str:
        """All that it has said so far."""
        assert self._process.stderr is not None
        while select.select([self._process.stderr], [], [], 0)[0]:
            chunk = os.read(self._process.stderr.fileno(), 65536)
            if not chunk:
                break
            self.told += chunk.decode()
        return self.told

    def hang_up(self) -> None:
        self._process.send_signal(signal.SIGHUP)

    def close(self) -> int:
        """End it, if it still runs; the exit code."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.communicate(timeout=PATIENCE)
        return self._process.returncode

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=PATIENCE)


SCRIPT = ROOT / "kvm_ifup" / "kvm-vif-bridge"


def missing() -> str:
    """Why there can be no node here, or nothing."""
    if os.geteuid() != 0:
        return "needs root"
    if not shutil.which("nft"):
        return "needs nft (package nftables)"
    if not os.path.exists("/dev/net/tun"):
        return "needs /dev/net/tun"
    return ""


needs_node = pytest.mark.skipif(bool(missing()), reason=missing())
