"""A tenant's networks behind each other, with real packets: servers in two of them route, and only what they may.

edge - [front] - gate - [middle] - inner - [back] - store
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from lab import services
from lab.ganeti import NETWORK
from lab.step import at_once, until
from lab.story import Story, clear
from tests.lab.guests import pings

pytestmark = pytest.mark.long

FRONT, MIDDLE, BACK = "10.91.0.0/24", "10.92.0.0/24", "10.93.0.0/24"
NETWORKS = {"front": FRONT, "middle": MIDDLE, "back": BACK}
SERVERS = {"edge": ("front",), "gate": ("front", "middle"), "inner": ("middle", "back"), "store": ("back",)}
# What a server sends into a network from behind itself.
BEHIND = {
    ("gate", "front"): (MIDDLE, BACK),
    ("gate", "middle"): (FRONT,),
    ("inner", "middle"): (BACK,),
    ("inner", "back"): (FRONT, MIDDLE),
}
# By which server a guest reaches what is not beside it.
WAYS = {
    "edge": {MIDDLE: ("gate", "front"), BACK: ("gate", "front")},
    "gate": {BACK: ("inner", "middle")},
    "inner": {FRONT: ("gate", "middle")},
    "store": {FRONT: ("inner", "back"), MIDDLE: ("inner", "back")},
}
HOSTS = {"edge": 11, "gate": 12, "inner": 13, "store": 14}
SOON = 5.0  # seconds after the tenant was answered
EXTERNAL = "ganeti-ext:external:1"


def address(server: str, network: str) -> str:
    return NETWORKS[network].replace(".0/24", f".{HOSTS[server]}")


class Tiers:
    """All of it, as a tenant makes it."""

    def __init__(self, story: Story) -> None:
        self.story, self.tenant = story, story.tenant
        for name, cidr in NETWORKS.items():
            self.tenant.openstack("network", "create", name)
            self.tenant.openstack(
                "subnet", "create", "--network", name, "--subnet-range", cidr, *self._routes(name), name
            )
        for server, networks in SERVERS.items():
            for network in networks:
                self._port(server, network)
        at_once(partial(self._server, name) for name in SERVERS)
        at_once(partial(self._address, name) for name in SERVERS)

    def _routes(self, network: str) -> list[str]:
        """What the subnet tells its guests of those behind."""
        found = {
            target: by
            for server, ways in WAYS.items()
            for target, (by, at) in ways.items()
            if at == network and network in SERVERS[server] and len(SERVERS[server]) == 1
        }
        each = ((target, address(by, network)) for target, by in found.items())
        return [word for target, by in each for word in ("--host-route", f"destination={target},gateway={by}")]

    def _port(self, server: str, network: str) -> None:
        fixed = f"subnet={network},ip-address={address(server, network)}"
        self.tenant.openstack("port", "create", "--network", network, "--fixed-ip", fixed, f"{server}-{network}")

    def _server(self, name: str) -> None:
        nics = [word for network in SERVERS[name] for word in ("--nic", f"port-id={self.port(name, network)}")]
        words = (f"--image={services.IMAGE}", f"--flavor={services.FLAVOR}", *nics, "--wait", name)
        self.story.ids[name] = self.tenant.openstack("server", "create", *words, timeout=400)["id"]

    def _address(self, name: str) -> None:
        """The guest asks for the first address by DHCP by itself; it is no router yet."""
        with self.story.console(name) as console:
            for number, network in enumerate(SERVERS[name]):
                console.ask(f"ip link set eth{number} up; ip addr replace {address(name, network)}/24 dev eth{number}")
            for target, (by, network) in WAYS[name].items():
                console.ask(f"ip route replace {target} via {address(by, network)}")

    def port(self, server: str, network: str) -> str:
        return str(self.tenant.openstack("port", "show", f"{server}-{network}")["id"])

    def routes(self, *, on: bool) -> None:
        for name in ("gate", "inner"):
            with self.story.console(name) as console:
                console.ask(f"echo {int(on)} > /proc/sys/net/ipv4/ip_forward")

    def allow(self, server: str, network: str, *cidrs: str) -> None:
        """These alone."""
        words = [word for cidr in cidrs for word in ("--allowed-address", f"ip-address={cidr}")]
        self.tenant.run("port", "set", "--no-allowed-address", *words, f"{server}-{network}")

    def reaches(self, server: str, target: str) -> bool:
        with self.story.console(server) as console:
            said = console.ask(f"ping -c 2 -i 0.2 -W 2 {target} > /dev/null && echo rea'ch'es || echo no")
        return "reaches" in said

    def expect(self, server: str, target: str, *, reached: bool) -> None:
        words = f"{server} {'reaches' if reached else 'does not reach'} {target}"
        until(words, lambda: self.reaches(server, target) is reached, SOON * 4)


@pytest.fixture(scope="module")
def tiers(story: Story) -> Iterator[Tiers]:
    clear(story)
    try:
        yield Tiers(story)
    finally:
        clear(story)


def test_what_is_beside_is_reached_and_nothing_else(tiers: Tiers) -> None:
    tiers.expect("edge", address("gate", "front"), reached=True)
    tiers.expect("inner", address("gate", "middle"), reached=True)
    tiers.expect("inner", address("store", "back"), reached=True)
    tiers.routes(on=True)
    # Both route; but what they send is from behind them, and that is not theirs to say.
    tiers.expect("edge", address("store", "back"), reached=False)


def test_the_subnets_tell_their_guests_what_is_behind(tiers: Tiers) -> None:
    for name, network in (("edge", "front"), ("store", "back")):
        with tiers.story.console(name) as console:
            console.ask(
                "printf '#!/bin/sh\\necho \"$1 $staticroutes\" >> /tmp/told\\n' > /tmp/tell; chmod +x /tmp/tell"
            )
            console.ask("udhcpc -i eth0 -n -q -t 10 -T 1 -O staticroutes -s /tmp/tell > /dev/null 2>&1")
            told = console.ask("grep bound /tmp/told")
        for target, (by, _) in WAYS[name].items():
            assert f"{target} {address(by, network)}" in told, told


def test_one_end_reaches_the_other(tiers: Tiers) -> None:
    for (server, network), cidrs in BEHIND.items():
        tiers.allow(server, network, *cidrs)
    tiers.expect("edge", address("store", "back"), reached=True)
    tiers.expect("store", address("edge", "front"), reached=True)
    tiers.expect("edge", address("inner", "middle"), reached=True)


def test_only_by_those_that_route(tiers: Tiers) -> None:
    tiers.routes(on=False)
    tiers.expect("edge", address("store", "back"), reached=False)
    tiers.routes(on=True)
    tiers.expect("edge", address("store", "back"), reached=True)


def test_what_a_port_may_no_more_is_over_within_seconds(tiers: Tiers) -> None:
    tiers.allow("inner", "back")
    tiers.expect("edge", address("store", "back"), reached=False)
    tiers.allow("inner", "back", FRONT, MIDDLE)
    tiers.expect("edge", address("store", "back"), reached=True)


def test_it_is_so_after_a_move(tiers: Tiers) -> None:
    here = tiers.story.node_of("gate")
    there = next(node for node in tiers.story.nodes if node.name != here.name)
    tiers.story.gnt("instance", "migrate", "--force", f"--target-node={there.name}", tiers.story.instance("gate"))
    tiers.expect("edge", address("store", "back"), reached=True)


def test_a_floating_address_comes_to_a_running_server_and_goes(tiers: Tiers) -> None:
    story, tenant = tiers.story, tiers.tenant
    story.gnt("network", "add-tags", NETWORK, EXTERNAL)
    try:
        # The front hears of the tag by itself.
        until("it is external", lambda: tenant.openstack("network", "show", NETWORK)["router:external"], 30)
        floating = tenant.openstack("floating", "ip", "create", NETWORK)["floating_ip_address"]
        tenant.run("server", "add", "floating", "ip", "edge", floating)
        with story.console("edge") as console:
            console.ask(
                "n=0; until ip link show eth1 > /dev/null 2>&1 || [ $n -ge 50 ]; do n=$((n+1)); usleep 100000; done"
            )
            console.ask(f"ip link set eth1 up; ip addr add {floating}/24 dev eth1")
        until(f"{floating} answers", lambda: pings(floating, "-W", "1"), 30)
        tenant.run("server", "remove", "floating", "ip", "edge", floating)
        until(f"{floating} does not answer", lambda: not pings(floating, "-W", "1"), 30)
        (shown,) = tenant.openstack("floating", "ip", "list")
        assert (shown["Floating IP Address"], shown["Port"]) == (floating, None)
        tenant.run("floating", "ip", "delete", floating)
        assert tenant.openstack("floating", "ip", "list") == []
    finally:
        for each in tenant.openstack("floating", "ip", "list"):
            tenant.run("floating", "ip", "delete", each["ID"])
        story.gnt("network", "remove-tags", NETWORK, EXTERNAL)
