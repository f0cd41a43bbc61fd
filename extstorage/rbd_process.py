"""This process and others of this node, told from later ones of the same pid."""

from __future__ import annotations

import os

from extstorage import node as nodes
from extstorage.rbd_record import Doing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extstorage.node import Node

_AFTER_NAME = ") "
_START = 19  # of the fields after the name, as proc(5) counts from 22


def doing(verb: str, node: Node) -> Doing:
    """This process, at work on a volume."""
    pid = str(os.getpid())
    return Doing(verb, node.name, nodes.boot(), pid, start(pid))


def start(pid: str) -> str:
    """When a process started, in ticks since the boot; empty when there is none of that pid, or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(_AFTER_NAME)[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] == "Z" else fields[_START]
