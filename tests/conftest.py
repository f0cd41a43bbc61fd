"""What holds for all tests: who hears Ctrl-C, that a machine may be slow, and that examples are the same each time."""

from __future__ import annotations

import gc
import os
import signal

import hypothesis


def pytest_collection_finish() -> None:
    """Python need not look for garbage among thousands of tests again and again, nor processes that are forked."""
    gc.collect()
    gc.freeze()


def pytest_configure() -> None:
    """A shell starts what it puts into the background without SIGINT, and so what tests start would be, too."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    roam = bool(os.environ.get("HYPOTHESIS_ROAM"))  # to look for more: with many examples, others each time
    hypothesis.settings.register_profile(
        "any-machine",
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
        derandomize=not roam,
        max_examples=300 if roam else 30,  # the same again and again find nothing more
    )
    hypothesis.settings.load_profile("any-machine")
