"""A site without RabbitMQ: the front on the master, eventd's outbox as the broker; its database built from Ganeti."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import services
from lab.node import DEBS, Node
from lab.step import until
from lab.story import Story, create_words

pytestmark = pytest.mark.long
NAME = "alone"


@pytest.fixture
def master(story: Story) -> Iterator[Node]:
    """The master with a front of its own, and a server in the cluster that this front was never told of."""
    node = story.master
    story.ids[NAME] = story.tenant.openstack(*create_words(NAME), "--wait")["id"]
    broker = node.read("/etc/ganeti-ext/eventd.conf")
    node.run("apt-get", "install", "--yes", "--quiet", f"{DEBS}/{_front_package(node)}")
    node.write("/etc/ganeti-ext/eventd.conf", "", "640")
    node.run("systemctl", "restart", "ganeti-ext-eventd")
    services.configure_front(node, node, "")
    yield node
    node.run("apt-get", "purge", "--yes", "--quiet", "ganeti-ext-frontend")
    node.write("/etc/ganeti-ext/eventd.conf", broker, "640")
    node.run("systemctl", "restart", "ganeti-ext-eventd")
    story.tenant.run("server", "delete", "--wait", story.ids.pop(NAME))


def test_the_front_needs_no_broker_and_finds_its_servers_in_ganeti(story: Story, master: Node) -> None:
    ident = story.ids[NAME]

    def row() -> list[str]:
        lines = master.run("ganeti-ext-manage", "server-list").splitlines()
        return next((line.split() for line in lines if ident in line), [])

    until("the new front finds the server by its tags", lambda: {NAME, "ACTIVE"} <= set(row()), 20)
    story.gnt("instance", "shutdown", "--timeout=2", story.instance(NAME))
    until("the new front hears of the shutdown", lambda: "SHUTOFF" in row(), 5)
    story.gnt("instance", "start", story.instance(NAME))
    until("the new front hears of the start", lambda: "ACTIVE" in row(), 5)


def test_nothing_of_it_is_left(story: Story) -> None:
    assert story.master.listing("/var/lib/ganeti-ext/frontend") == []
    assert "frontend.conf" not in story.master.listing("/etc/ganeti-ext")


def _front_package(node: Node) -> str:
    return next(name for name in node.listing(DEBS) if name.startswith("ganeti-ext-frontend_"))
