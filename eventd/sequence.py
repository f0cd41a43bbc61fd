"""The order in which eventd saw things, which no clock decides: [term, number]. Pure.

The master's clock may be set back, and a later job may run before an earlier one. But one eventd sees the statuses of
jobs as they come; and a later master has a greater term than one before it, also than one that does not know yet that
it is none any more. A number is given when a status is seen: what Ganeti is asked after that is newer than it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

CURSOR = "seq"


class Sequence:
    """Numbers for messages; what was given out last is a cursor of the outbox."""

    def __init__(self, stored: Mapping[str, str]) -> None:
        term, _, number = stored.get(CURSOR, "").partition(" ")
        self.term = int(term or 0)
        self._number = int(number or 0)

    def enter(self, term: int | None) -> None:
        """This node is the master of this term; None when it is not known: then that of before goes on."""
        self.term = max(self.term, term or 0)

    def stamp(self, messages: Iterable[dict[str, Any]], now: int) -> None:
        """Give each its number, in this order; `now` is in microseconds since the epoch.

        Numbers are times where that can be, so that they go on rising where the outbox was lost.
        """
        for message in messages:
            self._number = max(self._number + 1, now)
            message["seq"] = [self.term, self._number]

    def cursor(self) -> dict[str, str | None]:
        """To be put with the messages."""
        return {CURSOR: f"{self.term} {self._number}"}
