"""A host that serves: two bridges with an uplink each, routed taps, and nfdhcpd as its unit runs it."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from scapy.layers.l2 import Ether
from scapy.packet import Packet

from ganeti_ext import binding
from lab import base, layer
from tests.contract import nfdhcpd_frames as frames
from tests.contract.kvm_ifup_node import Tap
from tests.lab.clients.box import PATIENCE, Box, Program

DAEMON = f"{layer.HERE}/nfdhcpd/nfdhcpd"
CONFIG = "/etc/ganeti-ext/nfdhcpd.conf"
QUEUE4, QUEUE6 = 42, 43
# As the unit: no user of note, two capabilities.
_USER = (
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"),
    *(f"--{kind}=-all,+net_admin,+net_raw" for kind in ("inh-caps", "ambient-caps", "bounding-set")),
)
_TOO_MANY = f"""
import sys; sys.path.insert(0, {layer.HERE!r})
from nfdhcpd import divert, settings
for tap, packets in divert.dropped(settings.load({CONFIG!r})).items(): print(tap, packets)
"""


class Counts(NamedTuple):
    """One queue: packets that were dropped for want of room, that came in at all, and that wait."""

    dropped: int
    came: int
    waiting: int


class Guest(Tap):
    """The guest's end of a tap. Its MAC and address follow from its number."""

    def __init__(self, name: str, number: int) -> None:
        super().__init__(name)
        self.name, self.mac, self.ip = name, f"52:54:00:00:77:{number:02x}", f"10.0.1.{number}"
        self._discover = frames.discover(self.mac)

    def expect(self, check: Callable[[Packet], bool]) -> Packet:
        """Wait for such a frame; others are passed over."""
        end = time.monotonic() + PATIENCE
        while not check(packet := Ether(self._next(end))):
            pass
        return packet

    def asks(self, xid: int = 1) -> str:
        """The address that it is offered."""
        self.send(frames.with_xid(self._discover, xid))
        while not frames.is_offer(frame := self._next(time.monotonic() + PATIENCE), xid):
            pass
        return frames.offered(frame)

    def _next(self, end: float) -> bytes:
        assert select.select([self._fd], [], [], max(0, end - time.monotonic()))[0], f"{self.name}: no answer"
        return os.read(self._fd, 65536)

    def among(self, seen: list[bytes]) -> list[bytes]:
        """Those of the frames that are of this guest, in header or payload."""
        return [frame for frame in seen if frames.packed(self.mac) in frame]


class Node(Box):
    """`wire` and `wire1` are what the uplinks of br0 and br1 see; `general` goes into that section of the settings.

    A witness is a port of br0 without a binding: what it asks goes out, behind all that has been asked before.
    """

    def __init__(self, **general: object) -> None:
        super().__init__("node", base.root())
        self.daemon: Program | None = None
        self._number = 10
        self._guests: list[Guest] = []
        self.run("sysctl", "-q", "-w", *(f"net.ipv4.{key}" for key in ("ip_forward=1", "conf.default.rp_filter=0")))
        self.run("sysctl", "-q", "-w", "net.ipv4.conf.all.rp_filter=0", "net.ipv6.conf.all.forwarding=1")
        for bridge in ("br0", "br1"):
            self.ip(f"link add {bridge} address {frames.ROUTER_MAC} type bridge mcast_snooping 0")
            self.ip(f"link set {bridge} up")
        self.ip(
            *("address add 10.0.1.1/24 dev br0", "address add 2001:db8:1::1/64 dev br0 nodad"),
            *("neighbour add 10.0.1.254 lladdr 02:00:00:00:00:fe dev br0", "route add default via 10.0.1.254"),
            *("neighbour add fe80::fe lladdr 02:00:00:00:00:fe dev br0", "route add ::/0 via fe80::fe dev br0"),
        )
        self.wire, self.wire1 = self.port("eth0"), self.port("eth1", "br1")
        self._witness = self.port("tap99")
        self.path(binding.DIRECTORY).mkdir(parents=True)
        self.write(CONFIG, "[general]\n" + "".join(f"{key} = {value}\n" for key, value in general.items()))

    def port(self, name: str, bridge: str = "br0", number: int = 0) -> Guest:
        """A tap on a bridge."""
        guest = self._tap(name, number)
        self.ip(f"link set {name} master {bridge} up")
        return guest

    def routed(self, name: str) -> Guest:
        """A tap that the host routes for."""
        guest = self._tap(name)
        self.ip(f"link set {name} address {frames.ROUTER_MAC} up", f"address add fe80::1/64 dev {name} nodad")
        return guest

    def bind(self, guest: Guest, **terms: Any) -> None:
        """Leave the guest's binding, as the interface script does."""
        usual = binding.Binding(
            tap=guest.name,
            mac=guest.mac,
            hostname=guest.name,
            ip=guest.ip,
            subnet="10.0.1.0/24",
            gateway="10.0.1.1",
            subnet6="2001:db8:1::/64",
            gateway6="fe80::1",
            ifindex=self.index(guest),
        )
        binding.write(usual._replace(**terms), str(self.path(binding.DIRECTORY)))

    def index(self, guest: Guest) -> int:
        with self.network():
            return socket.if_nametoindex(guest.name)

    def divert(self, action: str = "--divert") -> None:
        self.run(DAEMON, "--config", CONFIG, action)

    def serve(self) -> Program:
        """Start the daemon; it is ready then."""
        notify = self.path("/run/notify")
        notify.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(str(notify))
            notify.chmod(0o777)
            ready.settimeout(PATIENCE)
            self.daemon = self.start(*_USER, DAEMON, "--config", CONFIG, env=("NOTIFY_SOCKET=/run/notify",))
            try:
                while b"READY=1" not in ready.recv(4096):
                    pass
            except TimeoutError:
                self.daemon.stop()
                raise AssertionError(f"nfdhcpd is not ready: {self.daemon.told}") from None
        return self.daemon

    def kill(self) -> None:
        """Kill the daemon, at once."""
        assert self.daemon is not None
        self.daemon.signal(signal.SIGKILL)
        self.daemon.ends()

    def thaw(self) -> None:
        """Let a daemon go on that was stopped: nsenter stops when its child does, and has to go on, too."""
        assert self.daemon is not None
        self.daemon.signal(signal.SIGCONT)
        self.daemon._process.send_signal(signal.SIGCONT)

    def queue(self, number: int) -> Counts:
        """The kernel's counters of a queue, which is there while somebody listens (nfnetlink_queue.c, seq_show)."""
        for line in Path(f"/proc/{self.pid}/net/netfilter/nfnetlink_queue").read_text().splitlines():
            found, _, waiting, _, _, full, unread, came, _ = map(int, line.split())
            if found == number:
                return Counts(full + unread, came, waiting)
        raise AssertionError(f"queue {number}: nobody listens")

    def left(self) -> list[bytes]:
        """What went out, once all that was asked before has its verdict: the witness's questions came out behind it."""
        asked = [frames.discover(self._witness.mac), frames.solicit(self._witness.mac)]
        for frame in asked:
            self._witness.send(frame)
        seen: list[bytes] = []
        while not all(frame in seen for frame in asked):
            assert select.select([self.wire._fd], [], [], PATIENCE)[0], "the witness was not heard"
            seen += self.wire.received()
        return seen

    def came(self) -> int:
        """Packets that came to the queues."""
        return self.queue(QUEUE4).came + self.queue(QUEUE6).came

    def fate(self, guest: Guest, frame: bytes) -> tuple[int, bool]:
        """Packets that a guest's frame brings to the daemon, and whether any of it leaves by the uplink."""
        before = self.came()
        guest.send(frame)
        out = bool(guest.among(self.left()))
        return self.came() - before - 2, out  # less those of the witness

    def too_many(self) -> dict[str, int]:
        """Packets that the limit dropped, by tap."""
        told = self.run("/usr/bin/python3", "-c", _TOO_MANY)
        return {tap: int(packets) for tap, packets in (line.split() for line in told.splitlines())}

    def memory(self) -> int:
        """The daemon's resident memory in bytes."""
        assert self.daemon is not None
        status = Path(f"/proc/{self.daemon._pid()}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) << 10

    def _tap(self, name: str, number: int = 0) -> Guest:
        self._number += 1
        with self.network():
            self._guests.append(Guest(name, number or self._number))
        return self._guests[-1]

    def close(self) -> None:
        for guest in self._guests:
            guest.close()
        super().close()
