"""Which changes of tags were taken in, and which of them the outbox still keeps. Pure.

A change comes twice, in either order: as its job ends, and once the outbox has it. It is owed once; the outbox
forgets it when it keeps it and nothing is owed for it any more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from eventd.tagged import Change

_REMEMBERED = 10_000


class Ledger:
    """Of changes by their causes."""

    def __init__(self) -> None:
        # A new cluster counts its jobs from 1 again, hence the time.
        self._seen: OrderedDict[tuple[str, float], None] = OrderedDict()
        self._kept: set[str] = set()
        self._done: set[str] = set()

    def see(self, change: Change) -> bool:
        """Whether a change is new."""
        key = (change.cause, change.began)
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return True

    def keep(self, change: Change) -> None:
        """The outbox has it."""
        self._kept.add(change.cause)

    def release(self, causes: Iterable[str]) -> None:
        """Nothing is owed for these any more."""
        self._done |= self._kept.intersection(causes)

    def done(self) -> frozenset[str]:
        """What the outbox need not keep any more."""
        return frozenset(self._done)

    def forget(self, causes: Iterable[str]) -> None:
        """The outbox has them no longer."""
        self._kept.difference_update(causes)
        self._done.difference_update(causes)
