"""One run at a time, that ends by a signal as it would by itself."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
from collections.abc import Callable, Iterator

from bench import LOCK
from ganeti_ext.errors import ExtError

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """No other run is under way within the block: two would measure each other. ExtError when there is one.

    SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt, once.
    """
    for number in _ENDING:
        signal.signal(number, _interrupt)
    # One for all checkouts: they share the place that runs write to, and the processors.
    fd = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as err:
        raise ExtError(f"another run is under way, it holds {LOCK}") from err
    else:
        yield
    finally:
        os.close(fd)


def exit_code(measure: Callable[[], None]) -> int:
    """Measure alone; an error, or an interruption, is told on stderr."""
    try:
        with alone():
            measure()
    except (ExtError, OSError) as err:
        print(f"bench: {err}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; everything is taken away", file=sys.stderr)
        return 130
    return 0


def _interrupt(_number: int, _frame: object) -> None:
    """Go, once: another signal must not end the taking away."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
