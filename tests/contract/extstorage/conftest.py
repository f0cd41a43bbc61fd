"""File systems of the tests' own, with reflinks and without, and a Ceph."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.extstorage import rbd_node
from tests.contract.extstorage.choice import on
from tests.contract.extstorage.harness import Node, add_node, empty, mounted


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[rbd_node.Node, rbd_node.Node]]:
    with rbd_node.started(tmp_path_factory.mktemp("ceph")) as both:
        yield both


@pytest.fixture(scope="session", params=on("xfs", "btrfs", "tmpfs"))
def any_share(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with mounted(request.param, tmp_path_factory.mktemp(request.param)) as point:
        yield point


@pytest.fixture(scope="session")
def xfs_share(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with mounted("xfs", tmp_path_factory.mktemp("reflink")) as point:
        yield point


@pytest.fixture(scope="session")
def btrfs_share(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with mounted("btrfs", tmp_path_factory.mktemp("subvolumes")) as point:
        yield point


@pytest.fixture
def btrfs(btrfs_share: Path, tmp_path: Path) -> Iterator[Node]:
    yield add_node(btrfs_share, tmp_path / "y")
    empty(btrfs_share)


@pytest.fixture
def nodes(any_share: Path, tmp_path: Path) -> Iterator[tuple[Node, Node]]:
    yield add_node(any_share, tmp_path / "a"), add_node(any_share, tmp_path / "b")
    empty(any_share)


@pytest.fixture
def node(nodes: tuple[Node, Node]) -> Node:
    return nodes[0]


@pytest.fixture
def xfs(xfs_share: Path, tmp_path: Path) -> Iterator[Node]:
    yield add_node(xfs_share, tmp_path / "x")
    empty(xfs_share)
