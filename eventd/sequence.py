"""The order in which eventd saw things, which no clock decides: [term, number]. Pure.

The master's clock may be set back, and a later job may run before an earlier one. But one eventd sees the statuses of
jobs as they come, and asks Ganeti in between; and a later master has a greater term than one before it, also than
one that does not know yet that it is none any more.
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

    def stamp(self, messages: Iterable[dict[str, Any]], now: int) -> dict[str, str | None]:
        """Give each its number, in this order; the change of the cursor. `now` is in microseconds since the epoch.

        Numbers are times where that can be, so that they go on rising where the outbox was lost.
        """
        number = self._number
        for message in messages:
            number = max(number + 1, now)
            message["seq"] = [self.term, number]
        if number == self._number:
            return {}
        self._number = number
        return {CURSOR: f"{self.term} {number}"}
