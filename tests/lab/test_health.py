"""That the way from Ganeti to the tenants' view is alive can be asked for, and who asks is told which leg is not."""

from __future__ import annotations

import json

import pytest

from lab.faults import stopped
from lab.node import Node
from lab.services import PORT
from lab.step import until
from lab.story import Story

_METRICS = "http://127.0.0.1:9467/metrics"


@pytest.fixture
def front(story: Story) -> Node:
    return story.nodes[2]


def test_a_probe_goes_all_the_way(story: Story, front: Node) -> None:
    assert _says(front).endswith("0\n"), _says(front)
    assert story.gnt("cluster", "list-tags").split() == []


@pytest.mark.parametrize(("node", "unit"), [(0, "ganeti-ext-eventd"), (2, "ganeti-ext-consumer")])
def test_a_probe_that_does_not_come_says_where_it_ended(story: Story, front: Node, node: int, unit: str) -> None:
    with stopped(story.nodes[node], unit):
        said = _says(front)
    assert "its message did not come" in said, said
    assert said.endswith("1\n"), said
    until("the way is alive again", lambda: _says(front).endswith("0\n"), 60)


def test_who_may_know_nothing_sees_it_too(front: Node) -> None:
    """As load balancers do, without a token."""
    health = json.loads(_get(front, f"http://127.0.0.1:{PORT}/health"))
    assert health["parts"], health


def test_every_node_tells_prometheus_of_its_daemons(story: Story) -> None:
    for node, daemons in zip(
        story.nodes,
        ({"eventd", "nfdhcpd", "reaper"},) * 2 + ({"eventd", "nfdhcpd", "reaper", "consumer"},),
        strict=True,
    ):
        lines = _get(node, _METRICS).splitlines()
        up = {daemon for daemon in daemons if f'ganeti_ext_up{{daemon="{daemon}"}} 1.0' in lines}
        assert up == daemons, [line for line in lines if line.startswith("ganeti_ext_up")]


def _says(front: Node) -> str:
    """What `health --probe` prints, and its exit code on the last line."""
    return front.run("sh", "-c", "ganeti-ext-manage health --probe 2>&1; echo $?")


def _get(node: Node, url: str) -> str:
    program = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=10).read().decode())"
    return node.run("python3", "-c", program, url)
