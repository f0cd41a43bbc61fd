"""The guests' serial logs on this node: kept short, read from the end, removed with the instance.

QEMU appends to NAME.log (kvmargs.py) and looks at nothing. What is too long is moved to NAME.old and cut off here; a
guest can write a megabyte or so between two looks, and the file system, of a size of its own, bounds all of them
together even while nobody looks.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from typing import TYPE_CHECKING

from ganeti_ext import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

NEW, OLD = ".log", ".old"
_GRACE = 60.0  # seconds: Ganeti tells the nodes of an instance a little before or after it starts there


class Logs:
    """The logs in a directory; each has `limit` octets at most, a little more between two calls of `trim`.

    `trim` runs in one thread while others `read`; what they read may lack a piece just then.
    """

    def __init__(self, folder: str, limit: int, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._half, self._clock = folder, max(limit // 2, 1), clock
        self.trimmed = 0

    def prepare(self) -> None:
        """Make the directory: from now on, guests that start have a log."""
        os.makedirs(self._folder, mode=0o700, exist_ok=True)

    def count(self) -> int:
        return len(list(self._names()))

    def trim(self) -> None:
        """Cut what has become too long."""
        for name in self._names():
            path = self._path(name, NEW)
            try:
                if os.stat(path).st_size > self._half:
                    self._cut(name, path)
            except OSError as err:
                log.error("%s: not trimmed: %s", path, err)

    def prune(self, instances: set[str]) -> None:
        """Remove the logs of instances that Ganeti no longer has."""
        for name in self._names():
            path = self._path(name, NEW)
            with contextlib.suppress(FileNotFoundError):
                if name not in instances and self._clock() - os.stat(path).st_mtime >= _GRACE:
                    files.remove(self._path(name, OLD))
                    files.remove(path)
                    log.info("%s: removed, Ganeti has no such instance", path)

    def read(self, name: str, most: int) -> bytes | None:
        """The last octets of a guest's log; None when it has none here."""
        recent = _tail(self._path(name, NEW), most)
        if recent is None or len(recent) >= most:
            return recent
        return (_tail(self._path(name, OLD), most - len(recent)) or b"") + recent

    def _cut(self, name: str, path: str) -> None:
        """Keep the newest half. What is written meanwhile, a few milliseconds' worth, is lost."""
        with contextlib.suppress(OSError):  # no room for it: then it goes
            kept = _tail(path, self._half) or b""
            old = self._path(name, OLD)
            files.remove(old)
            with open(os.open(old, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(kept)
        os.truncate(path, 0)
        self.trimmed += 1

    def _names(self) -> Iterator[str]:
        with contextlib.suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.endswith(NEW):
                    yield entry.name.removesuffix(NEW)

    def _path(self, name: str, ending: str) -> str:
        return os.path.join(self._folder, name + ending)


def _tail(path: str, most: int) -> bytes | None:
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(size - most, 0))
            return file.read(most)
    except FileNotFoundError:
        return None
