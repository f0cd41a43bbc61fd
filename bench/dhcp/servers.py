"""The servers under measurement, and how each is run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from bench import netns
from bench.dhcp import configs, topology
from bench.dhcp.bench import Bench
from bench.notice import Notice
from bench.process import Process, running
from bench.root import OURS
from ganeti_ext.command import run
from lab.step import until

_DAEMON = [f"{OURS}/nfdhcpd/nfdhcpd", "--config", configs.NFDHCPD]
_BRIDGED = "/proc/sys/net/bridge/bridge-nf-call-iptables"
_NOTIFY = "/run/notify"


class Server(NamedTuple):
    """One kind of server: how its files are written for some guests, and how it is started."""

    name: str
    configure: Callable[[Bench, Sequence[int]], None]
    argv: Sequence[str]
    env: Mapping[str, str] = {}


NFDHCPD = Server("nfdhcpd", configs.nfdhcpd, _DAEMON, {"NOTIFY_SOCKET": _NOTIFY})
DNSMASQ = Server("dnsmasq", configs.dnsmasq, ["dnsmasq", "--keep-in-foreground", f"--conf-file={configs.DNSMASQ}"])
KEA = Server("Kea", configs.kea, ["kea-dhcp4", "-c", configs.KEA])
ALL = (NFDHCPD, DNSMASQ, KEA)


@contextlib.contextmanager
def serving(bench: Bench, server: Server, guests: int, *, wait: bool = True) -> Iterator[Process]:
    """A server of the first guests and the first spare one, ready to answer unless it is not waited for.

    Bridged packets pass iptables for ours alone: the others can do without, and are spared it.
    """
    server.configure(bench, [*range(guests), bench.guests])
    with contextlib.ExitStack() as undo:
        if server is NFDHCPD:
            _rules(bench, "--divert")
            undo.callback(_rules, bench, "--undivert")
        else:
            netns.write(topology.SERVER, _BRIDGED, "0")
        notice = undo.enter_context(Notice(bench.root / _NOTIFY[1:]))
        process = undo.enter_context(running(server.argv, bench.server, bench.log(server.name), server.env))
        if wait:
            ready = notice.came if server is NFDHCPD else lambda: _listens(process)
            until(f"{server.name} is ready", lambda: process.alive() and ready(), 60, 0.02)
        yield process


def lost_in_queue(process: Process) -> int:
    """Packets that the kernel dropped before nfdhcpd had them: full queue, full socket (nfnetlink_queue_attr in
    net/netfilter/nfnetlink_queue.c)."""
    rows = (line.split() for line in process.proc("net/netfilter/nfnetlink_queue").splitlines())
    return sum(int(row[5]) + int(row[6]) for row in rows)


def idle(process: Process) -> None:
    """Wait until a server has done what it was asked, so that the next turn starts fresh."""
    before = [process.cpu()]

    def rests() -> bool:
        now = process.cpu()
        spent, before[0] = now - before[0], now
        return spent < 0.01

    until("the server comes to rest", rests, 30, 0.2)


def _listens(process: Process) -> bool:
    """Whether it has a socket at port 67, which a server opens when its configuration is read."""
    rows = (line.split() for line in process.proc("net/udp").splitlines()[1:])
    return any(row[1].endswith(":0043") for row in rows)


def _rules(bench: Bench, action: str) -> None:
    run(["ip", "netns", "exec", topology.SERVER, "chroot", str(bench.root), *_DAEMON, action])
