"""A pool of a real Ceph, in memory, and two nodes that use it."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from extstorage.provider import VERBS
from lab.step import until
from tests.contract.extstorage.conformance.site import Caller
from tests.contract.extstorage.rbd_node import VERBS as PLACE
from tests.contract.extstorage.rbd_node import Node, empty

# The steps of a verb are messages that threads of librados send, and no two runs send the same; test_rbd_kills.py
# kills at each step. Here: when all is done, and nobody was told.
CHANGES = r"^exit_group\("


class RbdSite:
    """A pool and two nodes, of which one is across a wire."""

    changes = CHANGES
    follow: tuple[str, ...] = ()

    def __init__(self, nodes: tuple[Node, Node], folder: Path) -> None:
        self._nodes = nodes
        self._node = nodes[0]
        self._eye = nodes[0].eye
        self._configure()
        self.a, self.b = (Caller(_verbs(node, folder / node.name), node.env(""), node.forks) for node in nodes)

    def direct(self, verb: str, name: str = "v", **more: str) -> str:
        return self._node.ok(verb, name, **more)

    def image(self, name: str, content: bytes) -> None:
        self._eye.ask(f"put('image.{name}', {content!r})")

    def drop_image(self, name: str) -> None:
        self._eye.ask(f"drop('image.{name}')")

    def volumes(self) -> list[str]:
        return [name for name in self._node.names() if not name.startswith("image.")]

    def read(self, name: str) -> bytes:
        return bytes(self._eye.ask(f"read({name!r})"))

    def write(self, name: str, offset: int, content: bytes) -> None:
        self._eye.ask(f"write({name!r}, {offset}, {content!r})")

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
            self._full("full", "100000", full=True)
            yield
        finally:
            self._full("none", full=False)

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

    def _full(self, *words: str, full: bool) -> None:
        self._node.ceph.run("ceph", "tell", "osd.0", "injectfull", *words)
        until(f"the monitor knows of a full OSD: {full}", lambda: ("full" in self._eye.ask("health()")) == full, 20)


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
