"""inotify on directories; the only user of pyinotify."""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Callable, Iterator

import pyinotify

log = logging.getLogger(__name__)

# What a watch is for. Programs replace a file by renaming a draft, or write it in place; a socket is only made.
RENAMED, WRITTEN = pyinotify.IN_MOVED_TO, pyinotify.IN_MOVED_TO | pyinotify.IN_CLOSE_WRITE
MADE = pyinotify.IN_CREATE
_GONE = pyinotify.IN_DELETE_SELF | pyinotify.IN_MOVE_SELF | pyinotify.IN_IGNORED | pyinotify.IN_UNMOUNT
_HEAD = struct.Struct("iIII")  # struct inotify_event (inotify(7)): watch descriptor, mask, cookie, length of the name
_MOST = 1 << 18  # octets that are read at once
_SELF = pyinotify.IN_DELETE_SELF | pyinotify.IN_MOVE_SELF | pyinotify.IN_ONLYDIR


class Watch:
    """Tells of files that were written or renamed into directories, or made there.

    `written` of a directory is called with the names, in order, each once per reading; `lost` whenever
    something may have been missed (the kernel's queue ran over, the directory was replaced): list it then.
    """

    def __init__(self) -> None:
        self.overflows = 0
        self._manager = pyinotify.WatchManager()
        self._callbacks: dict[str, tuple[Callable[[list[str]], None], Callable[[], None]]] = {}
        self._masks: dict[str, int] = {}
        self._watched: dict[int, str] = {}  # watch descriptor -> directory
        self._names: dict[str, dict[str, None]] = {}
        self._overflow = False

    def fileno(self) -> int:
        fd: int = self._manager.get_fd()
        return fd

    def add(
        self, path: str, written: Callable[[list[str]], None], lost: Callable[[], None], news: int = WRITTEN
    ) -> None:
        """Watch a directory; one that is not there yet is watched from when `retry` finds it.

        `news` is one of the constants above.
        """
        path = os.path.abspath(path)
        self._callbacks[path] = (written, lost)
        self._masks[path] = _SELF | news
        if not self._start(path):
            log.warning("%s: no such directory, waiting for it", path)

    def retry(self) -> None:
        """Look for directories that were missing or went away."""
        for path, (_, lost) in self._callbacks.items():
            if path not in self._watched.values() and self._start(path):
                log.info("%s: is there, watching it", path)
                lost()

    def ready(self) -> None:
        """Read what the kernel has, then call back."""
        for number, mask, name in _events(os.read(self.fileno(), _MOST)):
            self._event(number, mask, name)
        names, self._names = self._names, {}
        if self._overflow:
            self._overflow = False
            self.overflows += 1
            log.warning("inotify queue overflow: reading every watched directory again")
            for _, lost in self._callbacks.values():
                lost()
            return
        for path, found in names.items():
            self._callbacks[path][0](list(found))

    def close(self) -> None:
        self._manager.close()

    def _start(self, path: str) -> bool:
        watched = self._manager.add_watch(path, self._masks[path], quiet=True) if os.path.isdir(path) else {}
        number: int = watched.get(path, -1)
        if number < 0:
            return False
        self._watched[number] = path
        return True

    def _event(self, number: int, mask: int, name: str) -> None:
        if mask & pyinotify.IN_Q_OVERFLOW:
            self._overflow = True
        elif mask & _GONE:
            self._forget(number, mask)
        elif number in self._watched and not name.startswith("."):
            self._names.setdefault(self._watched[number], {})[name] = None

    def _forget(self, number: int, mask: int) -> None:
        path = self._watched.pop(number, None)
        if path is None:
            return
        log.warning("%s: went away, waiting for it", path)
        if mask & pyinotify.IN_MOVE_SELF:  # the watch would follow the directory
            self._manager.rm_watch(number, quiet=True)


def _events(data: bytes) -> Iterator[tuple[int, int, str]]:
    """Watch descriptor, mask and name of each; pyinotify's own reader puts each event into words several times."""
    place = 0
    while place < len(data):
        number, mask, _, length = _HEAD.unpack_from(data, place)
        place += _HEAD.size + length
        yield number, mask, os.fsdecode(data[place - length : place].rstrip(b"\0"))
