"""What all nodes of a run share: Debian 13 with what is measured, the namespace of their ends, the core to send on."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from bench import PLACE, ROOT, netns
from bench.firewall.node import ENDS, OURS, Node, node
from bench.result import Result
from ganeti_ext.command import run
from lab import layer

PACKAGES = ["conntrack"]


@dataclass(frozen=True)
class Bench:
    """What every part measures with."""

    lowerdir: str
    taps: int
    rounds: int
    core: int
    result: Result

    def node(self, name: str, taps: int | None = None) -> AbstractContextManager[Node]:
        """A node of as many taps as the run is about, or of others."""
        return node(name, taps or self.taps, self.lowerdir, PLACE)


@contextlib.contextmanager
def bench(taps: int, rounds: int, core: int, result: Result, tree: Path = ROOT) -> Iterator[Bench]:
    """Make the place, with the kvm_ifup of this tree, and take it away."""
    lower = layer.lower("bench-firewall", PACKAGES)
    clear()
    with contextlib.ExitStack() as undo:
        undo.callback(clear)
        code = _code(tree, lower)
        undo.enter_context(netns.namespaces(ENDS))
        yield Bench(f"{code}:{lower}", taps, rounds, core, result)


def clear() -> None:
    """Take away what stands there, of a run that was killed too."""
    for line in reversed(Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()):
        target = line.split()[1]
        if target.startswith(f"{PLACE}/"):
            run(["umount", "--lazy", target])
    shutil.rmtree(PLACE, ignore_errors=True)


def _code(tree: Path, lower: str) -> Path:
    """A layer with code as packages install it, compiled; an editor at work on the checkout does not reach in."""
    code = PLACE / "code"
    with layer.mounted(lower, PLACE / "compile") as root:
        for source in (tree / "ganeti_ext", tree / "kvm_ifup", ROOT / "bench"):
            target = root / OURS[1:] / source.name
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "out"))
        run(["chroot", str(root), "python3", "-m", "compileall", "-q", OURS], timeout=120)
        shutil.copytree(root / OURS[1:], code / OURS[1:])
    return code
