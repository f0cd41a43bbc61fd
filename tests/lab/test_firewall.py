"""Firewall profiles on real guests: by tags, live, across moves, and nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.ganeti import NETWORK
from lab.node import Node
from lab.step import until
from lab.story import Story, create_words
from lab.wires import GATEWAY
from tests.lab import guests

NAME = "walled"
TAG = "ganeti-ext:firewall"
SOON = 1.0  # seconds after the job


class Walled:
    """A server, and whether the router's pings come through to it."""

    def __init__(self, story: Story) -> None:
        self.story = story
        story.ids[NAME] = story.tenant.openstack(*create_words(NAME), "--wait")["id"]
        self.instance = story.instance(NAME)
        self.addresses = story.tenant.addresses(NAME, NETWORK)

    def reached(self) -> set[bool]:
        """For IPv4 and IPv6: {True} or {False} when they agree."""
        return {guests.pings(address) for address in self.addresses}

    def tag(self, verb: str, profile: str) -> None:
        self.story.gnt("instance", f"{verb}-tags", self.instance, f"{TAG}:{profile}")

    def expect(self, *, open_: bool, within: float = SOON) -> None:
        """Wait until pings come through, or do not."""
        guests.expect(NAME, self.addresses, open_=open_, within=within)

    def recorded(self) -> str:
        """What its node has recorded of its tap."""
        return self.story.node_of(NAME).read(f"/run/ganeti-ext/taps/{self.story.tap(NAME)}")

    def asks_out(self) -> None:
        """What the guest itself starts gets its answers."""
        with self.story.console(NAME) as console:
            console.ask(f"ping -c 2 -i 0.2 -W 5 {GATEWAY}")


@pytest.fixture(scope="module")
def walled(story: Story) -> Iterator[Walled]:
    made = Walled(story)
    until("the guest answers", lambda: made.reached() == {True}, 30)
    yield made
    story.tenant.run("server", "delete", "--wait", story.ids.pop(NAME))


def left(node: Node, instance: str) -> list[str]:
    """Records of an instance's taps."""
    folder = "/run/ganeti-ext/taps"
    return [name for name in node.listing(folder) if f"INSTANCE={instance}\n" in node.read(f"{folder}/{name}")]


def test_a_tag_is_in_force_on_the_running_guest_within_a_second(walled: Walled) -> None:
    walled.tag("add", "protected")
    walled.expect(open_=False)
    walled.asks_out()
    assert "\nFIREWALL=protected " in walled.recorded()
    walled.tag("remove", "protected")
    walled.expect(open_=True)


def test_a_profile_moves_with_its_guest(walled: Walled, story: Story) -> None:
    walled.tag("add", "protected")
    walled.expect(open_=False)
    before = story.node_of(NAME)
    story.gnt("instance", "migrate", "--force", walled.instance)
    assert story.node_of(NAME).name != before.name
    assert walled.reached() == {False}
    walled.asks_out()
    until("nothing is left where it was", lambda: left(before, walled.instance) == [], 20)
    walled.tag("remove", "protected")
    walled.expect(open_=True)


def test_a_profile_outlives_a_restart_of_the_guest_and_of_the_daemons(walled: Walled, story: Story) -> None:
    walled.tag("add", "protected")
    walled.expect(open_=False)
    story.gnt("instance", "reboot", "--type=hard", "--shutdown-timeout=2", walled.instance)
    with story.console(NAME) as console:
        console.report()
    for node in story.nodes:
        node.run("systemctl", "restart", "ganeti-ext-reaper", "ganeti-ext-eventd", "nfdhcpd")
    assert walled.reached() == {False}
    walled.asks_out()
    walled.tag("remove", "protected")
    walled.expect(open_=True)


def test_what_eventd_missed_is_caught_up(walled: Walled, story: Story) -> None:
    story.master.run("systemctl", "stop", "ganeti-ext-eventd")
    try:
        walled.tag("add", "protected")
        assert walled.reached() == {True}
    finally:
        story.master.run("systemctl", "start", "ganeti-ext-eventd")
    walled.expect(open_=False, within=10)
    walled.tag("remove", "protected")
    walled.expect(open_=True)


def test_a_profile_that_is_none_changes_nothing_and_is_told(walled: Walled, story: Story) -> None:
    walled.tag("add", "protected")
    walled.expect(open_=False)
    walled.tag("remove", "protected")
    walled.expect(open_=True)
    walled.tag("add", "castle")
    try:
        until(
            "eventd tells of it",
            lambda: "castle" in story.master.run("journalctl", "-u", "ganeti-ext-eventd", "-n", "50", "--no-pager"),
            20,
        )
        assert walled.reached() == {True}
    finally:
        walled.tag("remove", "castle")
