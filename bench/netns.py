"""Network namespaces, for the length of a `with` block."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from ganeti_ext.command import run
from lab.step import until

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_RUN = Path("/run/netns")


@contextlib.contextmanager
def namespaces(*names: str) -> Iterator[None]:
    """Make them, without IPv6: 5,000 interfaces would talk of it all the time. What an earlier run left goes first."""
    with contextlib.ExitStack() as undo:
        for name in names:
            remove(name)
            undo.callback(remove, name)
            run(["ip", "netns", "add", name])
            for scope in ("all", "default"):
                write(name, f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6", "1")
            batch(name, ["link set lo up"])
        yield


def remove(name: str) -> None:
    """End whatever runs in it, then remove it; done already is well too."""
    if not (_RUN / name).exists():
        return
    for pid in _pids(name):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(f"processes in namespace {name} end", lambda: not _pids(name), 20)
    run(["ip", "netns", "delete", name])


def batch(name: str, lines: Iterable[str]) -> None:
    """Lines for ip(8) in a namespace."""
    run(["ip", "-n", name, "-batch", "-"], stdin="\n".join(lines) + "\n", timeout=300)


def read(name: str, path: str) -> str:
    """A file below /proc as the namespace has it."""
    return run(["ip", "netns", "exec", name, "cat", path])


def write(name: str, path: str, text: str) -> None:
    run(["ip", "netns", "exec", name, "tee", path], stdin=text)


def inside(name: str, make: Callable[[], T]) -> T:
    """Call from within a namespace: a socket stays where it was made."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(_RUN / name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(there)
        finally:
            os.close(there)
        try:
            return make()
        finally:
            _enter(before)
    finally:
        os.close(before)


def udp_overruns(name: str) -> int:
    """Datagrams dropped because a program of the namespace did not read fast enough (UdpRcvbufErrors)."""
    names, values = (line.split() for line in read(name, "/proc/net/snmp").splitlines() if line.startswith("Udp:"))
    return int(values[names.index("RcvbufErrors")])


def packet_socket(name: str, *, receive: bool) -> socket.socket:
    """A packet(7) socket for all interfaces of a namespace, with room for a burst; it never receives what was sent."""
    sock = inside(name, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3) if receive else 0))
    sock.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    sock.setsockopt(263, 23, 1)  # SOL_PACKET, PACKET_IGNORE_OUTGOING
    return sock


def _enter(fd: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"setns: {os.strerror(ctypes.get_errno())}")


def _pids(name: str) -> list[int]:
    return [int(pid) for pid in run(["ip", "netns", "pids", name]).split()]
