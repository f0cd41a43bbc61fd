"""Machines with a kernel's network of their own: guests behind a tap, a router behind an uplink."""

from __future__ import annotations

import contextlib
import ctypes
import select
import socket
import subprocess
from collections.abc import Callable, Iterator

from tests.contract.kvm_ifup_node import PATIENCE, Node

LINK, NEIGHBOURS = 0x1, 0x4  # RTMGRP_*, rtnetlink(7)
_CLONE_NEWNET = 0x40000000
# Without duplicate address detection: no test has to wait for its end.
_SETUP = """set -e
for key in accept_dad accept_ra; do echo 0 > /proc/sys/net/ipv6/conf/default/$key; done
ip link set lo up
echo ready
exec cat"""


class Machine:
    """A network namespace, until it is closed."""

    def __init__(self) -> None:
        argv = ["unshare", "--net", "sh", "-c", _SETUP]
        self._init = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._init.stdout is not None
        assert self._init.stdout.readline() == "ready\n"

    def close(self) -> None:
        self._init.communicate()

    def run(self, *argv: str) -> str:
        enter = ["nsenter", f"--target={self._init.pid}", "--net"]
        return subprocess.run([*enter, *argv], capture_output=True, text=True, timeout=PATIENCE, check=True).stdout

    def ip(self, *lines: str) -> None:
        for line in lines:
            self.run("ip", *line.split())

    def joins(self, node: Node, there: str, mac: str) -> None:
        """Lay a cable from our eth0, which is up, to an interface of the node, which is made and is not."""
        peer = ("peer", "eth0", "address", mac, "netns", str(self._init.pid))
        node.run("ip", "link", "add", there, "type", "veth", *peer)
        self.ip("link set eth0 up")

    def hears(self) -> None:
        """Wait until the other end of the cable is up, too."""
        with Changes(self, LINK) as changes:
            changes.until(lambda: "state UP" in self.run("ip", "link", "show", "eth0"))

    def pings(self, address: str, *options: str) -> bool:
        """Whether an address answers, at the latest the third time."""
        ping = ("ping", "-c", "1", "-w", "3", "-q", *options, address)
        enter = ["nsenter", f"--target={self._init.pid}", "--net", *ping]
        return subprocess.run(enter, capture_output=True, timeout=PATIENCE, check=False).returncode == 0

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Within the block, sockets that this thread makes are of this machine."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net", "rb") as home, open(f"/proc/{self._init.pid}/ns/net", "rb") as there:
            assert libc.setns(there.fileno(), _CLONE_NEWNET) == 0
            try:
                yield
            finally:
                assert libc.setns(home.fileno(), _CLONE_NEWNET) == 0


class Changes:
    """The kernel's word that something of these groups changed on a machine."""

    def __init__(self, machine: Machine, groups: int) -> None:
        with machine.inside():
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.bind((0, groups))

    def __enter__(self) -> Changes:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def until(self, check: Callable[[], bool]) -> None:
        while not check():
            assert select.select([self._socket], [], [], PATIENCE)[0], "nothing changed"
            self._socket.recv(1 << 16)
