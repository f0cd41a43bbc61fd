"""Waiting for what no event tells of."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 120.0
"""Seconds that anything may take on a machine that does much else."""


def until(done: Callable[[], object], what: Callable[[], object] = str, patience: float = PATIENCE) -> float:
    """The seconds that it took; `what` is asked for what the failure is to say."""
    began = time.monotonic()
    while not done():
        assert time.monotonic() < began + patience, what()
        time.sleep(0.01)
    return time.monotonic() - began
