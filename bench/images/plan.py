"""How much is measured, and what every part measures with."""

from __future__ import annotations

from typing import NamedTuple

from bench.storage.place import Bench
from bench.storage.share import MIB, PIECES


class Size(NamedTuple):
    """Images of `mib` are brought; `data` MiB of the 10 GiB are no holes, and each of `servers` writes `written`.

    `kinds` are the file systems that room is measured on.
    """

    rounds: int
    mib: int
    data: int
    servers: int
    snapshots: int
    written: int
    variants: int
    kinds: tuple[str, ...]


class Plan(NamedTuple):
    """Of one run."""

    bench: Bench
    size: Size

    @property
    def piece(self) -> int:
        """Octets of each piece of data of the image of 10 GiB."""
        return self.size.data * MIB // PIECES
