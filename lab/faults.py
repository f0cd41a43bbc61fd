"""Ways to break a part of the lab, for the length of a `with` block."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

from ganeti_ext.command import run
from lab import wires
from lab.node import Node


@contextlib.contextmanager
def stopped(node: Node, unit: str) -> Iterator[None]:
    """A unit is down, and up again afterwards."""
    node.run("systemctl", "stop", unit)
    try:
        yield
    finally:
        node.run("systemctl", "start", unit, timeout=180)


@contextlib.contextmanager
def frozen(node: Node, unit: str) -> Iterator[None]:
    """Every process of a unit stands still, but is not gone."""
    node.run("systemctl", "kill", "--signal=STOP", unit)
    try:
        yield
    finally:
        node.run("systemctl", "kill", "--signal=CONT", unit)


def kill(node: Node, unit: str) -> None:
    """End a unit's processes without notice; systemd may start it again."""
    node.run("systemctl", "kill", "--signal=KILL", unit)


@contextlib.contextmanager
def dead(node: Node, *others: Node) -> Iterator[None]:
    """A node has lost its power, with all that its kernel and /run knew; it boots from its disk afterwards.

    Others are told that it cannot be reached: to find out takes 3 s, each time that Ganeti asks it something.
    """
    hints = node.run("sh", "-c", "cd /run/ganeti-ext/cow 2>/dev/null && grep . * /dev/null; true").split()
    node.crash()
    # This machine's kernel lives on, and has what that of a dead node would not have.
    for volume, _, loop in (hint.rpartition(":") for hint in hints):
        if _has(loop, volume):
            run(["losetup", "--detach", f"/dev/loop{loop}"])
    wires.unplug(node.number)
    try:
        with _unreachable(node, others):
            yield
    finally:
        wires.plug(node.number)
        node.boot()


def _has(loop: str, volume: str) -> bool:
    """Whether a loop is still what the node's hint says: one that was closed late is gone, or another's by now."""
    backing = Path(f"/sys/block/loop{loop}/loop/backing_file")
    return backing.exists() and volume in backing.read_text()


@contextlib.contextmanager
def cut_off(node: Node, *others: Node) -> Iterator[None]:
    """A node lives, and its guests do, but nobody is heard by it or hears it; others are told as with `dead`."""
    link = ["ip", "-n", wires.SWITCHES, "link", "set", f"mgmt{node.number}"]
    run([*link, "down"])
    try:
        with _unreachable(node, others):
            yield
    finally:
        run([*link, "up"])


@contextlib.contextmanager
def _unreachable(node: Node, others: Iterable[Node]) -> Iterator[None]:
    told = ("unreachable", node.address)
    for other in others:
        other.run("ip", "route", "add", *told)
    try:
        yield
    finally:
        for other in others:
            other.run("ip", "route", "del", *told)


@contextlib.contextmanager
def halted(node: Node) -> Iterator[None]:
    """A node stands still with all that runs on it, as a machine does that is being moved; its clock goes on."""
    pids = node.processes()
    for pid in pids:
        _signal(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            _signal(pid, signal.SIGCONT)


@contextlib.contextmanager
def mute(node: Node, port: int) -> Iterator[None]:
    """What goes to and from a TCP port of a node is lost on the way; nobody is told, not even on the node itself."""
    chain = "{{ type filter hook {} priority -300; tcp {} {} drop; }}"
    chains = f"chain i {chain.format('input', 'dport', port)}\nchain o {chain.format('output', 'sport', port)}"
    node.run("nft", "-f", "-", stdin=f"table inet lab_mute {{\n{chains}\n}}\n")
    try:
        yield
    finally:
        node.run("nft", "delete", "table", "inet", "lab_mute")


@contextlib.contextmanager
def small(node: Node, folder: str, unit: str) -> Iterator[None]:
    """A folder of a unit is on a file system of its own, of 4 MiB; the unit is restarted for that."""
    place = "/run/lab-small"
    take = f"mkdir {place} && mount -t tmpfs -o size=4m tmpfs {place} && cp -a {folder}/. {place}"
    with stopped(node, unit):
        _shell(node, f"{take} && mount --bind {place} {folder}")
    try:
        yield
    finally:
        with stopped(node, unit):
            give = f"rm -rf {folder}/* && cp -a {place}/. {folder}"
            _shell(node, f"umount {folder} && {give} && umount {place} && rmdir {place}")


@contextlib.contextmanager
def full(node: Node, folder: str) -> Iterator[None]:
    """There is no room left on the file system of a folder."""
    ballast = f"{folder}/ballast"
    _shell(node, f"cat /dev/zero > {ballast} 2>/dev/null; true")
    try:
        yield
    finally:
        node.run("rm", ballast)


def _shell(node: Node, command: str) -> None:
    node.run("sh", "-c", command)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
