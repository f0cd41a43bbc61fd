"""Figures out of samples. A sample of None is a turn in which the subject could not do what was asked of it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

Sample = float | None


class Summary(NamedTuple):
    """Of the turns that gave a figure; `of` counts all turns."""

    median: float
    least: float
    most: float
    turns: int
    of: int


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share (0 to 1) of them does not exceed; ValueError for no values."""
    if not values:
        raise ValueError("percentile of no values")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def summary(samples: Sequence[Sample]) -> Summary | None:
    """None when no turn gave a figure."""
    known = [sample for sample in samples if sample is not None]
    if not known:
        return None
    return Summary(statistics.median(known), min(known), max(known), len(known), len(samples))


def ratios(ours: Sequence[Sample], theirs: Sequence[Sample]) -> list[Sample]:
    """Turn by turn: what ran within the same minute is compared, whatever else the machine did in that minute."""
    return [a / b if a is not None and b else None for a, b in zip(ours, theirs, strict=False)]


def highest(
    passes: Callable[[float], bool], start: float, *, step: float, halvings: int, least: float, most: float
) -> float | None:
    """The highest value that passes, looked for from `start` in steps of a factor and then between the last two.

    Stops at `most`; None when not even `least` passes. What is left uncertain is the factor's 2 ** `halvings`-th root.
    """
    low, high = (start, None) if passes(start) else (None, start)
    while low is None or high is None:
        if low is not None:
            if low >= most:
                return low
            value = min(low * step, most)
        else:
            assert high is not None
            if high <= least:
                return None
            value = max(high / step, least)
        low, high = (value, high) if passes(value) else (low, value)
    for _ in range(halvings):
        value = math.sqrt(low * high)
        low, high = (value, high) if passes(value) else (low, value)
    return low
