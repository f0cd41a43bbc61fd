"""Whether of many creates none was lost and none doubled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

PREFIX = "gx-"


def wrong(answered: Sequence[str], submitted: Sequence[str], rows: Sequence[tuple[str, str]]) -> list[str]:
    """What does not fit, a line for each kind; nothing when all is well.

    Ids of servers that tenants were told, instances of the jobs that Ganeti took, id and instance of the rows.
    """
    told, jobs = Counter(f"{PREFIX}{ident}" for ident in answered), Counter(submitted)
    kept = Counter(instance for _, instance in rows)
    found = {
        "told twice": _twice(told),
        "submitted twice": _twice(jobs),
        "told, but never submitted": told.keys() - jobs.keys(),
        "submitted, but never told": jobs.keys() - told.keys(),
        "told, but without a row": told.keys() - kept.keys(),
        "a row, but never told": kept.keys() - told.keys(),
    }
    return [f"{len(names)} {what}, one is {min(names)}" for what, names in found.items() if names]


def _twice(counted: Counter[str]) -> set[str]:
    return {name for name, count in counted.items() if count > 1}
