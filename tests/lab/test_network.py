"""Routed guests and a dead node, with real packets: reached, isolated, moved, and nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from lab import services, wires
from lab.capture import Capture
from lab.faults import dead
from lab.ganeti import NETWORK
from lab.node import Node
from lab.step import at_once, until
from lab.story import Story
from tests.lab import routed_site
from tests.lab.guests import Guest, Seen, seen
from tests.lab.routed_site import FAR, HOP, Network

SOON = 1.0  # seconds after the job
BOOT = 60.0  # seconds until a guest answers
FOREIGN = {HOP: ("10.98.0.200", "fd00:98::bad"), FAR: ("10.97.0.200", "fd00:97::bad")}


class Site:
    """`here` is where the guests are first, `there` is the node that dies. `routed` are guests by their network."""

    def __init__(self, story: Story) -> None:
        self.here, self.there = story.nodes[:2]
        self.story = story
        self.routed = {network: Guest(story, f"lab-{network.name}", self.here) for network in (HOP, FAR)}
        self.guests = list(self.routed.values())
        (image,) = (each for each in story.tenant.openstack("image", "list") if each["Name"] == services.IMAGE)
        self.disk = f"--disk=0:size=64M,provider=cow,origin={image['ID']}"

    def add(self, guest: Guest, network: str, *words: str) -> None:
        guest.add(network, self.disk, "--backend-parameters=memory=128", *words)

    def moved(self, node: Node) -> None:
        """All guests are on a node now, and the routers follow that of HOP."""
        for guest in self.guests:
            guest.home = node
        if self.routed[HOP] in self.guests:
            routed_site.point(self.routed[HOP].addresses, node)


@pytest.fixture(scope="module")
def site(story: Story) -> Iterator[Site]:
    """Two guests, which answer, between routers and nodes that route."""
    with routed_site.site(story, story.nodes[:2], HOP, FAR):
        made = Site(story)
        try:
            at_once(partial(made.add, guest, network.name) for network, guest in made.routed.items())
            made.moved(made.here)
            for guest in made.guests:
                guest.expect(open_=True, within=BOOT)
            yield made
        finally:
            at_once(guest.remove for guest in made.guests)
            routed_site.forget(made.routed[HOP].addresses)


def _taps(bindings: Path) -> list[str]:
    return [path.name for path in bindings.iterdir() if path.name.startswith("tap")]


def asks_out(guest: Guest) -> None:
    """What the guest itself starts gets its answers, by both families."""
    with guest.console() as console:
        for target in (wires.GATEWAY, wires.GATEWAY6):
            # One after the other until one is answered, as a busy machine's guest may be slow to send or to hear.
            console.ask(f"for i in $(seq 20); do ping -c 1 -W 1 {target} && break; done")


def clean(node: Node, guests: Sequence[Guest]) -> Seen:
    """Wait until a node has neither more nor less than what guests on it must have."""
    found: list[Seen] = []
    here = {guest.name: guest for guest in guests if guest.home is node}

    def is_clean() -> bool:
        found[:] = [seen(node)]
        return found[0].wrong(here, guests) == []

    try:
        until(f"{node.name} has what it must have", is_clean, 20)
    except TimeoutError as err:
        err.add_note("\n".join(found[0].wrong(here, guests)))
        raise
    return found[0]


def test_routed_guests_are_reached_and_reach_out(site: Site) -> None:
    for guest in site.guests:
        asks_out(guest)
        with guest.console() as console:
            assert console.report()["boots"] == "1"
    for node in (site.here, site.there):
        clean(node, site.guests)


@pytest.mark.parametrize("network", [HOP, FAR], ids=lambda network: network.name)
def test_foreign_addresses_of_a_routed_guest_end_at_its_tap(site: Site, network: Network) -> None:
    guest, (ip4, ip6) = site.routed[network], FOREIGN[network]
    tap = seen(guest.home).tap(guest.name)["tap"]
    foreign = f"host {ip4} or host {ip6}"
    with (
        Capture(wires.namespace(guest.home.number), tap, foreign) as said,
        Capture(wires.SWITCHES, network.bridge, foreign) as left,
        guest.console() as console,
    ):
        console.ask("echo 0 > /proc/sys/net/ipv6/conf/eth0/dad_transmits")
        console.ask(f"ip addr add {ip4}/32 dev eth0; ip -6 addr add {ip6}/128 dev eth0")
        console.ask("while ip -6 addr show dev eth0 | grep tentative; do usleep 10000; done")
        tries = (
            f"arping -c 1 -w 1 -I eth0 -s {ip4} {network.gateway}",
            f"ping -c 1 -W 1 -I {ip4} {wires.GATEWAY}",
            f"ping -c 1 -W 1 -I {ip6} {wires.GATEWAY6}",
        )
        # Split, as the shell tells what it has run.
        answered = console.ask(" ".join(f'({each} && echo ans"wered") &' for each in tries) + " wait")
        console.ask(f"ip addr del {ip4}/32 dev eth0; ip -6 addr del {ip6}/128 dev eth0")
    kinds = {"ARP": "ethertype ARP", "IPv4": f" {ip4} > ", "IPv6": f" {ip6} > "}
    assert {kind for kind, words in kinds.items() if any(words in line for line in said.lines)} == {*kinds}, said.lines
    assert left.lines == []
    assert "answered" not in answered
    asks_out(guest)


def test_a_profile_of_routed_guests_is_in_force_within_a_second_and_moves_with_them(site: Site) -> None:
    for guest in site.guests:
        guest.tag("add", "protected")
        guest.expect(open_=False, within=SOON)
        asks_out(guest)
    at_once(partial(guest.gnt, "migrate", "--force", f"--target-node={site.there.name}") for guest in site.guests)
    site.moved(site.there)
    for guest in site.guests:
        assert guest.reached() == {False}
        asks_out(guest)
    clean(site.here, site.guests)
    there = clean(site.there, site.guests)
    assert [tap["profile"]["name"] for tap in there.listed] == ["protected", "protected"]
    for guest in site.guests:
        guest.tag("remove", "protected")
        guest.expect(open_=True, within=SOON)
        with guest.console() as console:
            assert console.report()["boots"] == "1"


@pytest.fixture
def doomed(site: Site) -> Site:
    """All guests are on the node that will die, with a profile: FAR's, and one on a bridge; HOP's is gone."""
    guest, far = Guest(site.story, "lab-bridged", site.there), site.routed[FAR]
    site.routed[HOP].remove()
    site.guests[:] = [far, guest]
    at_once(
        [
            partial(site.add, guest, NETWORK, "--tags=ganeti-ext:firewall:protected"),
            partial(far.tag, "add", "protected"),
        ]
    )
    return site


@pytest.mark.long
def test_guests_of_a_dead_node_come_up_elsewhere_and_leave_nothing_there(doomed: Site) -> None:
    site, gnt = doomed, doomed.story.gnt
    on_disk = site.there.root / "var/lib/nfdhcpd"
    try:
        with dead(site.there, site.here):
            assert len(_taps(on_disk)) == len(site.guests)
            gnt("node", "modify", "--offline=yes", "--force", site.there.name)
            to = f"--target-node={site.here.name}"
            at_once(partial(guest.gnt, "failover", "--force", to) for guest in site.guests)
            site.moved(site.here)
            for guest in site.guests:
                asks_out(guest)
                assert guest.reached() == {False}
            here = clean(site.here, site.guests)
    finally:
        routed_site.prepare(site.there)
        gnt("node", "modify", "--offline=no", "--force", "--auto-promote", site.there.name)
    assert [tap["profile"]["name"] for tap in here.listed] == ["protected", "protected"]
    assert all(tap["binding"] for tap in here.listed)
    clean(site.there, site.guests)
    assert _taps(on_disk) == []
    clean(site.here, site.guests)
    for guest in site.guests:
        guest.tag("remove", "protected")
        guest.expect(open_=True, within=SOON)
