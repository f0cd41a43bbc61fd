"""Work that must come to its end once it has begun, whatever is killed."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from ganeti_ext.errors import ExtError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class Guard:
    """A process that waits beside the one that works, and does the work if that one dies or is interrupted.

    The work may be done twice. An ExtError or OSError of it is an end, too.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work

    def __enter__(self) -> Guard:
        heard, self._say = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            os.close(self._say)
            _wait(heard, self._work)
        os.close(heard)
        return self

    def work(self) -> None:
        """Do it."""
        try:
            self._work()
        except (ExtError, OSError):
            os.write(self._say, b"end")
            raise
        os.write(self._say, b"end")

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._say)
        os.waitpid(self._pid, 0)


def _wait(heard: int, work: Callable[[], None]) -> None:
    """The guard's life. A terminal's Ctrl-C is not for it."""
    try:
        os.setsid()
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(one, signal.SIG_IGN)
        if not os.read(heard, 3):
            work()
    except (ExtError, OSError) as err:
        sys.stderr.write(f"{err}\n")
    finally:
        os._exit(0)
