"""A second cluster beside the lab's own: one node, and the front knows both. It sees the same shared directory."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence

from ganeti_ext.command import run
from ganeti_ext.errors import CommandError
from lab import RUN, STATE, base, cgroup, cluster, ganeti, guest, layer, pool, screens, services, wires
from lab.node import Node
from lab.step import step

NAME, NETWORK = "second.lab", "public-second"
_NUMBER = cluster.SECOND
_ADDRESS = wires.address(20)
_SUBNET, _GATEWAY = "10.98.0.0/24", "10.98.0.1"
_SUBNET6, _GATEWAY6 = "fd00:98::/64", "fd00:98::1"
_FRONT_NODE = 3


def node() -> Node:
    return Node(_NUMBER)


def running() -> bool:
    """Whether it was brought up to the end, and lives."""
    return (RUN / "second").exists() and node().leader() is not None


def up(nodes: Sequence[Node]) -> Node:
    """Bring it up beside a lab whose nodes these are, and add it to the front."""
    one = node()
    if running():
        return one
    down(nodes)
    with step(f"Booting {one.name}, a cluster of its own"):
        wires.plug(_NUMBER)
        _route()
        one.start(layer.lower("node", (*pool.CLIENT, *screens.PACKAGES)), _hosts(one))
    ganeti.up([one], guest.image(base.root()), ganeti.Site(NAME, NETWORK, _SUBNET, _GATEWAY, _SUBNET6))
    # hail finds no place where nothing could be started again elsewhere (docs/operations.md, "Groups").
    one.run("gnt-cluster", "modify", "--default-iallocator-params=-no-capacity-checks")
    with step(f"Installing our packages on {one.name}"):
        cluster.install_on(one)
        services.daemons(one, services.broker(nodes[_FRONT_NODE - 1]))
        screens.up([one], nodes[_FRONT_NODE - 1])
    with step("Adding it to the front"):
        _add(one, nodes[_FRONT_NODE - 1])
    (RUN / "second").touch()
    return one


def down(nodes: Sequence[Node] = ()) -> None:
    """Take it away again. Safe to repeat."""
    (RUN / "second").unlink(missing_ok=True)
    for each in nodes[_FRONT_NODE - 1 : _FRONT_NODE]:
        with contextlib.suppress(CommandError):  # it was not there, or has something in it still
            each.run("ganeti-ext-manage", "cluster-offline", NAME)
            each.run("ganeti-ext-manage", "cluster-remove", NAME)
    one = node()
    one.stop()
    for each in nodes[_FRONT_NODE - 1 : _FRONT_NODE]:
        with contextlib.suppress(CommandError):
            each.run("ganeti-ext-manage", "cluster-remove", "home")
    if wires.namespace(_NUMBER) in wires.existing():
        wires.unplug(_NUMBER)
    cgroup.remove([one.machine])
    if os.path.ismount(one.root):
        run(["umount", str(one.root)])
    shutil.rmtree(STATE / f"node{_NUMBER}", ignore_errors=True)


def _add(one: Node, front: Node) -> None:
    """As an administrator does: the certificate from a file, the password from stdin."""
    ca = "/etc/ganeti-ext/second-ca.pem"
    front.write(ca, one.run("openssl", "x509", "-in", "/var/lib/ganeti/rapi.pem"))
    where = (f"--url=https://{_ADDRESS}:5080", "--user=ganeti-ext", f"--ca={ca}", "--storage-of=home", "--link=br0")
    front.run("ganeti-ext-manage", "cluster-add", NAME, *where, stdin=ganeti.rapi_password(one) + "\n")


def _hosts(one: Node) -> str:
    names = ("127.0.0.1 localhost", f"{_ADDRESS} {NAME} second", f"{one.address} {one.name} node{_NUMBER}")
    return "\n".join(names) + "\n"


def _route() -> None:
    """The VMs' router has an address in its network, too."""
    for address in (f"{_GATEWAY}/24", f"{_GATEWAY6}/64"):
        run(["ip", "-n", wires.SWITCHES, "address", "replace", address, "dev", "vms"])
