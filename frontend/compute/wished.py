"""What a tenant asked for, shown before Ganeti has it: values in, values out.

Who changes a fact submits jobs that write the instance's tags (facts.py), and the new value is shown at once. Until
they have ended, whatever Ganeti is asked for another reason still says the old one. So the column `wished` has

    {facet: {"jobs": [number], "held": [order, columns] or null, "floor": order or null}}

the jobs that still go on; of the readings that came meanwhile the newest, which is held back; and how new the end of
the newest job is that succeeded. Once no job is left, what was held counts, unless it is older than that end. So
whatever order the messages come in, what is shown ends as Ganeti is; also where a job failed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from frontend.update import reading
from ganeti_ext import tags

Columns = dict[str, Any]
Wished = Mapping[str, Mapping[str, Any]]

METADATA = "metadata"
_GIVEN = frozenset((*tags.GIVEN, *tags.VOLUME))


def facet(fact: str, own: Mapping[str, str] = reading.COLUMNS) -> str:
    """Which facet tells of a fact; ValueError for one that nobody changes. `own`: facts with columns of their own."""
    if fact in own:
        return fact
    if fact in _GIVEN:
        return reading.FACTS
    raise ValueError(f"{fact!r} is no fact that changes")


def columns(
    row: Mapping[str, Any], changes: Mapping[str, str | None], own: Mapping[str, str] = reading.COLUMNS
) -> Columns:
    """The columns of a row when these facts are changed; None: there is no such fact any more."""
    found: Columns = {own[fact]: value or "" for fact, value in changes.items() if fact in own}
    if given := {fact: value for fact, value in changes.items() if fact in _GIVEN and fact not in own}:
        found[reading.FACTS] = merged(row[reading.FACTS], given)
    return found


def merged(known: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """With these changed; None removes."""
    return {name: value for name, value in {**known, **changes}.items() if value is not None}


def facts(row: Mapping[str, Any], wanted: Iterable[str], own: Mapping[str, str] = reading.COLUMNS) -> dict[str, str]:
    """Of these facts those that a row has."""
    known = {**row[reading.FACTS], **{fact: row[column] for fact, column in own.items()}}
    return {fact: known[fact] for fact in wanted if known.get(fact)}


def jobs(wished: Wished | None) -> set[int]:
    """Those that go on, as far as is known."""
    return {job for wish in (wished or {}).values() for job in wish["jobs"]}


def added(wished: Wished | None, facets: Collection[str], new: Collection[int]) -> dict[str, Any]:
    """With these jobs, which change these facets."""
    found = {name: dict(wish) for name, wish in (wished or {}).items()}
    for name in facets:
        wish = found.setdefault(name, {"jobs": [], "held": None, "floor": None})
        wish["jobs"] = sorted({*wish["jobs"], *new})
    return found


class Wishes:
    """The column `wished` of one row while a message is applied to it."""

    def __init__(self, wished: Wished | None) -> None:
        self._wishes = {name: dict(wish) for name, wish in (wished or {}).items()}

    @property
    def column(self) -> dict[str, Any] | None:
        return self._wishes or None

    def hold(self, name: str, order: list[Any], values: Columns) -> bool:
        """Whether what is said of a facet is none of the row's yet."""
        wish = self._wishes.get(name)
        if wish is None:
            return False
        if wish["held"] is None or order > wish["held"][0]:
            wish["held"] = [order, values]
        return True

    def end(self, job: int, order: list[Any], *, succeeded: bool) -> Iterator[tuple[str, list[Any], Columns]]:
        """A job is over: what is told now of facets that it was the last to change, and how new that is."""
        for name, wish in [*self._wishes.items()]:
            if job not in wish["jobs"]:
                continue
            wish["jobs"] = [other for other in wish["jobs"] if other != job]
            if succeeded:
                wish["floor"] = max(wish["floor"] or [], order)
            if not wish["jobs"]:
                del self._wishes[name]
                held, floor = wish["held"], wish["floor"] or []
                if held is not None and held[0] > floor:
                    yield name, held[0], held[1]
                elif floor:
                    yield name, floor, {}
