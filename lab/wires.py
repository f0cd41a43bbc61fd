"""Network namespaces: one for the switches, one for each node, veth pairs between them.

lab-wires   bridge mgmt   10.77.0.1/24           the nodes among themselves
            bridge vms    10.99.0.1/24 fd00:99::1/64 fe80::1    the VMs' router
lab-nodeN   eth0          10.77.0.1N/24          on mgmt
            br0 <- eth1                          on vms; taps join br0
"""

from __future__ import annotations

import contextlib
import os
import signal

from ganeti_ext.command import run
from ganeti_ext.errors import CommandError
from lab.step import until

SWITCHES = "lab-wires"
MANAGEMENT = "10.77.0.1"  # of SWITCHES, on the nodes' own network
_MACS = "02:00:00:00:77:01", "02:00:00:00:99:01"
MTU = 1450  # not Ethernet's 1500, so that it shows whether a guest was told
SUBNET, GATEWAY = "10.99.0.0/24", "10.99.0.1"
SUBNET6, GATEWAY6, ROUTER6 = "fd00:99::/64", "fd00:99::1", "fe80::1"


def address(number: int) -> str:
    """The management address of node `number`; 0 is the cluster's own."""
    return f"10.77.0.{10 + number}"


def namespace(number: int) -> str:
    return f"lab-node{number}"


def up(nodes: int) -> None:
    """Make the namespaces and wire them."""
    _batch(None, f"netns add {SWITCHES}")
    _batch(
        SWITCHES,
        "link set lo up",
        # A bridge without an address of its own takes the lowest of its ports', another one when a node goes.
        f"link add mgmt address {_MACS[0]} type bridge",
        "link set mgmt up",
        f"address add {MANAGEMENT}/24 dev mgmt",
        f"link add vms address {_MACS[1]} type bridge",
        f"link set vms mtu {MTU} up",
        f"address add {GATEWAY}/24 dev vms",
        f"address add {GATEWAY6}/64 dev vms nodad",
        f"address add {ROUTER6}/64 dev vms nodad",
    )
    # Who says in a neighbour advertisement that it is no router is a guest's router no more (RFC 4861, 7.2.5).
    run(["ip", "netns", "exec", SWITCHES, "sysctl", "-q", "net.ipv6.conf.vms.forwarding=1"])
    for number in range(1, nodes + 1):
        plug(number)


def unplug(number: int) -> None:
    """Take away the namespace of a node that runs no more, and so all that its kernel knew."""
    # At once: the namespace's own interfaces go when the kernel finds the time.
    _batch(SWITCHES, f"link delete mgmt{number}", f"link delete vms{number}")
    _remove(namespace(number))


def plug(number: int) -> None:
    """Make the namespace of a node, and wire it."""
    name = namespace(number)
    _batch(None, f"netns add {name}")
    _batch(
        SWITCHES,
        f"link add mgmt{number} type veth peer name eth0 netns {name}",
        f"link set mgmt{number} master mgmt up",
        f"link add vms{number} mtu {MTU} type veth peer name eth1 netns {name}",
        f"link set vms{number} master vms up",
    )
    _batch(
        name,
        "link set lo up",
        f"address add {address(number)}/24 dev eth0",
        "link set eth0 up",
        f"route add default via {MANAGEMENT}",
        "link add br0 type bridge",
        f"link set eth1 mtu {MTU} master br0",
        "link set eth1 up",
        f"link set br0 mtu {MTU} up",
    )


def down() -> None:
    """Remove every namespace of ours, and end whatever still runs in one. Safe to repeat."""
    for name in existing():
        _remove(name)


def _remove(name: str) -> None:
    pids = _pids(name)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if pids:
        until(f"processes in namespace {name} end", lambda: not _pids(name), 20)
    run(["ip", "netns", "delete", name])


def existing() -> list[str]:
    """Names of our namespaces."""
    names = [line.split()[0] for line in run(["ip", "netns", "list"]).splitlines() if line]
    return [name for name in names if name == SWITCHES or name.startswith("lab-node")]


def _pids(name: str) -> list[int]:
    try:
        return [int(pid) for pid in run(["ip", "netns", "pids", name]).split()]
    except CommandError:  # a name whose mount is gone after a crash
        return []


def _batch(name: str | None, *lines: str) -> None:
    run(["ip", *(("-n", name) if name else ()), "-batch", "-"], stdin="\n".join(lines) + "\n")
