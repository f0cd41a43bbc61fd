"""This node and the others, by what Ganeti's ssconf files say."""

from __future__ import annotations

import os
import time

from extstorage.lock import EXCLUSIVE, SHARED, Holder
from ganeti_ext.named import NamedTuple

NODES = "ssconf_node_list"
OFFLINE = "ssconf_offline_nodes"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
DATA_DIRECTORY = "/var/lib/ganeti"


class Node(NamedTuple):
    """This node: its name as Ganeti has it, and where Ganeti keeps ssconf files."""

    name: str
    data_directory: str

    def holder(self, exclusive: bool) -> Holder:
        """This node as one that has just opened a volume."""
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return Holder(self.name, EXCLUSIVE if exclusive else SHARED, boot(), since)

    def down(self, node: str) -> str:
        """Why another node is known to be down, or an empty text.

        Ganeti's word is enough: a node is made offline by an administrator who knows, and one that is no longer of the
        cluster runs none of its instances. That a node does not answer proves nothing.
        """
        nodes = _words(self.data_directory, NODES)
        if node in _words(self.data_directory, OFFLINE):
            return "Ganeti has it offline"
        if nodes and node not in nodes:
            return "it is not of this cluster"
        return ""


def this(data_directory: str = DATA_DIRECTORY, name: str = "") -> Node:
    """The node that we run on; `name` where that is configured."""
    return Node(name or _name(_words(data_directory, NODES)), data_directory)


def boot() -> str:
    """The id that the kernel made up when this node was started."""
    with open(BOOT_ID, encoding="ascii") as file:
        return file.read().strip()


def _name(nodes: list[str]) -> str:
    host = os.uname().nodename.lower()
    mine = [name for name in nodes if name == host or name.startswith(host + ".")]
    return mine[0] if len(mine) == 1 else host


def _words(folder: str, name: str) -> list[str]:
    try:
        with open(os.path.join(folder, name), encoding="ascii") as file:
            return file.read().split()
    except FileNotFoundError:
        return []
