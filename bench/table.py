"""Samples as text for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.stats import Sample, ratios, summary

# Measure → subject → one sample a turn.
Samples = Mapping[str, Mapping[str, Sequence[Sample]]]


def number(value: float) -> str:
    """Two or three digits that mean something; whole from 100 on."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.2g}"


def cell(samples: Sequence[Sample], unit: str = "") -> str:
    """Median and, of several turns, the span; a dash for what no turn gave."""
    found = summary(samples)
    if found is None:
        return "-"
    text = number(found.median) + unit
    if found.most > found.least:
        text += f" ({number(found.least)}..{number(found.most)})"
    return text if found.turns == found.of else f"{text} [{found.turns} of {found.of}]"


def compare(samples: Samples, ours: str) -> list[list[str]]:
    """A line for each measure: every subject's figure, then ours divided by each other one's."""
    subjects = list(dict.fromkeys(name for row in samples.values() for name in row))
    others = [name for name in subjects if name != ours]
    lines = [["", *subjects, *(f"{ours} / {name}" for name in others)]]
    for measure, row in samples.items():
        figures = [cell(row[name]) if name in row else "" for name in subjects]
        against = [cell(ratios(row[ours], row[name]), "x") if ours in row and name in row else "" for name in others]
        lines.append([measure, *figures, *against])
    return lines


def render(lines: Sequence[Sequence[str]]) -> str:
    """Columns below each other: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(text.rjust(width) if n else text.ljust(width) for n, (text, width) in enumerate(row)).rstrip()
        for row in (zip(line, widths, strict=True) for line in lines)
    )
