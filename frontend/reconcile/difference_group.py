"""Whether Ganeti's allocator is told to keep servers of a group apart. Values in, differences out."""

from __future__ import annotations

from collections.abc import Iterator

from frontend.reconcile.difference import Difference, Known, Snapshot
from ganeti_ext import tags

_KEY = f"{tags.PREFIX}:apart"
_EXCLUSION = "htools:iextags:"  # instances that share a tag which begins with what follows are kept apart (hail(1))


def not_apart(known: Known, found: Snapshot) -> Iterator[Difference]:
    if not any(row["facts"].get("apart") for row in known.servers if row["deleted"] is None):
        return
    prefixes = [tag.removeprefix(_EXCLUSION) for tag in found.tags if tag.startswith(_EXCLUSION)]
    if not any(prefix and f"{_KEY}:".startswith(prefix) for prefix in prefixes):
        words = "nothing keeps servers of a group with anti-affinity apart"
        advice = f"gnt-cluster add-tags {_EXCLUSION}{_KEY}"
        yield Difference("apart", "cluster", found.cluster, None, None, words, advice)
