"""The place of a run: a Debian 13 root with our code, PostgreSQL, a pretended remote API, fronts, and the peer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench import PLACE, ROOT, netns
from bench.api.peer import Peer, peer
from bench.daemons import Daemons
from bench.postgresql import postgresql
from bench.process import Where
from bench.remote import Remote
from bench.result import Result
from bench.root import clear, code, enter, mounts
from ganeti_ext.errors import ExtError
from lab import base, layer

NAMESPACE = "bench-api"
HOME = "/var/lib/bench"  # in the root; on a disk, as all that is synced
CERTIFICATE = f"{HOME}/rapi.pem"
RAPI_PORT = 5080


class Size(NamedTuple):
    """How much is measured: seconds of one read, servers of the databases, instances of the peer, creates at once."""

    rounds: int
    seconds: float
    servers: tuple[int, ...]
    instances: int
    creates: int


@dataclass(frozen=True)
class Place(Daemons):
    """What every part measures with: `client` asks the fronts, `worker` has their databases, `rapi` pretends."""

    lowerdir: str
    client: Remote
    worker: Remote
    rapi: Remote
    size: Size
    result: Result

    def peer(self) -> contextlib.AbstractContextManager[Peer]:
        """Ganeti's own remote API."""
        return peer(self.lowerdir, self.size.instances)

    @contextlib.contextmanager
    def no_calls(self, what: str) -> Iterator[None]:
        """ExtError when the remote API is called within the block."""
        before = self.rapi.call("calls")
        yield
        after = self.rapi.call("calls")
        if after != before:
            more = {call: count - before.get(call, 0) for call, count in after.items() if count != before.get(call, 0)}
            raise ExtError(f"{what}: calls of the remote API, where there are to be none: {more}")


@contextlib.contextmanager
def place(size: Size, result: Result, tree: Path = ROOT, nice: int = 0, package: str = "bench.api") -> Iterator[Place]:
    """Make the place, with the front of this tree, and take it away.

    `package` has the modules `inside` and `ganeti` of the workers.
    """
    below = base.root()
    clear()
    with contextlib.ExitStack() as undo:
        undo.callback(clear)
        undo.enter_context(netns.namespaces(NAMESPACE))
        lowerdir = f"{code(tree, below, 'frontend')}:{below}"
        root = undo.enter_context(layer.mounted(lowerdir, PLACE / "api"))
        undo.enter_context(mounts(root, ("tmpfs", "run")))
        (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
        where = Where(NAMESPACE, None, root, nice)
        Daemons(root, where).certificate(CERTIFICATE)

        def worker(name: str, *arguments: str) -> Remote:
            argv = enter(NAMESPACE, root, "python3", "-m", name, *arguments)
            made = Remote(argv, root / f"var/log/{name}.log", nice)
            undo.callback(made.close)
            return made

        rapi = worker(f"{package}.ganeti", CERTIFICATE, str(RAPI_PORT))
        client, inside = worker("bench.api.client"), worker(f"{package}.inside")
        made = Place(root, where, lowerdir, client, inside, rapi, size, result)
        undo.enter_context(postgresql(made, f"{HOME}/postgresql"))
        yield made
