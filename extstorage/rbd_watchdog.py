"""A verb that waits for Ceph without end is ended.

Each answer is bounded by Ceph's own options, but for what librbd does not bound: the watch that it sets up for whoever
opens an image to write. The next call goes on where one was ended, as with any that was killed.
"""

from __future__ import annotations

import _thread
import os
import time

from extstorage import rbd_library

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

FACTOR = 6  # times the `timeout` of one answer: a step of librbd is made of several


class Watchdog:
    """For the length of a `with` block: when nothing is heard of Ceph for `seconds`, it is asked, or else all ends.

    A step may take longer, such as the removal of terabytes. Who works with the pool does so in the main thread.
    """

    def __init__(self, what: str, seconds: float) -> None:
        self._what = what
        self._seconds = seconds
        self._on = True

    def __enter__(self) -> None:
        rbd_library.heard()
        _thread.start_new_thread(self._watch, ())

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._on = False

    def _watch(self) -> None:
        while self._on:
            left = rbd_library.last[0] + self._seconds - time.monotonic()
            if left > 0:
                time.sleep(left)
            elif rbd_library.questions and rbd_library.questions[-1]():
                rbd_library.heard()
            else:
                os.write(2, f"{self._what}: nothing was heard of Ceph for {self._seconds:g} s\n".encode())
                os._exit(1)
