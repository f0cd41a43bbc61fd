"""Two clusters behind one front: servers on both, one that hangs or is dead, and what the other feels of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from ganeti_ext.errors import CommandError
from lab import second, services
from lab.faults import dead, halted
from lab.ganeti import NETWORK
from lab.node import Node
from lab.step import until
from lab.story import PREFIX, Story
from tests.lab.guests import pings

pytestmark = pytest.mark.long

HERE, THERE = "at-home", "beside"
_FRONT = 3
_TIMES = {"clusters": {"seconds": "5", "unknown": "10", "timeout": "5"}, "reconcile": {"seconds": "20"}}


@pytest.fixture(scope="module")
def beside(story: Story) -> Iterator[Node]:
    """The second cluster's node, and one server in each cluster, both placed by their zone."""
    with services.settings(story.nodes[_FRONT - 1], _TIMES):
        one = second.up(story.nodes)
        try:
            yield one
        finally:
            for name in (HERE, THERE):
                if any(each["Name"] == name for each in story.tenant.openstack("server", "list")):
                    story.tenant.run("server", "delete", "--wait", name)
            second.down(story.nodes)


def _create(story: Story, name: str, zone: str, network: str) -> str:
    words = (f"--image={services.IMAGE}", f"--flavor={services.FLAVOR}", f"--network={network}")
    made = story.tenant.openstack("server", "create", *words, f"--availability-zone={zone}", "--wait", name)
    assert made["status"] == "ACTIVE", made
    return str(made["id"])


def _turn(story: Story) -> float:
    """Seconds that the server at home takes to be off and on again, as its tenant sees it."""
    began = time.monotonic()
    for verb, status in (("stop", "SHUTOFF"), ("start", "ACTIVE")):
        story.tenant.run("server", verb, HERE)
        story.status(HERE, status)
    return time.monotonic() - began


def _status(story: Story, name: str) -> str:
    return str(story.tenant.show(name)["status"])


def _zones(story: Story) -> set[str]:
    return {each["Zone Name"] for each in story.tenant.openstack("availability", "zone", "list", "--compute")}


def test_servers_live_on_both(story: Story, beside: Node) -> None:
    wanted = {"cluster.lab", second.NAME, f"{second.NAME}/default"}  # its node groups, once it has been compared with
    until(f"there are the zones {wanted}", lambda: wanted <= _zones(story), 40)
    here = _create(story, HERE, "cluster.lab", NETWORK)
    there = _create(story, THERE, second.NAME, second.NETWORK)
    assert PREFIX + here in story.gnt("instance", "list", "--no-headers", "-o", "name")
    assert PREFIX + there in beside.run("gnt-instance", "list", "--no-headers", "-o", "name")
    for name, network in ((HERE, NETWORK), (THERE, second.NETWORK)):
        address = story.tenant.addresses(name, network)[0]
        until(f"{name} answers at {address}", lambda address=address: pings(address, "-W", "1"), 60)  # type: ignore[misc]
    assert "GUEST booted" in story.tenant.run("console", "log", "show", THERE)


def test_what_an_administrator_does_there_is_known(story: Story, beside: Node) -> None:
    name = PREFIX + str(story.tenant.show(THERE)["id"])
    beside.run("gnt-instance", "shutdown", "--timeout=2", name)
    story.status(THERE, "SHUTOFF")
    beside.run("gnt-instance", "start", name)
    story.status(THERE, "ACTIVE")


def test_what_is_of_two_clusters_is_refused(story: Story) -> None:
    words = (f"--image={services.IMAGE}", f"--flavor={services.FLAVOR}")
    networks = (f"--network={NETWORK}", f"--network={second.NETWORK}")
    with pytest.raises(CommandError, match="is of another cluster"):
        story.tenant.run("server", "create", *words, *networks, "torn")


@pytest.mark.parametrize("fault", [halted, dead])
def test_one_that_is_lost_slows_nobody_and_returns(
    story: Story, beside: Node, fault: Callable[[Node], AbstractContextManager[None]], told: list[str]
) -> None:
    before = _turn(story)
    with fault(beside):
        story.status(THERE, "UNKNOWN", 60)
        assert story.tenant.show(THERE)["OS-EXT-STS:power_state"] in (0, "NOSTATE")
        during = _turn(story)
        began = time.monotonic()
        with pytest.raises(CommandError, match="does not answer now"):
            story.tenant.run("server", "delete", THERE)
        refused = time.monotonic() - began
        with pytest.raises(CommandError, match="503"):
            story.tenant.run("server", "create", *_words(), f"--availability-zone={second.NAME}", "nowhere")
        assert _status(story, HERE) == "ACTIVE"
    line = f"clusters, {fault.__name__}: a stop and a start at home {before:.1f} s, meanwhile {during:.1f} s"
    told.append(f"{line}; a refusal {refused:.1f} s")
    assert during < before + 5, line
    assert refused < 10
    back = time.monotonic()
    until(f"{THERE} is back", lambda: _status(story, THERE) in ("ACTIVE", "SHUTOFF"), 120)
    told.append(f"clusters, {fault.__name__}: known again after {time.monotonic() - back:.1f} s")
    if _status(story, THERE) == "SHUTOFF":  # its node had lost its power
        story.tenant.run("server", "start", THERE)
        story.status(THERE, "ACTIVE")


def _words() -> tuple[str, ...]:
    return (f"--image={services.IMAGE}", f"--flavor={services.FLAVOR}", f"--network={second.NETWORK}")


def test_a_cluster_that_is_offline_is_left_alone(story: Story) -> None:
    front = story.nodes[_FRONT - 1]
    front.run("ganeti-ext-manage", "cluster-offline", second.NAME)
    try:
        story.status(THERE, "UNKNOWN", 30)
        with pytest.raises(CommandError, match="409"):
            story.tenant.run("server", "delete", THERE)
        with pytest.raises(CommandError, match="there are still 1 servers"):
            front.run("ganeti-ext-manage", "cluster-remove", second.NAME)
    finally:
        front.run("ganeti-ext-manage", "cluster-online", second.NAME)
    story.status(THERE, "ACTIVE", 60)
