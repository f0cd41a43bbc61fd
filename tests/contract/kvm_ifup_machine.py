"""Machines with a kernel's network of their own: guests behind a tap, a router behind an uplink."""

from __future__ import annotations

import subprocess
from contextlib import AbstractContextManager

from tests.contract.kvm_ifup_node import PATIENCE, Node
from tests.contract.network_namespace import Changes, inside

LINK, NEIGHBOURS = 0x1, 0x4  # RTMGRP_*, rtnetlink(7)
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
        self.pid = self._init.pid
        assert self._init.stdout is not None
        assert self._init.stdout.readline() == "ready\n"

    def close(self) -> None:
        self._init.communicate()

    def run(self, *argv: str) -> str:
        enter = ["nsenter", f"--target={self.pid}", "--net"]
        return subprocess.run([*enter, *argv], capture_output=True, text=True, timeout=PATIENCE, check=True).stdout

    def ip(self, *lines: str) -> None:
        for line in lines:
            self.run("ip", *line.split())

    def joins(self, node: Node, there: str, mac: str) -> None:
        """Lay a cable from our eth0, which is up, to an interface of the node, which is made and is not."""
        peer = ("peer", "eth0", "address", mac, "netns", str(self.pid))
        node.run("ip", "link", "add", there, "type", "veth", *peer)
        self.ip("link set eth0 up")

    def hears(self) -> None:
        """Wait until the other end of the cable is up, too."""
        with Changes(self.pid, LINK) as changes:
            changes.until(lambda: "state UP" in self.run("ip", "link", "show", "eth0"))

    def pings(self, address: str, *options: str) -> bool:
        """Whether an address answers, at the latest the third time."""
        ping = ("ping", "-c", "1", "-w", "3", "-q", *options, address)
        enter = ["nsenter", f"--target={self.pid}", "--net", *ping]
        return subprocess.run(enter, capture_output=True, timeout=PATIENCE, check=False).returncode == 0

    def inside(self) -> AbstractContextManager[None]:
        """Within the block, sockets that this thread makes are of this machine."""
        return inside(self.pid)
