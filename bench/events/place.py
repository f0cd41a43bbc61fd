"""The place of a run: a Debian 13 root with our code, RabbitMQ and PostgreSQL in it, and two workers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench import PLACE, ROOT, netns
from bench.daemons import Daemons
from bench.events.jobfiles import SERVERS
from bench.process import Where
from bench.remote import Remote
from bench.result import Result
from bench.root import clear, code, enter, mounts
from lab import layer

PACKAGES = ("python3-alembic", "python3-prometheus-client")
NAMESPACE = "bench-events"
HOME = "/var/lib/bench"  # in the root; on a disk, as all that is synced
STATES = f"{HOME}/states"
LUXID = f"{HOME}/luxid"
CERTIFICATE = f"{HOME}/rapi.pem"


class Size(NamedTuple):
    """How much is measured: seconds of one offer, its rates (renames a second), numbers of job files, idle seconds."""

    rounds: int
    seconds: float
    rates: tuple[int, ...]
    backlogs: tuple[int, ...]
    idle: float


@dataclass(frozen=True)
class Place(Daemons):
    """What every part measures with. `feeder` writes job files while `reader` reads rows."""

    feeder: Remote
    reader: Remote
    size: Size
    result: Result


@contextlib.contextmanager
def place(size: Size, result: Result, tree: Path = ROOT, nice: int = 0) -> Iterator[Place]:
    """Make the place, with eventd and the consumer of this tree, and take it away."""
    lower = layer.lower("bench-events", PACKAGES)
    clear()
    with contextlib.ExitStack() as undo:
        undo.callback(clear)
        undo.enter_context(netns.namespaces(NAMESPACE))
        lowerdir = f"{code(tree, lower, 'eventd', 'frontend')}:{lower}"
        root = undo.enter_context(layer.mounted(lowerdir, PLACE / "events"))
        undo.enter_context(mounts(root, ("tmpfs", "run")))
        (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
        feeder, reader = (_worker(root, name, nice) for name in ("feeder", "reader"))
        for worker in (feeder, reader):
            undo.callback(worker.close)
        made = Place(root, Where(NAMESPACE, None, root, nice), feeder, reader, size, result)
        made.file(STATES).write_bytes(bytes([1]) * SERVERS)
        made.certificate(CERTIFICATE)
        ganeti = ("python3", "-m", "bench.events.ganeti", LUXID, STATES, CERTIFICATE)
        undo.enter_context(made.daemon("ganeti", *ganeti))
        yield made


def _worker(root: Path, name: str, nice: int) -> Remote:
    argv = enter(NAMESPACE, root, "python3", "-m", "bench.events.inside")
    return Remote(argv, root / f"var/log/bench-{name}.log", nice)
