"""A node with many taps: a namespace, a Debian 13 root of its own, a worker in both, and two ends to send from.

    bench-ends                      bench-NAME
    g-NAME ────── tap of the last guest ┐
                  taps of all others    ├ br0
    n-NAME ────── uplink ───────────────┘

The others' taps are real ones without a program behind. Of the last guest and the station beyond the uplink the
bridge is told; neither end has their MAC address, and so drops at once what it gets, after counting it.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from bench import netns
from bench.firewall import guests
from bench.remote import Remote
from bench.root import OURS
from ganeti_ext.command import run
from lab import layer

ENDS = "bench-ends"
BRIDGE_MAC = "02:ff:00:00:00:01"

_SOL_PACKET, _PACKET_VNET_HDR = 263, 15
_ONE_QUEUE = "numtxqueues 1 numrxqueues 1"


class Took(NamedTuple):
    """Milliseconds by the clock, and of the processor."""

    wall: float
    cpu: float


class Node:
    """`remote` calls functions inside; a tap whose number is that of `taps` or more is spare."""

    def __init__(self, name: str, taps: int, root: Path) -> None:
        self.name = name
        self.taps = taps
        self.root = root
        self.namespace = f"bench-{name}"
        self.remote = Remote(self.argv("python3", "-m", "bench.firewall.inside"), root / "var/log/inside.log")

    def argv(self, *argv: str) -> list[str]:
        """A command line that runs inside."""
        env = [f"PATH={guests.PATH}", f"PYTHONPATH={OURS}", "LC_ALL=C.UTF-8"]
        return ["nsenter", f"--net=/run/netns/{self.namespace}", "chroot", str(self.root), "env", "-i", *env, *argv]

    def run(self, *argv: str, stdin: str = "") -> str:
        return run(self.argv(*argv), stdin=stdin, timeout=300)

    def timed(self, argv: list[str], env: dict[str, str] | None = None, stdin: str = "") -> Took:
        """A program inside, from its start to its end."""
        return Took(*self.remote.call("timed", argv, env or {"PATH": guests.PATH}, stdin))

    def bridge_nf(self, value: str) -> None:
        """Whether what is bridged is shown to the IP tables."""
        for family in ("ip", "ip6"):
            netns.write(self.namespace, f"/proc/sys/net/bridge/bridge-nf-call-{family}tables", value)


@contextlib.contextmanager
def node(name: str, taps: int, lowerdir: str, place: Path) -> Iterator[Node]:
    """Make one, and take it away."""
    with contextlib.ExitStack() as undo:
        undo.enter_context(netns.namespaces(f"bench-{name}"))
        root = undo.enter_context(layer.mounted(lowerdir, place / name))
        for kind, target in (("tmpfs", "run"), ("sysfs", "sys")):
            run(["nsenter", f"--net=/run/netns/bench-{name}", "mount", "-t", kind, kind, str(root / target)])
            undo.callback(run, ["umount", "--lazy", str(root / target)])
        for directory in ("var/lib/nfdhcpd", "etc/ganeti-ext"):
            (root / directory).mkdir(parents=True)
        _wire(name, taps)
        made = Node(name, taps, root)
        undo.callback(made.remote.close)
        made.bridge_nf("1")
        yield made


def settings(here: Node, backend: str, track: str = "always") -> None:
    """The administrator's choice of a firewall, and of when connections are followed."""
    text = f"[network]\nfirewall = {backend}\ntrack = {track}\n"
    (here.root / "etc/ganeti-ext/network.conf").write_text(text)


def end(name: str, kind: str, *, bulk: bool = False) -> socket.socket:
    """A socket that sends out of the guest's end (`g`) or the station's (`n`), frames as they are or guests.bulk."""
    sock = netns.packet_socket(ENDS, receive=False)
    sock.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, int(bulk))
    sock.bind((f"{kind}-{name}", 0))
    return sock


def received(name: str, kind: str) -> int:
    """Frames that have come to an end."""
    for line in netns.read(ENDS, "/proc/net/dev").splitlines():
        device, _, numbers = line.partition(":")
        if device.strip() == f"{kind}-{name}":
            return int(numbers.split()[1])
    raise LookupError(f"no interface {kind}-{name} in {ENDS}")


def _wire(name: str, taps: int) -> None:
    namespace, last = f"bench-{name}", guests.tap(taps - 1)
    netns.batch(namespace, _links(name, taps))
    netns.batch(ENDS, (f"link set {kind}-{name} up" for kind in "gn"))
    stations = f"fdb replace {guests.STATION} dev uplink master static\n"
    stations += f"fdb replace {guests.mac(taps - 1)} dev {last} master static\n"
    run(["bridge", "-n", namespace, "-batch", "-"], stdin=stations)


def _links(name: str, taps: int) -> Iterable[str]:
    last = guests.tap(taps - 1)
    yield f"link add {guests.BRIDGE} address {BRIDGE_MAC} type bridge mcast_snooping 0"
    for guest in range(taps - 1):
        yield f"tuntap add dev {guests.tap(guest)} mode tap"
    for device, kind in ((last, "g"), ("uplink", "n")):
        yield f"link add {device} {_ONE_QUEUE} type veth peer name {kind}-{name} {_ONE_QUEUE} netns {ENDS}"
    for device in (*map(guests.tap, range(taps)), "uplink"):
        yield f"link set {device} master {guests.BRIDGE} up"
    yield f"link set {guests.BRIDGE} up"
