"""That the way from Ganeti to the tenants' view is alive can be asked for, and who asks is told which leg is not."""

from __future__ import annotations

import json

import pytest

from ganeti_ext.errors import CommandError
from lab.faults import stopped
from lab.node import Node
from lab.services import PORT
from lab.step import until
from lab.story import Story

_METRICS = "http://127.0.0.1:9467/metrics"


@pytest.fixture
def front(story: Story) -> Node:
    return story.nodes[2]


def test_a_probe_goes_all_the_way(front: Node) -> None:
    front.run("ganeti-ext-manage", "health", "--probe")


@pytest.mark.parametrize(
    ("node", "unit", "told"),
    [
        (0, "ganeti-ext-eventd", "its message did not come"),
        (2, "ganeti-ext-consumer", "its message did not come"),
    ],
)
def test_a_probe_that_does_not_come_says_where_it_ended(story: Story, node: int, unit: str, told: str) -> None:
    with stopped(story.nodes[node], unit), pytest.raises(CommandError) as refused:
        story.nodes[2].run("ganeti-ext-manage", "health", "--probe")
    assert told in str(refused.value)
    until("the way is alive again", lambda: _comes(story.nodes[2]), 60)


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


def _comes(front: Node) -> bool:
    try:
        front.run("ganeti-ext-manage", "health", "--probe")
    except CommandError:
        return False
    return True


def _get(node: Node, url: str) -> str:
    program = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=10).read().decode())"
    return node.run("python3", "-c", program, url)
