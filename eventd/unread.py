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
    """By object, the cursor (JOB/OP) of its newest message."""

    def __init__(self, stored: Mapping[str, str]) -> None:
        self._owed = {value: name.removeprefix(_CURSOR) for name, value in stored.items() if name.startswith(_CURSOR)}

    def __len__(self) -> int:
        return len(self._owed)

    def __contains__(self, cursor: str) -> bool:
        return cursor in self._owed.values()

    def cursors(self) -> set[str]:
        return set(self._owed.values())

    def note(self, item: News) -> dict[str, str | None]:
        """It is told without; the change of the outbox's cursors."""
        name = key(item)
        before = self._owed.get(name)
        self._owed[name] = item.cursor
        forgotten: dict[str, str | None] = {} if before is None else {_CURSOR + before: None}
        return forgotten | {_CURSOR + item.cursor: name}

    def settle(self, cursor: str) -> dict[str, str | None]:
        """It is told with it, or cannot be read any more."""
        names = [name for name, owed in self._owed.items() if owed == cursor]
        for name in names:
            del self._owed[name]
        return {_CURSOR + cursor: None} if names else {}
