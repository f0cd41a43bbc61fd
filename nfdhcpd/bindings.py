"""The directory of binding files, watched by inotify(7)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pyinotify

from ganeti_ext import binding
from ganeti_ext.errors import ExtError

if TYPE_CHECKING:
    from ganeti_ext.binding import Binding

# A rename into place is what ganeti_ext.binding does; an editor or a script may write in place.
_FILES = pyinotify.IN_MOVED_TO | pyinotify.IN_CLOSE_WRITE | pyinotify.IN_DELETE | pyinotify.IN_MOVED_FROM
_GONE = pyinotify.IN_DELETE_SELF | pyinotify.IN_MOVE_SELF | pyinotify.IN_UNMOUNT | pyinotify.IN_IGNORED


class Directory:
    """Tells which taps' files changed; `fileno` is readable when some did."""

    def __init__(self, path: str) -> None:
        if not os.path.isdir(path):
            raise ExtError(f"{path}: no such directory: the bindings of the guests would be here")
        self.path = path
        self._touched: set[str] = set()
        self._overflow = False
        self._gone = False
        self._watches = pyinotify.WatchManager()
        self._notifier = pyinotify.Notifier(self._watches, self._event, timeout=0)
        wanted = _FILES | pyinotify.IN_DELETE_SELF | pyinotify.IN_MOVE_SELF | pyinotify.IN_ONLYDIR
        self._watches.add_watch(path, wanted, quiet=False)

    def fileno(self) -> int:
        return int(self._watches.get_fd())

    def close(self) -> None:
        self._notifier.stop()

    def taps(self) -> set[str]:
        """Taps that have a file now."""
        return set(binding.taps(self.path))

    def read(self, tap: str) -> Binding | None:
        """The binding of a tap, None when it has none; BindingError when the file is bad."""
        if not os.path.lexists(binding.path(tap, self.path)):
            return None
        return binding.read(tap, self.path)

    def changed(self) -> set[str] | None:
        """Names of taps whose files came, changed or went since the last call.

        None means that the kernel dropped events: look at all files, and miss those that are gone.
        """
        if self._notifier.check_events(timeout=0):
            self._notifier.read_events()
            self._notifier.process_events()
        if self._gone:
            raise ExtError(f"{self.path}: the directory of the bindings went away")
        touched, self._touched = self._touched, set()
        overflow, self._overflow = self._overflow, False
        return None if overflow else touched

    def _event(self, event: pyinotify.Event) -> None:
        if event.mask & pyinotify.IN_Q_OVERFLOW:
            self._overflow = True
        elif event.mask & _GONE:
            self._gone = True
        elif event.name and not event.name.startswith("."):
            self._touched.add(event.name)
