"""Final messages that were told without Ganeti's word on their object, as it did not answer. Pure.

They are told once more when it does: else a conclusion from the job alone, or none, would stand until the next
comparison. Of each object the newest is enough. They are cursors of the outbox until then.
"""

from __future__ import annotations

from collections.abc import Mapping

from eventd.enrich import key
from eventd.messages import News

_CURSOR = "unread/"


class Unread:
    """By object, the cursor (JOB/OP) of its newest message, and that message's place in the order (sequence.py)."""

    def __init__(self, stored: Mapping[str, str]) -> None:
        self._owed: dict[str, str] = {}
        self._known: dict[str, tuple[list[int], str]] = {}  # place and object, by cursor
        for name, value in stored.items():
            if name.startswith(_CURSOR):
                term, number, object_ = value.split(" ", 2)
                self._owed[object_] = name.removeprefix(_CURSOR)
                self._known[self._owed[object_]] = [int(term), int(number)], object_

    def __len__(self) -> int:
        return len(self._owed)

    def __contains__(self, cursor: str) -> bool:
        return cursor in self._known

    def numbers(self) -> dict[str, list[int]]:
        """`seq` by cursor."""
        return {cursor: seq for cursor, (seq, _) in self._known.items()}

    def note(self, item: News) -> dict[str, str | None]:
        """It is told without; the change of the outbox's cursors."""
        name, seq = key(item), item.message["seq"]
        before = self._owed.get(name)
        forgotten = self.settle(before) if before is not None else {}
        self._owed[name] = item.cursor
        self._known[item.cursor] = seq, name
        return forgotten | {_CURSOR + item.cursor: f"{seq[0]} {seq[1]} {name}"}

    def settle(self, cursor: str) -> dict[str, str | None]:
        """It is told with it, or cannot be read any more."""
        if cursor not in self._known:
            return {}
        _, name = self._known.pop(cursor)
        if self._owed.get(name) == cursor:
            del self._owed[name]
        return {_CURSOR + cursor: None}
