"""How far an image is copied into a new disk: notes for eventd, at most one each second and one at the end.

They are for whoever waits for the server. So nothing about them fails a verb, makes it wait, or is told on stderr.
"""

from __future__ import annotations

import time

from ganeti_ext.errors import ExtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Told = Callable[[int, int], None]
    """Is called with the bytes that are done, and of how many."""

_PACE = 1.0  # seconds


def instance_of(disk: str | None) -> str:
    """The instance that a disk's name tells, INSTANCE.diskN as the front names them; else an empty text."""
    name, dot, number = (disk or "").rpartition(".disk")
    return name if dot and number.isdecimal() else ""


class Copying:
    """Of a disk of an instance; without an instance there are no notes. `folder` is for them, if not note.DIRECTORY."""

    def __init__(
        self,
        instance: str,
        disk: str | None,
        folder: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._instance = instance
        self._disk = disk
        self._folder = folder
        self._clock = clock
        self._began = self._told = clock()
        self._gives_up = not instance

    def __call__(self, position: int, total: int) -> None:
        """What is copied within a second is not worth a note."""
        now = self._clock()
        is_end = position >= total and now - self._began >= _PACE
        if self._gives_up or (now - self._told < _PACE and not is_end):
            return
        self._told = now
        self._leave(min(position, total), total)
        self._gives_up |= is_end

    def _leave(self, position: int, total: int) -> None:
        from ganeti_ext import event, note  # noqa: PLC0415 (json: for the few calls that copy)

        message = {
            "type": event.PROGRESS,
            "version": event.VERSION,
            "event_time": note.moment(time.time_ns()),
            "instance": self._instance,
            "disk": self._disk,
            "position": position,
            "total": total,
            "progress": round(100 * position / total, 1) if total else 100.0,
        }
        try:
            note.leave(self._folder or note.DIRECTORY, message, sync=False)
        except ExtError:
            self._gives_up = True
