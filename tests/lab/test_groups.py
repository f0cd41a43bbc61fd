"""A tenant's own security group on a real guest: in force by one job, out of Ganeti's own file, and rebuilt from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lab.ganeti import NETWORK
from lab.node import Node
from lab.step import until
from lab.story import Story, create_words
from tests.lab import guests, views

pytestmark = pytest.mark.long

NAME, PEER, GROUP = "grouped", "grouped-peer", "lab-web"
SOON = 10.0  # seconds after the tenant was answered; how few they are, bench/firewall measures
MEMBERS = 5.0
LATER = 30.0
_TAGS = "ganeti-ext:sg."


class Grouped:
    """A server in a group that lets nothing in at first, and whether the router's pings come through to it."""

    def __init__(self, story: Story) -> None:
        self.story, self.tenant = story, story.tenant
        self.group: dict[str, Any] = self.tenant.openstack("security", "group", "create", GROUP)
        made = self.tenant.openstack(*create_words(NAME), "--security-group", GROUP, "--wait")
        story.ids[NAME] = made["id"]
        self.addresses = self.tenant.addresses(NAME, NETWORK)

    def reached(self) -> set[bool]:
        return {guests.pings(address) for address in self.addresses}

    def expect(self, *, open_: bool, within: float = SOON) -> None:
        guests.expect(NAME, self.addresses, open_=open_, within=within)

    def let_in(self) -> None:
        """Rules for pings of both families, one after the other."""
        for family, protocol in (("IPv4", "icmp"), ("IPv6", "ipv6-icmp")):
            words = ("--ingress", "--ethertype", family, "--protocol", protocol, GROUP)
            self.tenant.openstack("security", "group", "rule", "create", *words)

    def shut(self) -> bool:
        """Delete all rules that let something in; tell whether there were any."""
        found = self.tenant.openstack("security", "group", "rule", "list", "--ingress", GROUP)
        if found:
            self.tenant.run("security", "group", "rule", "delete", *(rule["ID"] for rule in found))
        return bool(found)

    def names(self) -> list[str]:
        """The groups that the tenant has."""
        return [each["Name"] for each in self.tenant.openstack("security", "group", "list")]

    def tags(self) -> list[str]:
        """Those of the cluster that tell of the group."""
        found = self.story.gnt("cluster", "list-tags").split()
        return [tag for tag in found if tag.startswith(f"{_TAGS}{self.group['id'][:8]}.")]


@pytest.fixture(scope="module")
def grouped(story: Story) -> Iterator[Grouped]:
    made = Grouped(story)
    with story.console(NAME) as console:
        console.report()
    yield made
    story.tenant.run("server", "delete", "--wait", story.ids.pop(NAME))
    story.tenant.run("security", "group", "delete", made.group["id"])
    until("nothing of it is left in Ganeti", lambda: made.tags() == [], 180)


@pytest.fixture(autouse=True)
def shut(grouped: Grouped) -> Iterator[None]:
    """Whatever became of a test, the next one begins with a group that lets nothing in."""
    yield
    if grouped.shut():
        grouped.expect(open_=False)


def records(node: Node, instance: str) -> list[str]:
    folder = "/run/ganeti-ext/taps"
    found = (node.read(f"{folder}/{name}") for name in node.listing(folder))
    return [text for text in found if f"INSTANCE={instance}\n" in text]


def test_a_rule_is_in_force_soon(grouped: Grouped) -> None:
    assert grouped.reached() == {False}
    grouped.let_in()
    grouped.expect(open_=True)
    grouped.shut()
    grouped.expect(open_=False)


def test_nobody_has_to_tell_the_nodes(grouped: Grouped, story: Story) -> None:
    """Ganeti takes the group there by itself; a reaper that was away finds it when it is back."""
    story.master.run("systemctl", "stop", "ganeti-ext-eventd")
    try:
        grouped.let_in()
        grouped.expect(open_=True)
    finally:
        story.master.run("systemctl", "start", "ganeti-ext-eventd")
    home = story.node_of(NAME)
    home.run("systemctl", "stop", "ganeti-ext-reaper")
    try:
        grouped.shut()
        assert grouped.reached() == {True}
    finally:
        home.run("systemctl", "start", "ganeti-ext-reaper")
    grouped.expect(open_=False, within=LATER)


def test_it_moves_with_its_guest_and_follows_there(grouped: Grouped, story: Story) -> None:
    grouped.let_in()
    grouped.expect(open_=True)
    instance, before = story.instance(NAME), story.node_of(NAME)
    story.gnt("instance", "migrate", "--force", instance)
    assert story.node_of(NAME).name != before.name
    grouped.expect(open_=True, within=LATER)
    (record,) = records(story.node_of(NAME), instance)
    assert f"\nFIREWALL=@{grouped.group['id'][:8]} " in record
    grouped.shut()
    grouped.expect(open_=False)


def test_groups_add_up(grouped: Grouped, story: Story) -> None:
    story.tenant.run("server", "add", "security", "group", NAME, "ssh")  # which lets pings in
    try:
        grouped.expect(open_=True)
    finally:
        story.tenant.run("server", "remove", "security", "group", NAME, "ssh")
    grouped.expect(open_=False)


def test_members_let_each_other_in(grouped: Grouped, story: Story) -> None:
    """A rule for the group's own members: another server is let in while it is one, and the router never."""
    story.tenant.run(
        *("security", "group", "rule", "create", "--ingress", "--protocol", "icmp", "--remote-group", GROUP, GROUP)
    )
    story.ids[PEER] = story.tenant.openstack(*create_words(PEER), "--wait")["id"]
    (target,) = (address for address in grouped.addresses if ":" not in address)
    try:
        with story.console(PEER) as console:
            console.report()

            def comes() -> bool:
                said = console.ask(f"ping -c 1 -W 1 {target} > /dev/null && echo rea'ch'es || echo no")
                return "reaches" in said

            assert not comes()
            story.tenant.run("server", "add", "security", "group", PEER, GROUP)
            until("a member comes through", comes, MEMBERS)
            assert grouped.reached() == {False}
            story.tenant.run("server", "remove", "security", "group", PEER, GROUP)
            until("who is no member does not", lambda: not comes(), MEMBERS)
            for node in story.nodes:
                assert f"{grouped.group['id'][:8]} {target}" in node.read("/run/ganeti-ext/members/told")
    finally:
        story.tenant.run("server", "delete", "--wait", story.ids.pop(PEER))


def test_a_database_that_lost_it_has_it_again(grouped: Grouped, story: Story) -> None:
    grouped.let_in()
    grouped.expect(open_=True)
    until("what was before is gone", lambda: len({tag.split(".")[2] for tag in grouped.tags()}) == 1, 60)
    before = story.tenant.openstack("security", "group", "show", GROUP)
    front = story.nodes[2]
    views.sql(front, "delete from owed where what = 'group'; delete from security_group_rule")
    views.sql(front, "delete from security_group")
    front.run("systemctl", "restart", "ganeti-ext-consumer")
    until("it is there again", lambda: GROUP in grouped.names(), LATER)
    after = story.tenant.openstack("security", "group", "show", GROUP)
    assert _plain(after) == _plain(before)
    assert grouped.reached() == {True}
    grouped.shut()
    grouped.expect(open_=False)


def test_an_administrator_takes_it_away(grouped: Grouped, story: Story) -> None:
    """Nodes then let nothing come by it; the front hears of it, and the tenant has it no more."""
    grouped.let_in()
    grouped.expect(open_=True)
    until("what was before is gone", lambda: len({tag.split(".")[2] for tag in grouped.tags()}) == 1, 60)
    kept = grouped.tags()
    story.gnt("cluster", "remove-tags", *kept)
    grouped.expect(open_=False)
    until("the tenant has it no more", lambda: GROUP not in grouped.names(), LATER)
    story.gnt("cluster", "add-tags", *kept)
    grouped.expect(open_=True)
    until("the tenant has it again", lambda: GROUP in grouped.names(), LATER)
    grouped.shut()
    grouped.expect(open_=False)


def _plain(shown: dict[str, Any]) -> dict[str, Any]:
    """A group as the client shows it, its rules in no order."""
    rules = sorted(str(sorted(rule.items())) for rule in shown["rules"])
    times = ("revision_number", "updated_at", "created_at")
    return {**{key: value for key, value in shown.items() if key not in times}, "rules": rules}
