"""A pool of a real Ceph, in memory, and two nodes that use it."""

from __future__ import annotations

import base64
import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from lab import ceph
from tests.contract.extstorage.conformance.site import Caller
from tests.contract.extstorage.rbd_node import VERBS, Node, empty, made

# The steps of a verb are messages that threads of librados send, and no two runs send the same; test_rbd_faults.py
# kills at each step. Here: before the verb, and what this node remembers.
CHANGES = r"^execve\(.*extstorage/rbd|^(unlink|mkdir|utimensat)\(|^openat\(.*O_CREAT"
PYTHON = """
import base64, rados, rbd, sys
with rados.Rados(conffile="/etc/ceph/ceph.conf", rados_id="admin") as cluster, cluster.open_ioctx("rbd") as io:
    with rbd.Image(io, sys.argv[1]) as image:
        image.write(base64.b64decode(sys.stdin.read()), int(sys.argv[2]))
"""


class RbdSite:
    """A pool and two nodes, of which one is across a wire."""

    changes = CHANGES
    follow: tuple[str, ...] = ()

    def __init__(self, nodes: tuple[Node, Node], folder: Path) -> None:
        self._nodes = nodes
        self._node = nodes[0]
        self._configure()
        self.a, self.b = (Caller(_verbs(node, folder / node.name), node.env("v")) for node in nodes)

    def image(self, name: str, content: bytes) -> None:
        (self._node.ceph.root / "tmp/image").write_bytes(content)
        self._rbd("import", "--no-progress", "/tmp/image", f"image.{name}")

    def drop_image(self, name: str) -> None:
        if f"image.{name}@" in self._rbd("snap", "ls", f"image.{name}", "--format=json") or True:
            self._rbd("snap", "purge", "--no-progress", f"image.{name}")
        self._rbd("rm", "--no-progress", f"image.{name}")

    def volumes(self) -> list[str]:
        return sorted(name for name in self._node.names() if not name.startswith("image."))

    def read(self, name: str) -> bytes:
        file = f"/tmp/{uuid.uuid4()}"
        self._rbd("export", "--no-progress", name, file)
        content = (self._node.ceph.root / file[1:]).read_bytes()
        (self._node.ceph.root / file[1:]).unlink()
        return content

    def write(self, name: str, offset: int, content: bytes) -> None:
        text = base64.b64encode(content).decode()
        self._node.ceph.run("python3", "-c", PYTHON, name, str(offset), stdin=text)

    def size(self, name: str) -> int:
        return int(self._node.admin(f"[f.logical for f in a.listing(s) if f.name == {name!r}][0]"))

    def devices(self) -> list[str]:
        return []

    def holders(self, name: str) -> list[str]:
        return self._node.admin(f"*(f'{{h.node}} {{h.mode}}' for h in dict(a.locks(s)).get({name!r}, ())), sep=','")[
            :
        ].split(",") if self._held(name) else []

    def offline(self, *nodes: str) -> None:
        for node in self._nodes:
            node.ssconf(offline="\n".join(nodes), names=("a", "b"))

    def mend(self) -> None:
        for node in self._nodes:
            node.admin("a.mend(s)")

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        self._node.ceph.run("ceph", "osd", "set-full-ratio", "0.0")
        yield

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        self._configure(timeout=1)
        with self._node.ceph.frozen():
            yield
        self._configure()

    def empty(self) -> None:
        self.offline()
        empty(self._node)

    def _configure(self, **more: object) -> None:
        for node in self._nodes:
            node.configure(node=node.name, **more)
        self.offline()

    def _rbd(self, *words: str) -> str:
        return self._node.ceph.run("rbd", *words)
