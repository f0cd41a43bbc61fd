"""The command that the front runs: ganeti-ext-storage image."""

from __future__ import annotations

import json
import shlex
from typing import Any

from bench.root import OURS
from bench.storage import rbd
from bench.storage.place import Bench
from bench.storage.share import Share
from ganeti_ext.errors import ExtError

COMMAND = f"{OURS}/extstorage/ganeti-ext-storage"


class Store:
    """The images of one provider."""

    def __init__(self, bench: Bench, provider: str, etc: str) -> None:
        self._bench, self._provider, self._etc = bench, provider, etc

    @classmethod
    def cow(cls, bench: Bench, share: Share) -> Store:
        return cls(bench, "cow", share.etc)

    @classmethod
    def rbd(cls, bench: Bench) -> Store:
        return cls(bench, "rbd", rbd.ETC)

    def line(self, verb: str, *words: str) -> str:
        """For a shell."""
        options = ["--json", f"--provider={self._provider}", f"--config={self._etc}"]
        return shlex.join([COMMAND, "image", verb, *words, *options])

    def bring(self, ident: str, path: str, *words: str) -> tuple[float, dict[str, Any]]:
        """Import a file, through a pipe as the front does: milliseconds, and what was made."""
        line = f"cat {shlex.quote(path)} | {self.line('import', ident, '-', *words)}"
        return self._last(line)

    def dedup(self, *idents: str) -> float:
        """Of these images; milliseconds."""
        return self._bench.timed(["/bin/sh", "-ec", self.line("dedup", *idents)])[0]

    def remove(self, ident: str) -> None:
        self._last(self.line("remove", ident))

    def _last(self, line: str) -> tuple[float, dict[str, Any]]:
        took, said = self._bench.timed(["/bin/sh", "-ec", line])
        if not said.strip():
            raise ExtError(f"{line}: said nothing")
        found: dict[str, Any] = json.loads(said.splitlines()[-1])
        return took, found
