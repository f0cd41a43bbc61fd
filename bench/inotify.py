"""inotify(7) in a few lines, so that no library's cost is part of what is measured."""

from __future__ import annotations

import ctypes
import os
import select
import struct

MODIFY, MOVED_TO, CREATE, DELETE = 0x2, 0x80, 0x100, 0x200
_HEAD = struct.Struct("iIII")


class Watch:
    """A directory, for events of these kinds."""

    def __init__(self, folder: str, mask: int) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._folder = folder
        self._fd = libc.inotify_init1(os.O_CLOEXEC)
        if self._fd < 0 or libc.inotify_add_watch(self._fd, folder.encode(), mask) < 0:
            raise OSError(ctypes.get_errno(), f"inotify: {folder}")

    def fileno(self) -> int:
        return int(self._fd)

    def names(self, timeout: float | None = None) -> list[str]:
        """The files of the events so far, each once and in order; waits for the first.

        TimeoutError when there is none within so many seconds.
        """
        if timeout is not None and not select.select([self._fd], [], [], timeout)[0]:
            raise TimeoutError(f"{self._folder}: nothing happened within {timeout:g} s")
        return names(os.read(self._fd, 65536))

    def close(self) -> None:
        os.close(self._fd)


def names(events: bytes) -> list[str]:
    """The files that some struct inotify_event are about, each once and in order."""
    found: dict[str, None] = {}
    place = 0
    while place < len(events):
        length = _HEAD.unpack_from(events, place)[3]
        place += _HEAD.size + length
        found[events[place - length : place].rstrip(b"\0").decode()] = None
    return list(found)
