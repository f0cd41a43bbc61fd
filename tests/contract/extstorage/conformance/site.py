"""What the suite must know of a provider: how to prepare a store, and how to look at it from outside."""

from __future__ import annotations

import os
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

from tests.contract.extstorage.forks import Call, Forks

ROOT = Path(os.environ.get("GANETI_EXT_ROOT", Path(__file__).parents[4]))
MIB = 1 << 20


class Caller(NamedTuple):
    """A node of the cluster, as Ganeti calls a provider's verbs there."""

    verbs: Path
    environment: dict[str, str]
    forks: Forks | None = None

    @property
    def programs(self) -> Caller:
        """The same, its verbs called by their executables whatever they cost."""
        return self._replace(forks=None)

    def env(self, name: str, more: dict[str, str]) -> dict[str, str]:
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **self.environment, "VOL_NAME": name, **more}

    def start(self, verb: str, name: str = "v", **more: str) -> subprocess.Popen[str] | Call:
        if self.forks:
            return self.forks.start(verb, self.env(name, more))
        return subprocess.Popen(
            [self.verbs / verb],
            env=self.env(name, more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, verb: str, name: str = "v", **more: str) -> subprocess.CompletedProcess[str]:
        process = self.start(verb, name, **more)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess([verb, name], process.returncode, out, err)

    def ok(self, verb: str, name: str = "v", **more: str) -> str:
        done = self.call(verb, name, **more)
        assert done.returncode == 0, done
        return done.stdout

    def fails(self, verb: str, name: str = "v", **more: str) -> str:
        """The message of a call that must fail in a way that was foreseen, without a word on stdout."""
        done = self.call(verb, name, **more)
        assert (done.returncode, done.stdout) in {(1, ""), (2, "")}, done
        return done.stderr


class Point(NamedTuple):
    """The n-th call of a system call, counted in one run of a verb; `line` is what it was then."""

    call: str
    number: int
    line: str


class Site(Protocol):
    """A store of a provider, with two nodes that use it."""

    a: Caller
    b: Caller
    # A regular expression for lines of strace: the system calls of a verb that change something.
    changes: str
    # Where each verb can be killed, if that is known without a look; else it is told by `changes`.
    points: tuple[Point, ...]

    def direct(self, verb: str, name: str = "v", **more: str) -> str:
        """A verb of node a, and what it says, as cheaply as can be: for what a test prepares and clears away."""

    def image(self, name: str, content: bytes) -> None:
        """Put an image into the store."""

    def drop_image(self, name: str) -> None:
        """Take it away."""

    def volumes(self) -> list[str]:
        """Names of all volumes and snapshots, sorted; drafts of killed calls too, by any name."""

    def read(self, name: str) -> bytes:
        """A volume's whole content as a guest would read it now."""

    def write(self, name: str, offset: int, content: bytes) -> None:
        """Write as a guest would, to the disk when this returns. The volume is attached on node a."""

    def size(self, name: str) -> int:
        """Length in bytes."""

    def devices(self) -> list[str]:
        """Devices, or what stands for them, that both nodes have of this store's volumes."""

    def holders(self, name: str) -> list[str]:
        """`NODE MODE` of each node that has a volume open; the nodes are named a and b."""

    def offline(self, *nodes: str) -> None:
        """Let Ganeti have these nodes for offline."""

    def mend(self) -> None:
        """What `ganeti-ext-storage repair` does, on both nodes."""

    def full(self) -> AbstractContextManager[None]:
        """Meanwhile the store has no room for another block."""

    def away(self) -> AbstractContextManager[None]:
        """Meanwhile neither node reaches the store."""

    def empty(self) -> None:
        """Remove all volumes, devices, locks and images."""
