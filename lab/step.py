"""Progress for people: each step is printed as it happens, with its time."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


@contextlib.contextmanager
def step(text: str) -> Iterator[None]:
    """Print the text, and when the block is done the seconds that it took."""
    start = time.monotonic()
    # A terminal's line may by then be that of another step, beside which this one was done.
    end, again = ("", "\r\x1b[K") if sys.stdout.isatty() else ("\n", "")
    print(f"  {text} ...", end=end, flush=True)
    try:
        yield
    except BaseException:
        print(f"{again}  {text}: FAILED after {time.monotonic() - start:.1f} s", flush=True)
        raise
    print(f"{again}  {text}: {time.monotonic() - start:.1f} s", flush=True)


def until(what: str, check: Callable[[], T], timeout: float, pause: float = 0.1) -> T:
    """Ask until the answer is true, and return it; for what offers no event to wait for.

    TimeoutError says what did not come, and the last answer.
    """
    end = time.monotonic() + timeout
    while not (answer := check()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {timeout:g} s; last seen: {answer!r}")
        time.sleep(pause)
    return answer


def at_once(calls: Iterable[Callable[[], T]]) -> list[T]:
    """Call all at the same time, and wait for them; what they returned, or the first error."""
    with ThreadPoolExecutor() as pool:
        return [call.result() for call in [pool.submit(call) for call in calls]]
