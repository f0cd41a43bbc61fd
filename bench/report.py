"""Tables with one subject a line, and beside its figures how it stands to a line that is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bench import table
from bench.result import Result
from bench.stats import Sample, ratios


class Against(NamedTuple):
    """A column of ratios: `measure` of each line against that of `subject`. A share is theirs of ours, in %."""

    title: str
    measure: str
    subject: str
    share: bool = False


class Report(Result):
    """A result whose tables have a line for each subject."""

    def __init__(self, name: str, against: Sequence[Against], **facts: object) -> None:
        super().__init__(name, "", **facts)
        self._against = against

    def _lines(self, samples: table.Samples) -> list[list[str]]:
        return lines(samples, self._against)


def lines(samples: table.Samples, against: Sequence[Against]) -> list[list[str]]:
    """A head, then a line for each subject; columns that would say nothing are left out."""
    subjects = list(dict.fromkeys(name for row in samples.values() for name in row))
    columns = [each for each in against if each.subject in samples.get(each.measure, {})]
    found = [["", *samples, *(each.title for each in columns)]]
    for subject in subjects:
        figures = [table.cell(row[subject]) if subject in row else "" for row in samples.values()]
        found.append([subject, *figures, *(_stands(samples[each.measure], subject, each) for each in columns)])
    return found


def _stands(row: Mapping[str, Sequence[Sample]], subject: str, against: Against) -> str:
    if subject not in row or subject == against.subject:
        return ""
    ours, theirs = row[subject], row[against.subject]
    if not against.share:
        return table.cell(ratios(ours, theirs), "x")
    return table.cell([100 * ratio if ratio else None for ratio in ratios(theirs, ours)], "%")
