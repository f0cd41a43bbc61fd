"""A job and what was told of it already -> the messages that are still to be told. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from eventd import applied, redact
from eventd.jobs import Job, Op
from ganeti_ext import event
from ganeti_ext.event import FINAL, RANKS

# These change nothing, and what some of them answer holds OS parameters and ways into a console.
_READS = frozenset((
    "OP_INSTANCE_QUERY_DATA", "OP_INSTANCE_CONSOLE", "OP_INSTANCE_QUERY",
    "OP_NODE_QUERY", "OP_NODE_QUERYVOLS", "OP_NODE_QUERY_STORAGE", "OP_GROUP_QUERY", "OP_GROUP_VERIFY_DISKS",
))  # fmt: skip
# By how an OP_ID begins: type of the message, its key for the object, and where the opcode has the object's name.
_FAMILIES = {
    "OP_INSTANCE_": (event.OP_STATUS, "instance", "instance_name"),
    "OP_NETWORK_": (event.NETWORK_STATUS, "network", "network_name"),
    "OP_NODE_": (event.NODE_STATUS, "node", "node_name"),
    "OP_GROUP_": (event.GROUP_STATUS, "group", "group_name"),
}
_CLUSTER = frozenset(("OP_CLUSTER_SET_PARAMS", "OP_CLUSTER_RENAME"))
_TAG_CHANGES = frozenset(("OP_TAGS_SET", "OP_TAGS_DEL"))
# constants.VALID_TAG_TYPES; the cluster's have no name.
_TAGGED = {
    "instance": (event.OP_STATUS, "instance"),
    "network": (event.NETWORK_STATUS, "network"),
    "node": (event.NODE_STATUS, "node"),
    "nodegroup": (event.GROUP_STATUS, "group"),
}


class News(NamedTuple):
    """One status of one opcode.

    `cursor` is the name under which the outbox keeps what was told of it. `began` is when the opcode began its
    work and `time` when it reached the status, both in seconds by the master's clock. `uuid` is Ganeti's own id of
    the instance, "" when the opcode has none.
    """

    cursor: str
    status: str
    message: dict[str, Any]
    began: float
    time: float
    uuid: str = ""

    @property
    def is_final(self) -> bool:
        return self.status in FINAL


def news(job: Job, told: Mapping[str, str], cluster: str) -> list[News]:
    """One message for each opcode that got further than `told`, in their order.

    Statuses that came and went between two readings of the file are not told. `told` has the last told
    status by cursor name. An opcode that Ganeti puts back from running to waiting is no news.
    """
    found = []
    for op in job.ops:
        name = cursor(job.id, op.index)
        before = RANKS[told[name]] if told.get(name) in RANKS else -1
        subject = _subject(op)
        if subject and RANKS[op.status] > before:
            message = _message(job, op, subject, cluster)
            began, time = (event.seconds(message[moment]) or 0.0 for moment in ("began", "event_time"))
            found.append(News(name, op.status, message, began, time, _uuid(op)))
    return found


def cursor(job_id: int, index: int) -> str:
    return f"{job_id}/{index}"


def full_name(name: str, names: Collection[str]) -> str | None:
    """The one of these instances that Ganeti means by a name, which may be short (utils/text.py MatchNameComponent)."""
    if name in names:
        return name
    found = [full for full in names if full.startswith(f"{name}.")]
    return found[0] if len(found) == 1 else None


def _subject(op: Op) -> dict[str, str] | None:
    """Message type and object of an opcode; None for the opcodes that are not told."""
    if op.name in _TAG_CHANGES:
        return _tagged(op)
    if op.name in _CLUSTER:
        return {"type": event.CLUSTER_STATUS}
    for start, (kind, key, field) in _FAMILIES.items():
        if op.name.startswith(start) and op.name not in _READS:
            return _named(kind, key, op.input.get(field))
    return None


def _tagged(op: Op) -> dict[str, str] | None:
    tagged = op.input.get("kind")
    if tagged == "cluster":
        probe = _probe(op)
        if probe is None:
            return {"type": event.CLUSTER_STATUS}
        # What comes before the end says nothing of the path, and a heartbeat must cost little.
        return {"type": event.HEARTBEAT, "probe": probe} if op.status in FINAL else None
    if not isinstance(tagged, str) or tagged not in _TAGGED:
        return None
    kind, key = _TAGGED[tagged]
    return _named(kind, key, op.input.get("name"))


def _uuid(op: Op) -> str:
    uuid = op.input.get("instance_uuid")
    return uuid if isinstance(uuid, str) else ""


def _probe(op: Op) -> str | None:
    """What a heartbeat carries; None for what is no heartbeat."""
    match op.input.get("tags"):
        case [str(tag)] if op.name == "OP_TAGS_SET" and op.input.get("dry_run") and tag.startswith(event.HEARTBEAT_TAG):
            return tag.removeprefix(event.HEARTBEAT_TAG)
    return None


def _named(kind: str, key: str, name: object) -> dict[str, str] | None:
    return {"type": kind, key: name} if isinstance(name, str) and name else None


def _message(job: Job, op: Op, subject: dict[str, str], cluster: str) -> dict[str, Any]:
    stamp = job.time(op)
    fields, secrets = redact.job_fields(op), redact.secrets(op)
    began = op.exec or op.start
    message = {
        **subject,
        "version": event.VERSION,
        "cluster": cluster,
        "event_time": list(stamp),
        "began": list(began) if began else None,
        "order": [*stamp, job.id, op.index, RANKS[op.status]],
        "jobId": job.id,
        "op_index": op.index,
        "operation": op.name,
        "status": op.status,
        "logmsg": redact.text(op, op.log, secrets),
        "result": redact.result(op, secrets),
        "error_code": redact.error_code(op),
        "job_fields": fields,
        "reason": redact.reason(op, secrets),
    }
    if subject["type"] == event.OP_STATUS:
        message["tags"] = fields.get("tags", [])
        message.update(applied.changes(op))
    return message
