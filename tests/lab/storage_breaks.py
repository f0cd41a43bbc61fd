"""What breaks in the middle of what a tenant has begun, and comes back. Each of these begins the operation, too.

The middle is any moment: of one that is jobs of Ganeti's, a random one of them has just been submitted.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Container, Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from lab import pool
from lab.faults import dead
from lab.node import SHARED, Node
from lab.step import until
from tests.lab.storage_operations import Operation

API, IMPORTER, CONSUMER = "frontend.wsgi", "ganeti-ext-importer", "ganeti-ext-consumer"
_STORAGE = ("/extstorage/cow/", "/extstorage/rbd/", "/extstorage/instance-image", "ganeti-ext-storage")
_QUICK = 0.002  # seconds between two looks at what is over in a few milliseconds
_LASTS = 8.0  # seconds that a fault lasts at most, beyond the end of what it breaks


def nothing(operation: Operation) -> None:
    """It goes on to its end."""
    _middle(operation)


def front_killed(operation: Operation) -> None:
    _killed(operation, API)


def importer_killed(operation: Operation) -> None:
    _killed(operation, IMPORTER)


def consumer_killed(operation: Operation) -> None:
    _killed(operation, CONSUMER)


def _killed(operation: Operation, words: str) -> None:
    """A service of the front; systemd starts it again by itself."""
    front = operation.site.front
    before = _processes([front], (words,))
    assert before, f"no process of {words} runs on {front.name}"
    _middle(operation)
    _kill(before)
    until(f"{words} is back", lambda: set(_processes([front], (words,))) - set(before), 60)


def provider_killed(operation: Operation) -> None:
    """One of the calls of the provider, of its hook or of its command, on whichever node it works."""
    site = operation.site
    if not operation.jobs:
        _middle(operation)
        _kill(_processes([site.front], _STORAGE))
        return
    before, nth = set(os.listdir("/proc")), site.random.randint(1, operation.calls)
    seen: set[int] = set()
    operation.start()
    end = time.monotonic() + 60
    while time.monotonic() < end and not (seen and operation.is_over()):
        for pid in set(_processes(site.nodes, _STORAGE, before)) - seen:
            seen.add(pid)
            if len(seen) == nth:
                _kill([pid])
                return
        time.sleep(_QUICK)
    words = f"call {nth} was to be killed; answer: {operation.answer!s:.300}"
    raise AssertionError(f"only {len(seen)} calls of the provider were seen, and {words}")


def ceph_killed(operation: Operation) -> None:
    """All of it, by force; its disk is whole."""
    ceph = pool.ceph()
    _middle(operation)
    for kind, name in (("osd", "0"), ("mon", "a")):
        ceph.stop(kind, name, signal.SIGKILL)
    try:
        _last(operation)
    finally:
        ceph.up()


def share_gone(operation: Operation) -> None:
    """On all nodes nothing is mounted any more where the shared directory was."""
    nodes = operation.site.nodes
    with ExitStack() as undo:
        _middle(operation)
        for node in nodes:
            node.run("mount", "-t", "tmpfs", "none", SHARED)
            undo.callback(node.run, "umount", SHARED)
        _last(operation)


def node_dead(operation: Operation) -> None:
    """That of the volume and the server, which is not the master's and not the front's; with the front, that one."""
    site = operation.site
    node = site.nodes[1] if operation.jobs else site.front
    _middle(operation)
    with dead(node, *(other for other in site.nodes if other is not node)):
        _last(operation)
    if node is site.front:  # the lab has started these by hand
        node.run("systemctl", "start", "rabbitmq-server", "postgresql@17-main", timeout=180)


def master_dead(operation: Operation) -> None:
    """Jobs that run there end as errors when it is back, and those that wait are run."""
    site = operation.site
    _middle(operation)
    with dead(site.master, site.nodes[1], site.nodes[2]):
        pass


def _middle(operation: Operation) -> None:
    job = operation.site.random.randint(1, max(1, operation.jobs))
    operation.start()
    until("it is in the middle", lambda: operation.is_in_the_middle(job), 30, _QUICK)


def _last(operation: Operation) -> None:
    """A fault lasts until it has ended what it breaks, or some seconds."""
    until_then = time.monotonic() + operation.site.random.uniform(1, _LASTS)
    until("the fault has lasted", lambda: time.monotonic() > until_then or _is_over(operation), _LASTS + 60)


def _is_over(operation: Operation) -> bool:
    with suppress(LookupError):
        return operation.is_over()
    return False


def _processes(nodes: Iterable[Node], words: Sequence[str], known: Container[str] = ()) -> list[int]:
    """Processes of the nodes with one of these words in their command line, but the known ones; as this machine
    numbers them.
    """
    spaces = {os.readlink(f"/proc/{leader}/ns/pid") for node in nodes if (leader := node.leader())}
    found = []
    for name in os.listdir("/proc"):
        with suppress(OSError):
            if name.isdecimal() and name not in known and os.readlink(f"/proc/{name}/ns/pid") in spaces:
                line = Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if any(word in line for word in words):
                    found.append(int(name))
    return sorted(found)


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
