"""Which node is Ganeti's master, and making another one it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from ganeti_ext.errors import CommandError
from lab.node import Node
from lab.step import until

_FAIL_OVER = ("gnt-cluster", "master-failover")
_STOP = "for name in luxid rapi wconfd; do /usr/lib/ganeti/daemon-util stop ganeti-$name; done; true"
_SSCONF = "var/lib/ganeti/ssconf_master_node"


def current(nodes: Sequence[Node]) -> Node:
    """The node that takes itself for the master, of those that run; LookupError when there is none just now."""
    for node in nodes:
        # On its disk, so that nothing need run there to tell it.
        if node.leader() and (node.root / _SSCONF).read_text().strip() == node.name:
            return node
    raise LookupError("no node that runs takes itself for the master")


def fail_over(nodes: Sequence[Node], node: Node, answers: Callable[[], bool]) -> None:
    """`gnt-cluster master-failover` on a node that is to be the master; it is, and `answers`, when this returns.

    A job that goes on on the old master may write its configuration over the new one's (wconfd: "it has been modified
    since last written"), and nobody is a whole master then. An administrator has to stop both, and to say it again.
    """

    def is_whole() -> bool:
        with contextlib.suppress(LookupError):
            return current(nodes) is node and answers()
        return False

    try:
        node.run(*_FAIL_OVER, timeout=180)
        until(f"{node.name} is the master", is_whole, 20)
    except (CommandError, TimeoutError):
        for each in nodes:
            each.run("sh", "-c", _STOP)
        node.run(*_FAIL_OVER, timeout=180)
        until(f"{node.name} is the master", is_whole, 60)
