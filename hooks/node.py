"""Which node this is, by what Ganeti calls it."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NODES = "ssconf_node_list"


def is_this(node: str, data_directory: str) -> bool:
    """Whether a node's name is that of this machine, mostly without a question to the resolver."""
    try:
        with open(os.path.join(data_directory, NODES), encoding="ascii") as file:
            nodes = file.read().split()
    except (OSError, ValueError):
        nodes = []
    return matches(node, nodes, os.uname().nodename.lower(), _resolved)


def matches(node: str, nodes: list[str], host: str, resolved: Callable[[], str]) -> bool:
    """Whether the host with this name, in full or not, is that node of these nodes.

    `resolved` finds the host's full name as Ganeti does (netutils.Hostname.GetSysName), which may take seconds.
    """
    mine = [name for name in nodes if name == host or name.startswith(host + ".")]
    return (mine[0] if len(mine) == 1 else resolved()) == node


def _resolved() -> str:
    import socket  # noqa: PLC0415 (10 ms, for hosts whose name says too little)

    return socket.getfqdn().lower()
