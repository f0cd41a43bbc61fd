"""The place of a run: a Debian 13 root with our code and the peers, a namespace, a worker, file systems of its own."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench import PLACE, ROOT, netns
from bench.firewall.place import clear as unmount
from bench.firewall.remote import Remote
from bench.result import Result
from bench.storage import share
from bench.storage.share import Share
from ganeti_ext.command import run
from lab import layer
from lab.ceph import Ceph

PACKAGES = ("btrfs-progs", "ceph-common", "fio", "qemu-block-extra", "qemu-utils", "xfsprogs")
NAMESPACE = "bench-storage"
OURS = "/opt/ganeti-ext"  # in the root
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
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

    def share(self, kind: str) -> contextlib.AbstractContextManager[Share]:
        """A file system with the provider's configuration for it, for the length of a `with` block."""
        return _configured(self, kind)


@contextlib.contextmanager
def bench(size: Size, result: Result, tree: Path = ROOT) -> Iterator[Bench]:
    """Make the place, with the provider of this tree, and take it away."""
    lower = layer.lower("bench-storage", PACKAGES)
    clear()
    with contextlib.ExitStack() as undo:
        undo.callback(clear)
        undo.enter_context(netns.namespaces(NAMESPACE))
        lowerdir = f"{_code(tree, lower)}:{lower}"
        root = undo.enter_context(layer.mounted(lowerdir, PLACE / "bench"))
        for kind, target in (("tmpfs", "run"), ("sysfs", "sys")):
            run(["mount", "-t", kind, kind, str(root / target)])
            undo.callback(run, ["umount", "--recursive", "--lazy", str(root / target)])
        remote = Remote(
            enter(root, "python3", "-m", "bench.storage.inside", str(size.nice)), root / "var/log/inside.log"
        )
        undo.callback(remote.close)
        yield Bench(lowerdir, root, remote, size, result)


def enter(root: Path, *argv: str) -> list[str]:
    """A command line that runs in a root and in the namespace."""
    env = [f"PATH={PATH}", f"PYTHONPATH={OURS}", "LC_ALL=C.UTF-8"]
    return ["nsenter", f"--net=/run/netns/{NAMESPACE}", "chroot", str(root), "env", "-i", *env, *argv]


def clear() -> None:
    """Take away what stands there, of a run that was killed too."""
    Ceph(CEPH).down()
    share.clear()
    unmount()


def _code(tree: Path, lower: str) -> Path:
    """A layer with code as packages install it, compiled; an editor at work on the checkout does not reach in."""
    code = PLACE / "code"
    with layer.mounted(lower, PLACE / "compile") as root:
        for source in (tree / "ganeti_ext", tree / "extstorage", ROOT / "bench"):
            target = root / OURS[1:] / source.name
            shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "out"))
        run(["chroot", str(root), "python3", "-m", "compileall", "-q", OURS], timeout=120)
        shutil.copytree(root / OURS[1:], code / OURS[1:], symlinks=True)
    return code


@contextlib.contextmanager
def _configured(bench: Bench, kind: str) -> Iterator[Share]:
    with share.mounted(kind, bench.root) as made:
        text = f"[cow]\ndirectory = {made.inside}\nrun_directory = /run/ganeti-ext/{kind}\nnode = bench\n"
        bench.write(f"{made.etc}/cow.conf", text)
        yield made
