"""Ganeti's directory, watched by inotify(7): readable when a file of it was replaced, such as that of the tags."""

from __future__ import annotations

import ctypes
import os

_MOVED_TO, _CLOSE_WRITE, _ONLYDIR = 0x80, 0x8, 0x01000000  # linux/inotify.h
_ROOM = 1 << 16


class Directory:
    """Whoever is called looks himself whether what he goes by is another file now: events are not told apart."""

    def __init__(self, path: str) -> None:
        self._path, self._watched = path, False
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self.look()

    def look(self) -> None:
        """Watch it, unless that is so already. Where it cannot be, as it is not there yet, it is asked for again."""
        if not self._watched:
            mask = _MOVED_TO | _CLOSE_WRITE | _ONLYDIR
            self._watched = self._libc.inotify_add_watch(self._fd, self._path.encode(), mask) >= 0

    def fileno(self) -> int:
        return self._fd

    def drain(self) -> None:
        """Read what waits."""
        try:
            os.read(self._fd, _ROOM)
        except BlockingIOError:
            return

    def close(self) -> None:
        os.close(self._fd)
