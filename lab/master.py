"""Which node is Ganeti's master, and making another one it."""

from __future__ import annotations

from collections.abc import Sequence

from lab.node import Node

_SSCONF = "var/lib/ganeti/ssconf_master_node"


def current(nodes: Sequence[Node]) -> Node:
    """The node that takes itself for the master, of those that run; LookupError when there is none just now."""
    for node in nodes:
        # On its disk, so that nothing need run there to tell it.
        if node.leader() and (node.root / _SSCONF).read_text().strip() == node.name:
            return node
    raise LookupError("no node that runs takes itself for the master")


def fail_over(node: Node) -> None:
    """`gnt-cluster master-failover` on a node that is to be the master."""
    node.run("gnt-cluster", "master-failover", timeout=180)
