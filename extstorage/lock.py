"""Who may write a volume: what `open` and `close` make of the nodes that hold it.

Only values here; how they are kept, so that of two nodes that change them at once one starts again, is the provider's.
"""

from __future__ import annotations

from collections import namedtuple

from ganeti_ext.errors import ExtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

EXCLUSIVE = "exclusive"
SHARED = "shared"
END = "end"


class Held(ExtError):
    """Another node has the volume open."""

    http_status = 409


class Holder(namedtuple("Holder", "node mode boot since")):
    """A node that has a volume open.

    `mode` is EXCLUSIVE or SHARED, `boot` the node's boot id when it opened, `since` that time in UTC (ISO 8601).
    """

    __slots__ = ()
    node: str
    mode: str
    boot: str
    since: str

    def __str__(self) -> str:
        return f"{self.node} ({self.mode}, since {self.since})"


class Change(namedtuple("Change", "holders dropped")):
    """The holders after a verb, and those of before that were left out because their nodes are down."""

    __slots__ = ()
    holders: tuple[Holder, ...]
    dropped: tuple[Holder, ...]


def opened(volume: str, before: Iterable[Holder], mine: Holder, down: Callable[[str], str], unlock: str) -> Change:
    """Let `mine` in; Held when another node's part stands against it and nothing shows that this node is down.

    Exclusive stands against everything, shared against exclusive only. A node's former part never stands against its
    new one: that is how a migration begins (exclusive becomes shared), ends (shared becomes exclusive), and how a node
    starts after a crash. `down` tells why a node is known to be down, or an empty text. `unlock` is the command that
    takes a part away.
    """
    others = [holder for holder in before if holder.node != mine.node]
    against = [holder for holder in others if EXCLUSIVE in (mine.mode, holder.mode)]
    dropped = tuple(holder for holder in against if down(holder.node))
    alive = [holder for holder in against if holder not in dropped]
    if alive:
        raise Held(
            f"volume {volume!r} is open on {', '.join(map(str, alive))}: stop it there; or, if that node is down, mark"
            f" it so (gnt-node modify --offline=yes {alive[0].node}) or run: {unlock}"
        )
    own = [holder for holder in before if holder[:3] == mine[:3]]
    return Change((*(holder for holder in others if holder not in dropped), own[0] if own else mine), dropped)


def closed(before: Iterable[Holder], node: str) -> tuple[Holder, ...]:
    """The holders without one node."""
    return tuple(holder for holder in before if holder.node != node)


def others(before: Iterable[Holder], node: str, down: Callable[[str], str]) -> tuple[Holder, ...]:
    """Holders on other nodes that are not known to be down: what stands against a removal."""
    return tuple(holder for holder in before if holder.node != node and not down(holder.node))


def to_text(holders: Iterable[Holder]) -> str:
    """A line for each, and one that shows that none is missing."""
    return "".join(f"{' '.join(holder)}\n" for holder in holders) + END + "\n"


def from_text(text: str, where: str) -> tuple[Holder, ...]:
    """What `to_text` made; ExtError naming `where` it was found for anything else."""
    *lines, end, rest = text.split("\n") if "\n" in text else ("", text)
    parts = [line.split(" ") for line in lines]
    if end != END or rest or any(len(part) != 4 or part[1] not in (EXCLUSIVE, SHARED) for part in parts):
        raise ExtError(f"{where} should say who holds a lock, found {text[:200]!r}")
    return tuple(Holder(*part) for part in parts)
