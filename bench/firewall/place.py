"""What all nodes of a run share: Debian 13 with what is measured, the namespace of their ends, the core to send on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from bench import PLACE, ROOT, netns
from bench.firewall.node import ENDS, Node, node
from bench.result import Result
from bench.root import clear, code
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
        made = code(tree, lower, "kvm_ifup")
        undo.enter_context(netns.namespaces(ENDS))
        yield Bench(f"{made}:{lower}", taps, rounds, core, result)
