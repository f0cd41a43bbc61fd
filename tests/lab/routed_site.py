"""What an administrator sets up for routed networks: Ganeti's networks, the nodes' routing, the routers.

hop     mode routed        the node is the guests' gateway; routes to guests lead to its eth0, over `mgmt`
far     ip-less-routed     the gateway is the router on `vms`, for which the node answers on br0; table 100
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from ganeti_ext.command import run
from lab.node import Node
from lab.step import at_once
from lab.story import Story
from lab.wires import ROUTER6, SWITCHES


class Network(NamedTuple):
    """A network of Ganeti, whose gateway is the first address of its subnet. `bridge` of SWITCHES is its outside."""

    name: str
    subnet: str
    gateway: str
    subnet6: str
    link: str
    tags: str
    bridge: str


HOP = Network("hop", "10.98.0.0/24", "10.98.0.1", "fd00:98::/64", "main", "nfdhcpd", "mgmt")
FAR = Network("far", "10.97.0.0/24", "10.97.0.1", "fd00:97::/64", "100", "nfdhcpd,ip-less-routed", "vms")

_SYSCTLS = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.ipv6.conf.br0.proxy_ndp")
_NODE = (
    f"-6 route add default via {ROUTER6} dev eth0",
    f"route add {FAR.subnet} dev br0 table {FAR.link}",
    f"route add default via {FAR.gateway} dev br0 table {FAR.link}",
    f"-6 route add default via {ROUTER6} dev br0 table {FAR.link}",
    f"rule add iif br0 table {FAR.link}",
    f"-6 rule add iif br0 table {FAR.link}",
)
_ROUTERS = (
    f"address add {ROUTER6}/64 dev {HOP.bridge} nodad",
    f"address add {FAR.gateway}/24 dev {FAR.bridge}",
    f"-6 route add {FAR.subnet6} dev {FAR.bridge}",
)


def prepare(node: Node) -> None:
    """What the node's own configuration does when it boots."""
    _sysctls(node, 1)
    _ip(node.run, _NODE)


def restore(node: Node) -> None:
    """Undo `prepare`."""
    _ip(node.run, _undone(_NODE))
    _sysctls(node, 0)


@contextlib.contextmanager
def site(story: Story, nodes: Sequence[Node], *networks: Network) -> Iterator[None]:
    """The networks and their routers are there, and these nodes route."""
    with contextlib.ExitStack() as undo:
        _ip(_outside, _ROUTERS)
        undo.callback(_ip, _outside, _undone(_ROUTERS))
        for node in nodes:
            prepare(node)
            undo.callback(restore, node)
        undo.callback(at_once, [partial(_remove, story, network) for network in networks])
        at_once([partial(_add, story, network) for network in networks])
        yield


def point(addresses: Sequence[str], node: Node) -> None:
    """Let the routers' routes to addresses of HOP lead to a node, as a routing protocol does when a guest moves."""
    told = node.run("ip", "-6", "-o", "address", "show", "dev", "eth0", "scope", "link")
    ip6 = next(word.partition("/")[0] for word in told.split() if word.startswith("fe80:"))
    _ip(_outside, [f"route replace {each} via {ip6 if ':' in each else node.address} dev mgmt" for each in addresses])


def forget(addresses: Sequence[str]) -> None:
    """Undo `point`."""
    _ip(_outside, [f"route del {each}" for each in addresses])


def _add(story: Story, network: Network) -> None:
    name, subnet, gateway, subnet6, link, tags, _ = network
    words = (f"--network={subnet}", f"--gateway={gateway}", f"--network6={subnet6}", f"--gateway6={ROUTER6}")
    story.gnt("network", "add", *words, f"--tags={tags}", name)
    story.gnt("network", "connect", f"--nic-parameters=mode=routed,link={link}", name)


def _remove(story: Story, network: Network) -> None:
    story.gnt("network", "disconnect", network.name)
    story.gnt("network", "remove", network.name)


def _sysctls(node: Node, value: int) -> None:
    node.run("sysctl", "-q", *(f"{name}={value}" for name in _SYSCTLS))


def _outside(*argv: str) -> None:
    run(["ip", "netns", "exec", SWITCHES, *argv])


def _ip(run_: Callable[..., object], lines: Sequence[str]) -> None:
    for line in lines:
        run_("ip", *line.split())


def _undone(lines: Sequence[str]) -> list[str]:
    return [line.replace(" add ", " del ").removesuffix(" nodad") for line in reversed(lines)]
