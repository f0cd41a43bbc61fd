"""Of the many places where a verb can be killed a few, or with EXTSTORAGE_ALL=1 all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
ALL = os.environ.get("EXTSTORAGE_ALL", "") not in ("", "0")
STRIDE = 1 if ALL else 8  # of a verb's lines, each of which is a place
CHAIN = 10 if ALL else 4  # clones of clones: what each costs grows with their number

KINDS = ("xfs", "btrfs", "ext4", "tmpfs")


def on(*kinds: str, of: Sequence[str] = KINDS) -> list[str]:
    """The file systems for a test of what is the same on all: these. The next test has others, and ALL is all."""
    return list(of if ALL else kinds)


def times(many: int, few: int) -> range:
    """How often to try what is random."""
    return range(many if ALL else few)


def some(places: Sequence[T], few: int) -> list[T]:
    """The first, the last, and others evenly between."""
    if ALL or len(places) <= few:
        return list(places)
    return [places[round(number * (len(places) - 1) / (few - 1))] for number in range(few)]
