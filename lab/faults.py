"""Ways to break a part of the lab, for the length of a `with` block."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from lab.node import Node


@contextlib.contextmanager
def stopped(node: Node, unit: str) -> Iterator[None]:
    """A unit is down, and up again afterwards."""
    node.run("systemctl", "stop", unit)
    try:
        yield
    finally:
        node.run("systemctl", "start", unit, timeout=180)


@contextlib.contextmanager
def frozen(node: Node, unit: str) -> Iterator[None]:
    """Every process of a unit stands still, but is not gone."""
    node.run("systemctl", "kill", "--signal=STOP", unit)
    try:
        yield
    finally:
        node.run("systemctl", "kill", "--signal=CONT", unit)


def kill(node: Node, unit: str) -> None:
    """End a unit's processes without notice; systemd may start it again."""
    node.run("systemctl", "kill", "--signal=KILL", unit)
