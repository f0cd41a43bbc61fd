"""What one consumer remembers of the rows that it has read and written (recalled.py)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

ServerKey = tuple[str, str]
"""The id of its cluster, its instance's name."""

ActionKey = tuple[str, int, int]
"""Cluster, job, place of the opcode in it."""

_MOST = 4096
"""Rows of each kind."""


class Kept(NamedTuple):
    row: Mapping[str, Any]
    mark: str | None
    """That of its last writer, where each row has its own."""


class Memory:
    """Servers by their instance, actions by their key."""

    def __init__(self) -> None:
        self._servers: OrderedDict[Hashable, Kept] = OrderedDict()
        self._actions: OrderedDict[Hashable, Kept] = OrderedDict()
        self.stamp: Hashable = None
        """Of the whole database, as it was when all of this was so."""

    def servers(self, instances: Iterable[ServerKey]) -> Sequence[Kept]:
        """All of these, or none."""
        found = [self._servers.get(name) for name in instances]
        known = [kept for kept in found if kept is not None]
        return known if len(known) == len(found) else ()

    def action(self, key: ActionKey) -> Kept | None:
        return self._actions.get(key)

    def keep_server(self, kept: Kept) -> None:
        _keep(self._servers, (kept.row["cluster"], kept.row["instance"]), kept)

    def keep_action(self, key: ActionKey, kept: Kept) -> None:
        _keep(self._actions, key, kept)

    def forget(self, instances: Iterable[ServerKey]) -> None:
        for name in instances:
            self._servers.pop(name, None)

    def clear(self) -> None:
        self._servers.clear()
        self._actions.clear()


def _keep(known: OrderedDict[Hashable, Kept], name: Hashable, kept: Kept) -> None:
    known[name] = kept
    known.move_to_end(name)
    if len(known) > _MOST:
        known.popitem(last=False)
