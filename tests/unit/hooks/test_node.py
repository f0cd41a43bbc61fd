from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from hooks import node

NODES = ["node1.example.org", "node2.example.org", "node10.example.org"]


def never() -> str:
    raise AssertionError("the resolver was asked")


@pytest.mark.parametrize("host", ["node1", "node1.example.org"])
def test_a_host_is_the_node_of_its_name(host: str) -> None:
    assert node.matches("node1.example.org", NODES, host, never)
    assert not node.matches("node2.example.org", NODES, host, never)
    assert not node.matches("node10.example.org", NODES, host, never)


def test_a_node_may_have_a_name_without_a_dot() -> None:
    assert node.matches("node1", ["node1", "node2"], "node1", never)


@pytest.mark.parametrize(
    ("nodes", "host"),
    [(["node1.a.example", "node1.b.example"], "node1"), (NODES, "web7"), ([], "node1"), (NODES, "node1.local")],
)
def test_a_name_that_says_too_little_is_resolved(nodes: list[str], host: str) -> None:
    assert node.matches("node1.b.example", nodes, host, lambda: "node1.b.example")
    assert not node.matches("node1.a.example", nodes, host, lambda: "node1.b.example")


def test_the_nodes_are_those_that_ganeti_wrote_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getfqdn", never)
    host = os.uname().nodename.lower()
    (tmp_path / "ssconf_node_list").write_text(f"{host}\nanother.example.org\n")
    assert node.is_this(host, str(tmp_path))
    assert not node.is_this("another.example.org", str(tmp_path))


def test_without_them_the_resolver_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getfqdn", lambda: "Node1.example.org")
    assert node.is_this("node1.example.org", str(tmp_path))
    assert not node.is_this("node2.example.org", str(tmp_path))
