"""What the pool remembers of a volume beside its RBD image: which verb works on it, who has it open.

    volume 2                                    kind; how many clones it is away from data of its own
    doing create node1 BOOT 4711 123456         verb, node, boot id, process and its start; absent when none is at work
    node1 exclusive BOOT 2026-01-01T00:00:00Z   a holder (see lock.py)
    end

Only values here. A volume without a record is one that nobody works on and nobody has open.
"""

from __future__ import annotations

from extstorage import lock
from extstorage.found import SNAPSHOT, VOLUME
from ganeti_ext.errors import ExtError
from ganeti_ext.named import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from extstorage.lock import Holder

_DOING = "doing"


class Doing(NamedTuple):
    """A call that works on a volume; `start` tells its process from a later one of the same pid."""

    verb: str
    node: str
    boot: str
    pid: str
    start: str

    def __str__(self) -> str:
        return f"{self.verb} (process {self.pid} of {self.node})"


class Record(NamedTuple):
    """What is remembered of one volume."""

    kind: str = VOLUME
    depth: int = 0
    doing: Doing | None = None
    holders: tuple[Holder, ...] = ()


def to_text(record: Record) -> str:
    doing = f"{_DOING} {' '.join(record.doing)}\n" if record.doing else ""
    return f"{record.kind} {record.depth}\n{doing}{lock.to_text(record.holders)}"


def from_text(text: str, name: str) -> Record:
    """What `to_text` made; an empty text is a record that says nothing. ExtError for anything else."""
    if not text:
        return Record()
    first, _, rest = text.partition("\n")
    kind, _, depth = first.partition(" ")
    doing = None
    if rest.startswith(_DOING + " "):
        line, _, rest = rest.partition("\n")
        words = line.split(" ")[1:]
        doing = Doing(*words) if len(words) == len(Doing._fields) else None
        rest = rest if doing else ""
    if kind not in (VOLUME, SNAPSHOT) or not depth.isdecimal():
        raise ExtError(f"the record of volume {name!r} in the pool is not ours: {text[:200]!r}")
    return Record(kind, int(depth), doing, lock.from_text(rest, f"the record of volume {name!r} in the pool"))


def ended(doing: Doing, node: str, boot: str, start: Callable[[str], str], down: Callable[[str], str]) -> str:
    """Why a call is known to work no more, or an empty text: it is this node's and gone, or its node is down.

    `start` gives the start of one of this node's processes, an empty text when there is none.
    """
    if doing.node != node:
        return down(doing.node)
    if doing.boot != boot:
        return f"{node} was started again"
    return "" if start(doing.pid) == doing.start else "its process has ended"
