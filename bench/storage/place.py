"""The place of a run: a Debian 13 root with our code and the peers, a namespace, a worker, file systems of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench import PLACE, ROOT, netns, root
from bench.remote import Remote
from bench.result import Result
from bench.root import OURS, PATH
from bench.storage import share
from bench.storage.share import PIECE, Share
from lab import layer
from lab.ceph import Ceph

PACKAGES = ("btrfs-progs", "ceph-common", "fio", "qemu-block-extra", "qemu-utils", "xfsprogs")
NAMESPACE = "bench-storage"
CEPH = PLACE / "ceph"


class Size(NamedTuple):
    """How much is measured: `seconds` is the length of one run of fio, `pieces` how scattered a disk is.

    `kinds` are the file systems that reads and writes are measured on.
    """

    rounds: int
    seconds: float
    servers: int
    pieces: int
    kinds: tuple[str, ...]
    nice: int


@dataclass(frozen=True)
class Bench:
    """What every part measures with."""

    lowerdir: str
    root: Path
    remote: Remote
    size: Size
    result: Result

    def timed(self, argv: list[str], env: dict[str, str] | None = None) -> tuple[float, str]:
        """Run a program in the root to its end: milliseconds by the clock, and what it said on stdout."""
        wall, said = self.remote.call("timed", argv, {"PATH": PATH, **(env or {})})
        return float(wall), str(said)

    def run(self, *argv: str, env: dict[str, str] | None = None) -> str:
        return self.timed(["/usr/bin/env", *argv], env)[1]

    def verb(self, provider: str, verb: str) -> list[str]:
        return [f"{OURS}/extstorage/{provider}/{verb}"]

    def write(self, path: str, text: str) -> None:
        """A file in the root."""
        file = self.root / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def share(self, kind: str, piece: int = PIECE) -> contextlib.AbstractContextManager[Share]:
        """A file system with the provider's configuration for it, for the length of a `with` block.

        Its image has PIECES such pieces of data.
        """
        return _configured(self, kind, piece)


@contextlib.contextmanager
def bench(size: Size, result: Result, tree: Path = ROOT) -> Iterator[Bench]:
    """Make the place, with the provider of this tree, and take it away."""
    lower = layer.lower("bench-storage", PACKAGES)
    clear()
    with contextlib.ExitStack() as undo:
        undo.callback(clear)
        undo.enter_context(netns.namespaces(NAMESPACE))
        lowerdir = f"{root.code(tree, lower, 'extstorage')}:{lower}"
        made = undo.enter_context(layer.mounted(lowerdir, PLACE / "bench"))
        undo.enter_context(root.mounts(made, ("tmpfs", "run"), ("sysfs", "sys")))
        argv = root.enter(NAMESPACE, made, "python3", "-m", "bench.storage.inside")
        remote = Remote(argv, made / "var/log/inside.log", size.nice)
        undo.callback(remote.close)
        yield Bench(lowerdir, made, remote, size, result)


def clear() -> None:
    """Take away what stands there, of a run that was killed too."""
    Ceph(CEPH).down()
    share.clear()
    root.clear()


@contextlib.contextmanager
def _configured(bench: Bench, kind: str, piece: int) -> Iterator[Share]:
    with share.mounted(kind, bench.root, piece) as made:
        text = f"[cow]\ndirectory = {made.inside}\nrun_directory = /run/ganeti-ext/{kind}\nnode = bench\n"
        bench.write(f"{made.etc}/cow.conf", text)
        yield made
