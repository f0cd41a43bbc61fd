"""Takes in what hooks and storage providers left in the notes' directory of this node."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from typing import Any

from eventd.counts import Counts
from eventd.spool import Spool
from ganeti_ext import event, files

log = logging.getLogger(__name__)

_LONGEST = 256 * 1024  # bytes; Ganeti allows 8 NICs, a note of which is 2 KiB
_MOST_BAD = 1000
_BATCH = 500  # notes taken in one transaction


class Notes:
    """The notes at `path`; one is in the outbox before it is removed, and put there once.

    `node` is this node's name, which the notes are completed with.
    """

    def __init__(self, path: str, spool: Spool, node: str, counts: Counts) -> None:
        self._path = path
        self._spool = spool
        self._node = node
        self._counts = counts
        # Cursors of notes that the outbox has, and those of them whose file is gone. If we die between the
        # two, the file is still there at the next start.
        self._taken = {name for name in spool.cursors() if name.startswith("note/")}
        self._gone: set[str] = set()

    def scan(self) -> None:
        """Take in every note that is there."""
        try:
            names = os.listdir(self._path)
        except FileNotFoundError:
            return
        self._gone |= self._taken - {_cursor(name) for name in names}
        self.written(sorted(names))

    def written(self, names: Iterable[str]) -> None:
        """Take in the notes of these names, as far as they are notes."""
        found = [name for name in names if name.endswith(".json") and not name.startswith(".")]
        for start in range(0, len(found), _BATCH):
            self._take(found[start : start + _BATCH])

    def _take(self, names: list[str]) -> None:
        messages = {}
        for name in names:
            message = None if _cursor(name) in self._taken else self._read(name)
            if message is not None:
                messages[name] = message
        changes: dict[str, str | None] = {**dict.fromkeys(self._gone), **{_cursor(name): "taken" for name in messages}}
        if changes:
            self._spool.put(list(messages.values()), changes)
            self._counts.notes_read += len(messages)
        self._taken = (self._taken - self._gone) | {_cursor(name) for name in messages}
        self._gone = set()
        for name in names:
            if _cursor(name) in self._taken and self._remove(os.path.join(self._path, name)):
                self._gone.add(_cursor(name))

    @staticmethod
    def _remove(path: str) -> bool:
        try:
            files.remove(path)
        except OSError as err:  # its cursor stays, so that it is not told again
            log.error("a note that was taken in cannot be removed: %s", err)
            return False
        return True

    def _read(self, name: str) -> dict[str, Any] | None:
        path = os.path.join(self._path, name)
        try:
            with open(path, "rb") as file:
                content = file.read(_LONGEST + 1)
            return self._complete(content)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as err:
            self._set_aside(path, name, err)
            return None

    def _complete(self, content: bytes) -> dict[str, Any]:
        if len(content) > _LONGEST:
            raise ValueError(f"longer than {_LONGEST} bytes")
        message = event.decode(content)
        if message["type"] not in _CHECKS:
            raise ValueError(f"a note of type {message['type']!r}")
        if not isinstance(message.get("instance"), str) or not message["instance"]:
            raise ValueError("names no instance")
        _CHECKS[message["type"]](message)
        return {"cluster": self._spool.cluster(), **message, "node": self._node}

    def _set_aside(self, path: str, name: str, err: Exception) -> None:
        self._counts.complaints += 1
        bad = os.path.join(self._path, "bad")
        try:
            os.makedirs(bad, mode=0o700, exist_ok=True)
            if len(os.listdir(bad)) < _MOST_BAD:
                os.replace(path, os.path.join(bad, name))
            else:
                os.unlink(path)
        except OSError as trouble:
            log.error("note %s: %s; and cannot be set aside: %s", name, err, trouble)
        else:
            log.error("note %s is no note, moved to %s: %s", name, bad, err)


def _cursor(name: str) -> str:
    return f"note/{name}"


def _check_time(message: dict[str, Any]) -> None:
    match message.get("event_time"):
        case [int(), int()]:
            return
    raise ValueError(f"event_time is {message.get('event_time')!r}, not [seconds, microseconds]")


def _check_progress(message: dict[str, Any]) -> None:
    _check_time(message)
    for key in ("position", "total", "progress"):
        value = message.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise ValueError(f"{key} is {value!r}, no number")
    if not message["position"] <= message["total"] or message["progress"] > 100:
        raise ValueError(f"{message['position']} of {message['total']} bytes are {message['progress']} %")


_CHECKS = {event.NET_STATUS: _check_time, event.PROGRESS: _check_progress}
