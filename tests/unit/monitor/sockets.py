"""Control sockets that are served by a thread."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from ganeti_ext.control import Control
from ganeti_ext.service import Loop


class Turning:
    """A loop that a thread turns; `call` runs something in it and waits for that."""

    def __init__(self, path: str, begin: Any) -> None:
        self.path = path
        self.loop = Loop()
        self._over = threading.Event()
        self._calls: list[tuple[Any, threading.Event]] = []
        self.loop.every(0.01, self._work)
        self.control = Control(path, begin, self.loop)
        self._thread = threading.Thread(target=self._turn)
        self._thread.start()

    def call(self, action: Any) -> None:
        done = threading.Event()
        self._calls.append((action, done))
        assert done.wait(10)

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self.control.close()

    def _turn(self) -> None:
        while not self._over.is_set():
            self.loop._turn()

    def _work(self) -> None:
        while self._calls:
            action, done = self._calls.pop(0)
            action()
            done.set()


@contextlib.contextmanager
def serving(path: str, begin: Any) -> Iterator[Turning]:
    """A daemon's control socket at a path, as long as the block lasts."""
    with contextlib.closing(Turning(path, begin)) as found:
        yield found
