"""A thread that sleeps until another one wants something of it."""

from __future__ import annotations

import os
import queue
import select
import threading
from collections.abc import Callable, Iterable

from ganeti_ext.service import HasFileno


class Worker:
    """What a subclass does in `loop`. `ended` becomes readable if the thread dies of a bug."""

    def __init__(self, name: str) -> None:
        self.ended = os.eventfd(0, os.EFD_CLOEXEC)
        self._stop = os.eventfd(0, os.EFD_CLOEXEC)
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 10) -> None:
        """Wait at most so many seconds until the thread has ended."""
        os.eventfd_write(self._stop, 1)
        self._thread.join(timeout)

    def post(self, *calls: Callable[[], None]) -> None:
        """Let the thread make these calls; for other threads."""
        for call in calls:
            self._inbox.put(call)
        os.eventfd_write(self._wake, 1)

    def loop(self) -> None:
        """Until `wait` says that it is over."""
        raise NotImplementedError

    def wait(self, seconds: float | None, files: Iterable[HasFileno | int] = ()) -> bool:
        """Sleep until something is posted, at most so long, and do it; False when the thread is to end.

        It wakes when one of the files is readable, too.
        """
        readable, _, _ = select.select([*files, self._wake, self._stop], [], [], seconds)
        if self._wake in readable:
            os.eventfd_read(self._wake)
        while not self._inbox.empty():
            self._inbox.get()()
        return self._stop not in readable

    def _run(self) -> None:
        try:
            self.loop()
        finally:
            os.eventfd_write(self.ended, 1)
