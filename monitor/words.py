"""Events in plain words: digests of messages (ganeti_ext/tail.py) in, a line out. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ganeti_ext import event
from ganeti_ext.plaintext import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ganeti_ext.session import Record

# What is done to an object; an operation that is not here is called as Ganeti does.
_VERBS: Mapping[str, str] = {
    "OP_INSTANCE_CREATE": "create",
    "OP_INSTANCE_REMOVE": "remove",
    "OP_INSTANCE_STARTUP": "start",
    "OP_INSTANCE_SHUTDOWN": "stop",
    "OP_INSTANCE_SET_PARAMS": "modify",
    "OP_INSTANCE_GROW_DISK": "grow disk",
    "OP_NETWORK_ADD": "add",
    "OP_NETWORK_SET_PARAMS": "modify",
    "OP_NODE_ADD": "add",
    "OP_NODE_SET_PARAMS": "modify",
    "OP_GROUP_ADD": "add",
    "OP_GROUP_SET_PARAMS": "modify",
    "OP_CLUSTER_SET_PARAMS": "modify",
    "OP_TAGS_SET": "add tags",
    "OP_TAGS_DEL": "remove tags",
}
_STATES: Mapping[str, str] = {
    "queued": "asked for",
    "waiting": "waits for its turn",
    "running": "begun",
    "canceling": "is being cancelled",
    "canceled": "cancelled",
    "success": "done",
    "error": "FAILED",
}
_OUTCOMES: Mapping[str, str] = {"skipped": "not ours, or known already", "dead": "could not be understood"}


def line(record: Record) -> str:
    """One event: when, what of, what is done to it and how far it is, why, and by whom."""
    moment = record.get("time")
    parts = [f"{clock(moment)} " if moment is not None else "", _event(record)]
    if record.get("outcome") in _OUTCOMES:
        parts.append(f" - {_OUTCOMES[record['outcome']]}")
    return clean("".join(parts))


def clock(moment: float) -> str:
    """The time of day, local, with milliseconds."""
    return f"{datetime.fromtimestamp(moment, UTC).astimezone():%H:%M:%S.%f}"[:-3]


def span(seconds: float) -> str:
    """A duration that people read: 0.3 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def _of_eventd(record: Record) -> str:
    if record["type"] == event.LOST:
        return f"{record.get('node', 'eventd')}: {record.get('count', '?')} messages were LOST: its spool was full"
    return f"{record.get('node')} is the master: it has become that, or Ganeti or eventd was started anew"


def _event(record: Record) -> str:
    kind = record.get("type")
    if kind in (event.LOST, event.MASTER):
        return _of_eventd(record)
    if kind == event.NET_STATUS:
        done = _verb(record.get("operation") or "set up")
        return f"{record.get('instance')}: its network was looked after on {record.get('node')} ({done})"
    if kind == event.PROGRESS:
        return f"{record.get('instance')}: image copied to {record.get('progress', 0):.0f} % on {record.get('node')}"
    if kind == event.HEARTBEAT:
        return f"heartbeat {record.get('probe')} (job {record.get('job')})"
    if kind is None:
        return "a message"
    return "".join(_job(record))


def _job(record: Record) -> Iterator[str]:
    status = str(record.get("status"))
    yield f"{_object(record)}: {_verb(str(record.get('operation')))} {_STATES.get(status, status)}"
    if status in event.FINAL:
        moment, began = record.get("time"), record.get("began")
        if moment is not None and began and moment >= began:
            yield f" {'in' if status == 'success' else 'after'} {span(moment - began)}"
    if status in ("error", "canceled") and (why := record.get("said")):
        yield f": {why}"
        yield f" [{record['error_code']}]" if record.get("error_code") else ""
    elif status == "running" and (said := record.get("said")):
        yield f": {said}"
    who = asker(record.get("reason"))
    yield f" (job {record.get('job')}{f', by {who}' if who else ''})"


def _object(record: Record) -> str:
    for kind in ("instance", "network", "node", "group"):
        if record.get(kind):
            return str(record[kind]) if kind == "instance" else f"{kind} {record[kind]}"
    return f"cluster {record.get('cluster') or ''}".rstrip()


def _verb(operation: str) -> str:
    if operation in _VERBS:
        return _VERBS[operation]
    if not operation.startswith("OP_"):
        return operation
    words = operation.removeprefix("OP_").lower().split("_")
    return " ".join(words[1:] or words)


def asker(reason: object) -> str:
    """Who started a job, by its reason trail: [[source, text, ...], ...], the first entry being the first cause."""
    said = ""
    for entry in reason if isinstance(reason, list) else []:
        match entry:
            case ["gnt:user", str(text), *_] if text:
                said = f", for {text!r}"
            case [str(source), str(text), *_] if source.startswith("gnt:client:"):
                return f"{source.removeprefix('gnt:client:')} {text}".rstrip() + said
            case [str(source), *_] if source.startswith("gnt:library:rlib2"):
                return f"the remote API{said}"
            case [str(source), str(text), *_] if not source.startswith("gnt:"):
                return f"{source} {text}".rstrip()
    return said.removeprefix(", ")
