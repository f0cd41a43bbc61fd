"""A pool of a real Ceph, in memory, and two nodes that use it."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from extstorage.provider import VERBS
from tests.contract.extstorage.conformance.site import Caller, Point
from tests.contract.extstorage.rbd_node import VERBS as PLACE
from tests.contract.extstorage.rbd_node import Node, empty, full

# The steps of a verb are messages that threads of librados send, and no two runs send the same; test_rbd_kills.py
# kills at each step. Here: when all is done, and nobody was told.
END = Point("exit_group", 1, "exit_group(0)")


class RbdSite:
    """A pool and two nodes, of which one is across a wire."""

    changes = ""
    points: tuple[Point, ...] = (END,)

    def __init__(self, nodes: tuple[Node, Node], folder: Path) -> None:
        self._nodes = nodes
        self._node = nodes[0]
        self._eye = nodes[0].eye
        self._configure()
        self.a, self.b = (Caller(_verbs(node, folder / node.name), node.env(""), node.forks) for node in nodes)

    def direct(self, verb: str, name: str = "v", **more: str) -> str:
        return self._node.direct(verb, name, **more)

    def image(self, name: str, content: bytes) -> None:
        self._eye.ask(f"put('image.{name}', content)", content=content)

    def drop_image(self, name: str) -> None:
        self._eye.ask(f"drop('image.{name}')")

    def volumes(self) -> list[str]:
        return [name for name in self._node.names() if not name.startswith("image.")]

    def read(self, name: str) -> bytes:
        return bytes(self._eye.ask(f"read({name!r})"))

    def write(self, name: str, offset: int, content: bytes) -> None:
        self._eye.ask(f"write({name!r}, {offset}, content)", content=content)

    def size(self, name: str) -> int:
        return int(self._eye.ask(f"size({name!r})"))

    def devices(self) -> list[str]:
        return []

    def holders(self, name: str) -> list[str]:
        found = self._node.admin(f"[(h.node, h.mode) for n, who in a.locks(s) if n == {name!r} for h in who]")
        return [f"{node.removesuffix('.lab')} {mode}" for node, mode in found]

    def offline(self, *nodes: str) -> None:
        for node in self._nodes:
            node.ssconf(*(f"{name}.lab" for name in nodes))

    def mend(self) -> None:
        for node in self._nodes:
            node.admin("len(a.mend(s))")

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        try:
            full(self._node, is_so=True)
            yield
        finally:
            full(self._node, is_so=False)

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        self._configure(timeout=1)
        try:
            with self._node.ceph.frozen():
                yield
        finally:
            self._configure()

    def empty(self) -> None:
        self.offline()
        empty(self._node)

    def _configure(self, **more: object) -> None:
        for node in self._nodes:
            node.configure(**more)


def _verbs(node: Node, folder: Path) -> Path:
    """A directory of scripts that run the verbs where the node is, with the environment that they are called with."""
    folder.mkdir()
    for verb in VERBS:
        words = shlex.join(node.ceph.inside(f"{PLACE}/{verb}"))
        (folder / verb).write_text(f"#!/bin/sh\nexec {words}\n")
        (folder / verb).chmod(0o755)
    return folder


@contextlib.contextmanager
def site(folder: Path, request: pytest.FixtureRequest) -> Iterator[RbdSite]:
    """The pool that all tests share, one after the other."""
    yield RbdSite(request.getfixturevalue("cluster"), folder)
