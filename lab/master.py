"""Which node is Ganeti's master, and making another one it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from ganeti_ext.errors import CommandError
from lab.node import Node
from lab.step import until

_FAIL_OVER = ("gnt-cluster", "master-failover")
_STOP = "for name in luxid rapi wconfd; do /usr/lib/ganeti/daemon-util stop ganeti-$name; done; true"
_CONFIG = "/var/lib/ganeti/config.data"
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


@contextlib.contextmanager
def undone(node: Node) -> Iterator[None]:
    """What becomes of the configuration in the block is undone: that of before is put back, and Ganeti started."""
    node.run("cp", _CONFIG, f"{_CONFIG}.before")
    yield
    node.run("sh", "-c", _STOP)
    node.run("mv", f"{_CONFIG}.before", _CONFIG)
    node.run("/usr/lib/ganeti/daemon-util", "start-master", timeout=60)


_FORGET = """
import json, sys
path, name = "/var/lib/ganeti/config.data", sys.argv[1]
with open(path) as file:
    config = json.load(file)
for instance in config["instances"].values():
    if instance["name"] == name:
        for nic in instance["nics"]:
            nic["ip"] = None
config["serial_no"] += 1
with open(path, "r+") as file:
    json.dump(config, file)
    file.truncate()
"""


def forget_addresses(node: Node, instance: str) -> None:
    """Take an instance's addresses out of the master's configuration.

    Ganeti gives them back first, and then removes the instance: a master that dies in between leaves one that it
    refuses to remove ("IP 10.99.0.5 is not used by an instance").
    """
    node.run("sh", "-c", _STOP)
    node.run("python3", "-c", _FORGET, instance)
    node.run("/usr/lib/ganeti/daemon-util", "start-master", timeout=60)

    def answers() -> bool:
        with contextlib.suppress(CommandError):
            return instance in node.run("gnt-instance", "list", "--no-headers", "-o", "name")
        return False

    until(f"{node.name} answers", answers, 60)
