"""Who may write a volume: what `open` and `close` make of the nodes that hold it.

Only values here; how they are kept, so that of two nodes that change them at once one starts again, is the provider's.
"""

from __future__ import annotations

from ganeti_ext.errors import ExtError
from ganeti_ext.named import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

EXCLUSIVE = "exclusive"
SHARED = "shared"
# What ganeti-ext-storage migrate makes of EXCLUSIVE while it moves the disk of a running instance.
MOVING = "moving"  # QEMU copies it to another volume: no live migration may begin
MOVED = "moved"  # the other volume is the disk, or this one is half a copy: nobody may open it any more
MODES = (EXCLUSIVE, SHARED, MOVING, MOVED)
END = "end"


class Held(ExtError):
    """Another node has the volume open."""

    http_status = 409


class Holder(NamedTuple):
    """A node that has a volume open.

    `mode` is one of the four above, `boot` the node's boot id when it opened, `since` that time in UTC (ISO 8601).
    """

    node: str
    mode: str
    boot: str
    since: str

    def __str__(self) -> str:
        return f"{self.node} ({self.mode}, since {self.since})"


class Change(NamedTuple):
    """The holders after a verb, and those of before that were left out because their nodes are down."""

    holders: tuple[Holder, ...]
    dropped: tuple[Holder, ...]


def opened(volume: str, before: Iterable[Holder], mine: Holder, down: Callable[[str], str], unlock: str) -> Change:
    """Let `mine` in; Held when another node's part stands against it and nothing shows that this node is down.

    Exclusive stands against everything, shared against exclusive only. A node's former part never stands against its
    new one: that is how a migration begins (exclusive becomes shared), ends (shared becomes exclusive), and how a node
    starts after a crash. `down` tells why a node is known to be down, or an empty text. `unlock` is the command that
    takes a part away.
    """
    _refuse_moved(volume, before, mine)
    others = [holder for holder in before if holder.node != mine.node]
    against = [holder for holder in others if not mine.mode == holder.mode == SHARED]
    dropped = tuple(holder for holder in against if down(holder.node))
    alive = [holder for holder in against if holder not in dropped]
    if alive:
        raise Held(
            f"volume {volume!r} is open on {', '.join(map(str, alive))}: stop it there; or, if that node is down, mark"
            f" it so (gnt-node modify --offline=yes {alive[0].node}) or run: {unlock}"
        )
    own = [holder for holder in before if _same(holder, mine)]
    return Change((*(holder for holder in others if holder not in dropped), own[0] if own else mine), dropped)


def closed(before: Iterable[Holder], node: str) -> tuple[Holder, ...]:
    """The holders without one node. That a volume has moved stays true until it is removed, or its move is ended."""
    return tuple(holder for holder in before if holder.node != node or holder.mode == MOVED)


def marked(volume: str, before: Iterable[Holder], mine: Holder) -> tuple[Holder, ...]:
    """Let a node have the volume alone, in the mode of `mine`; Held when another one has a part."""
    found = tuple(before)
    if any(holder.node != mine.node for holder in found):
        raise Held(f"volume {volume!r} should be open on {mine.node} alone, found {', '.join(map(str, found))}")
    return (found[0]._replace(mode=mine.mode) if found else mine,)


def unmarked(before: Iterable[Holder], node: str) -> tuple[Holder, ...]:
    """Let a node's part be what it was before a move of the disk began."""
    return tuple(
        holder._replace(mode=EXCLUSIVE) if holder.node == node and holder.mode in (MOVING, MOVED) else holder
        for holder in before
    )


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
    if end != END or rest or any(len(part) != 4 or part[1] not in MODES for part in parts):
        raise ExtError(f"{where} should say who holds a lock, found {text[:200]!r}")
    return tuple(Holder(*part) for part in parts)


def _refuse_moved(volume: str, before: Iterable[Holder], mine: Holder) -> None:
    for holder in before:
        if holder.mode == MOVED:
            raise Held(
                f"volume {volume!r} is not to be used: its disk was being moved to another store, by {holder}, and that"
                " did not come to its end; say again what was said then: ganeti-ext-storage migrate INSTANCE PROVIDER"
            )
        if holder.mode == MOVING and mine.mode == SHARED:
            raise Held(
                f"volume {volume!r} is being moved to another store, by {holder}: wait until that is done; if it was"
                " cut off, say it again: ganeti-ext-storage migrate INSTANCE PROVIDER"
            )


def _same(holder: Holder, mine: Holder) -> bool:
    """Whether a holder's part goes on as it is: also while QEMU copies the volume, which its node may open again."""
    mode = EXCLUSIVE if holder.mode == MOVING else holder.mode
    return (holder.node, mode, holder.boot) == mine[:3]
