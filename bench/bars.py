"""What the figures have to reach, told as notes below their table."""

from __future__ import annotations

from typing import NamedTuple

from bench import table
from bench.result import Result
from bench.stats import Sample, ratios, summary

OURS = "ours"


class Bar(NamedTuple):
    """Our samples of a measure, or their ratio to another subject's, are to be at most (or at least) a number."""

    measure: str
    limit: float
    unit: str
    against: str = ""
    least: bool = False
    subject: str = OURS


def tell(result: Result, heading: str, bars: tuple[Bar, ...]) -> None:
    for bar in bars:
        result.note(heading, verdict(bar, samples(result, heading, bar)))


def samples(result: Result, heading: str, bar: Bar) -> list[Sample]:
    ours = result.samples(heading, bar.measure, bar.subject)
    return ratios(ours, result.samples(heading, bar.measure, bar.against)) if bar.against else ours


def verdict(bar: Bar, found: list[Sample]) -> str:
    """A sentence: by the median it holds or not."""
    whose = f"{bar.subject}, " if bar.subject != OURS else ""
    what = f"{whose}{bar.measure}{f', of {bar.against}' if bar.against else ''}"
    wanted = f"{'at least' if bar.least else 'at most'} {bar.limit:g}{bar.unit}"
    middle = summary(found)
    if middle is None:
        return f"{what}: to be {wanted}; no figure"
    holds = [bar.limit <= figure if bar.least else figure <= bar.limit for figure in middle[:3]]
    told = ("holds" if all(holds) else "holds, not in every turn") if holds[0] else "DOES NOT HOLD"
    return f"{what}: to be {wanted}; {table.cell(found, bar.unit)}: {told}"
