"""The place of a run: a Debian 13 root with all servers, the namespaces, the cores."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import PLACE, ROOT
from bench.dhcp import topology
from bench.process import Where
from bench.result import Result
from bench.root import clear, code
from ganeti_ext.command import run
from ganeti_ext.errors import ExtError
from lab import base, layer
from lab.step import step

PACKAGES = ["dnsmasq-base", "kea-admin", "kea-dhcp4-server"]


@dataclass(frozen=True)
class Bench:
    """What every part measures with. `seconds` is the length of one probe."""

    root: Path
    sizes: tuple[int, ...]
    server: Where
    client: Where
    demux: Where
    rounds: int
    seconds: int
    result: Result

    @property
    def guests(self) -> int:
        """Taps of guests that there are; from there on they are spare."""
        return max(self.sizes)

    def log(self, name: str) -> Path:
        return self.root / f"var/log/bench-{name}.log"


@contextlib.contextmanager
def bench(
    sizes: tuple[int, ...], rounds: int, seconds: int, result: Result, tree: Path = ROOT, nice: int = 0
) -> Iterator[Bench]:
    """Make the place for these numbers of guests and the nfdhcpd of this tree, and take it away."""
    server, client = cores()
    with contextlib.ExitStack() as undo:
        undo.callback(clear)
        lower = _lower()
        clear()
        root = undo.enter_context(layer.mounted(f"{code(tree, lower, 'nfdhcpd')}:{lower}", PLACE / "bench"))
        with step(f"Making {max(sizes):,} taps"):
            undo.enter_context(topology.topology(max(sizes)))
        yield Bench(
            root=root,
            sizes=sizes,
            server=Where(topology.SERVER, server, root, nice),
            client=Where(topology.CLIENT, client, root, nice),
            demux=Where(topology.DEMUX, client, None, nice),
            rounds=rounds,
            seconds=seconds,
            result=result,
        )


def cores() -> tuple[int, int]:
    """One for the server, another for all that plays the guests."""
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) < 2:
        raise ExtError(f"two processor cores are needed, one for the server: there is {len(mine)}")
    return mine[0], mine[1]


def setup() -> None:
    """Install what this machine lacks."""
    base.setup()
    if not os.path.exists("/proc/sys/net/bridge"):
        run(["modprobe", "br_netfilter"])


def _lower() -> str:
    return layer.lower("bench-dhcp", PACKAGES)
