"""What a comparison of the database with Ganeti goes by, and what it finds: values in, planned changes out.

Everything was read in this order: the rows, the jobs that they name, and half a second later (luxid's view of the
configuration may be that old) Ganeti's networks and instances. So what Ganeti says is newer than all that had
been written into the rows, and a job that was over when it was read was over before the instances were read: no
clock is compared with another. A row that changed meanwhile is not written to (mend.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from frontend.update import state
from frontend.update.reading import Columns, Owners

Row = dict[str, Any]
Entry = Mapping[str, Any]
"""One object of Ganeti, by the names of its fields."""

_SHOWN = 60  # characters of a value in a line


class Ended(NamedTuple):
    """An opcode. `end` is [seconds, microseconds] of the master's clock; `code` is Ganeti's of a refusal."""

    status: str
    end: Sequence[int] | None
    result: str
    code: str | None


class Job(NamedTuple):
    """A job that a row names; status None: Ganeti has no such job any more."""

    status: str | None
    creates: bool
    result: str
    ops: Sequence[Ended] = ()
    """Of each opcode: its status, and how it ended."""


class Known(NamedTuple):
    """What the database says."""

    servers: Sequence[Row]
    """All that are not deleted, and those deleted ones that were asked for."""
    networks: Sequence[Row]
    owners: Owners
    owed: Collection[str]
    """Ids of servers that the front still has to do something about: their messages will tell."""
    actions: Sequence[Row] = ()
    """Opcodes of which no end was told."""
    volumes: Sequence[Row] = ()
    """As the servers."""
    offered: Collection[str] = ()
    """Ids of volumes that have a transfer."""
    ports: Mapping[str, Row] = MappingProxyType({})
    """Those that have rows, by id."""


class Snapshot(NamedTuple):
    """What Ganeti says. Keys: job numbers, names of instances, UUIDs of networks."""

    cluster: str
    """Ganeti's UUID of it."""
    jobs: Mapping[int, Job]
    instances: Mapping[str, Entry]
    networks: Mapping[str, Entry]
    later: Mapping[str, Entry]
    """The networks once more, read behind the instances."""
    groups: Sequence[str]
    """Node groups that have nodes."""
    creating: Mapping[str, int]
    """Instances without a row that are still being made, and by which job."""
    nodes: Sequence[Entry] = ()
    tags: Sequence[str] = ()
    """The cluster's."""


class Difference(NamedTuple):
    """One thing that differs: a row to be changed, made (`before` None) or removed (`after` None).

    Where both are None it is only told of, with the command that an administrator may type.
    """

    kind: str
    table: str
    name: str
    """Of the instance or network."""
    before: Row | None
    after: Columns | None
    words: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.table} {self.name}: {self.words}"


def told(before: Row, after: Columns) -> str:
    """A change in one line; None is shown as "none"."""
    parts = []
    for column, value in after.items():
        if column not in state.BOOKKEEPING:
            parts.append(f"{column} {_short(before[column])}, in Ganeti {_short(value)}")
    return "; ".join(parts)


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def job(answer: Entry) -> Job:
    """An entry of query/job: status, summary, opstatus, opresult, opend; status None when there is no such job."""
    if answer["status"] is None:
        return Job(None, creates=False, result="")
    creates = any(text.startswith("INSTANCE_CREATE(") for text in answer["summary"])
    each = zip(answer["opstatus"], answer["opend"], answer["opresult"], strict=True)
    ops = [Ended(status, end, *_words(result)) for status, end, result in each]
    said = [op.result for op in ops if op.status in ("error", "canceled") and op.result]
    return Job(answer["status"], creates, " ".join(said), ops)


def created_instance(summary: str) -> str | None:
    """The instance that an opcode makes, by its summary (ganeti/opcodes_base.py Summary)."""
    head, _, name = summary.partition("(")
    return name.removesuffix(")") if head == "INSTANCE_CREATE" and name else None


def said(results: Sequence[Any]) -> str:
    """What a job's failed opcodes said, in one line."""
    return " ".join(words for words, _ in map(_words, results) if words)


def _words(result: Any) -> tuple[str, str | None]:
    """A failed opcode's result in one line, and the code of a refusal.

    An exception comes as [class, arguments], and those of OpPrereqError end with a code
    (ganeti/errors.py EncodeException).
    """
    match result:
        case ["OpPrereqError", [message, str(code)]]:
            return f"{message} ({code})", code
        case [str(), list(arguments)]:
            return " ".join(str(argument) for argument in arguments), None
    return str(result or ""), None
