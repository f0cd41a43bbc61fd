"""An operator's day (docs/operations.md) on the real cluster: tenants notice nothing but that servers move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from ganeti_ext.errors import CommandError
from lab import cluster, ganeti, master
from lab.faults import dead, stopped
from lab.ganeti import NETWORK
from lab.node import Node
from lab.step import until
from lab.story import Story
from tests.lab import views
from tests.lab.day import RUNNING, SLEEPS, VOLUME, WALKS, Day

pytestmark = pytest.mark.long
SOON = 20.0  # seconds
UPGRADE, RESTORE = 60.0, 120.0  # seconds that the API may be away
GROUP = "second"
_POSTGRES = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
# All that have the database open.
_SERVICES = ("consumer", "api", "consoleproxy", "importer")


@pytest.fixture(scope="module")
def day(story: Story) -> Iterator[Day]:
    made = Day(story)
    yield made
    made.end()


@contextmanager
def drained(day: Day, node: Node) -> Iterator[None]:
    """No new servers come to a node, and administrators see that in the API."""
    day.gnt("node", "modify", "--drained=yes", node.name)
    try:
        until("it is said to be disabled", lambda: day.hypervisor(node) == "disabled", SOON)
        yield
    finally:
        day.gnt("node", "modify", "--drained=no", node.name)
    until("it is said to be enabled", lambda: day.hypervisor(node) == "enabled", SOON)


def left_on(day: Day, node: Node) -> set[str]:
    return {name for name, home in day.homes().items() if home == node.name}


def test_a_node_is_emptied(day: Day) -> None:
    """gnt-node migrate takes what runs; evacuate takes what is stopped, too, and holders of volumes."""
    node = day.nodes[1]
    day.gather(node)
    with day.unnoticed(), drained(day, node):
        with pytest.raises(CommandError, match=r"migrate"):
            day.gnt("node", "migrate", "--force", node.name)
        assert left_on(day, node) == {SLEEPS, VOLUME}
        day.gnt("node", "evacuate", "--force", "--primary-only", node.name)
        assert left_on(day, node) == set()


def test_an_emptied_node_is_switched_off_and_boots(day: Day) -> None:
    node = day.nodes[1]
    day.gather(day.nodes[2])
    with day.unnoticed(), drained(day, node):
        with dead(node, day.master):
            day.gnt("node", "modify", "--offline=yes", "--force", node.name)
        day.gnt("node", "modify", "--offline=no", "--force", "--auto-promote", node.name)
        day.move(WALKS, day.master)


def test_the_cluster_is_balanced(day: Day) -> None:
    day.gather(day.nodes[1])
    with day.unnoticed():
        said = day.master.run("hbal", "-L", "-X", timeout=300)
        assert len({home for name, home in day.homes().items() if name in RUNNING}) > 1, said


def test_a_server_moves_to_another_group_and_back(day: Day) -> None:
    node, other = day.nodes[1:3]
    day.gather(other)
    before = day.zone(WALKS)
    with day.unnoticed(), _group(day, node):
        day.move(WALKS, node)
        _comes_to(day, GROUP)
        day.move(WALKS, other)
    _comes_to(day, before)


def test_the_allocator_takes_a_server_to_another_group_and_back(day: Day) -> None:
    """The groups have a node or two: of one, hail says that none is left to start its servers on, should it die."""
    node, other = day.nodes[1:3]
    day.gather(other)
    before, option = day.zone(WALKS), "--default-iallocator-params="
    with day.unnoticed(), _group(day, node):
        day.gnt("cluster", "modify", f"{option}-no-capacity-checks")
        try:
            for group in (GROUP, before):
                day.gnt("instance", "change-group", "--to", group, day.instance(WALKS))
                _comes_to(day, group)
        finally:
            day.gnt("cluster", "modify", option)


def _comes_to(day: Day, zone: str) -> None:
    until(f"its zone is {zone}", lambda: day.zone(WALKS) == zone, SOON)


@contextmanager
def _group(day: Day, node: Node) -> Iterator[None]:
    """A node group with this node and the network, for a while."""
    before = day.gnt("node", "list", "--no-headers", "-o", "group", node.name).strip()
    day.gnt("group", "add", GROUP)
    day.gnt("network", "connect", "--nic-parameters=mode=bridged,link=br0", NETWORK, GROUP)
    try:
        day.gnt("group", "assign-nodes", GROUP, node.name)
        yield
    finally:
        day.gnt("group", "assign-nodes", before, node.name)
        day.gnt("network", "disconnect", NETWORK, GROUP)
        day.gnt("group", "remove", GROUP)


def test_the_master_fails_over_and_back(day: Day) -> None:
    first, second = day.nodes[:2]
    for node in (second, first):
        with day.unnoticed():
            master.fail_over(day.nodes, node, day.answers)
            other = next(each for each in day.nodes if each.name != day.homes()[WALKS])
            day.move(WALKS, other)


def test_a_node_leaves_and_joins(day: Day) -> None:
    node = day.nodes[1]
    day.gather(day.nodes[2])
    with day.unnoticed():
        day.gnt("node", "remove", node.name)
        until("it is not in the API any more", lambda: day.hypervisor(node) is None, SOON)
        ganeti.add(day.master, node)
        until("it is in the API", lambda: day.hypervisor(node) == "enabled", SOON)
        day.move(WALKS, node)


def test_our_packages_are_installed_anew_below_running_servers(day: Day) -> None:
    for node in day.nodes:
        with day.unnoticed(away=UPGRADE):
            cluster.install_on(node)
            until("all is well", lambda: _is_well(day.front), UPGRADE)
    with day.unnoticed():
        day.gather(day.nodes[1])


def test_a_backup_of_the_database_is_restored(day: Day) -> None:
    """What happened since it was made, comes from Ganeti."""
    day.gather(day.nodes[1])
    kept = day.front.run(*_POSTGRES, "pg_dump", views.DATABASE)
    day.gather(day.nodes[2])
    day.tenant.call("POST", f"/compute/v2.1/servers/{day.story.ids[WALKS]}/metadata", {"metadata": {"since": "then"}})
    until("Ganeti has it", lambda: day.agrees() and _metadata(day) == {"since": "then"}, SOON)
    with day.unnoticed(away=RESTORE), ExitStack() as undo:
        for name in _SERVICES:
            undo.enter_context(stopped(day.front, f"ganeti-ext-{name}"))
        day.front.run(*_POSTGRES, "dropdb", views.DATABASE)
        day.front.run(*_POSTGRES, "createdb", "--owner=ganeti-ext", views.DATABASE)
        day.front.run(*_POSTGRES, "psql", "--quiet", f"--dbname={views.DATABASE}", stdin=kept)
    assert _metadata(day) == {"since": "then"}
    until("all is well", lambda: _is_well(day.front), SOON)


def test_ganeti_finds_nothing_wrong_that_was_not_before(day: Day) -> None:
    until("all is well", lambda: _is_well(day.front), SOON)
    assert day.complaints() - day.complained == set()
    day.front.run("ganeti-ext-manage", "reconcile", "--ignore=apart,orphan,network-groups")  # fails when it finds some


def _metadata(day: Day) -> dict[str, str]:
    found: dict[str, str] = day.tenant.call("GET", f"/compute/v2.1/servers/{day.story.ids[WALKS]}/metadata")["metadata"]
    return found


def _is_well(front: Node) -> bool:
    try:
        front.run("ganeti-ext-manage", "health", "--probe")
    except CommandError:
        return False
    return True
