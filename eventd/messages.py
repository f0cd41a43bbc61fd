"""A job and what was told of it already -> the messages that are still to be told. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from eventd import redact
from eventd.jobs import Job, Op
from ganeti_ext import event
from ganeti_ext.event import FINAL, RANKS

# These change nothing, and what they answer holds OS parameters and ways into a console.
_READS = frozenset(("OP_INSTANCE_QUERY_DATA", "OP_INSTANCE_CONSOLE", "OP_INSTANCE_QUERY"))
_TAG_CHANGES = frozenset(("OP_TAGS_SET", "OP_TAGS_DEL"))


class News(NamedTuple):
    """One status of one opcode.

    `cursor` is the name under which the outbox keeps what was told of it. `began` is when the opcode began its
    work and `time` when it reached the status, both in seconds by the master's clock.
    """

    cursor: str
    status: str
    message: dict[str, Any]
    began: float
    time: float

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
            began, time = (stamp[0] + stamp[1] / 1e6 for stamp in (op.exec or op.start or (0, 0), job.time(op)))
            found.append(News(name, op.status, message, began, time))
    return found


def cursor(job_id: int, index: int) -> str:
    return f"{job_id}/{index}"


def _subject(op: Op) -> dict[str, str] | None:
    """Message type and object of an opcode; None for the opcodes that are not told."""
    if op.name in _READS:
        return None
    found: dict[str, str | None] = {}
    if op.name.startswith("OP_INSTANCE_"):
        found = {"type": event.OP_STATUS, "instance": op.input.get("instance_name")}
    elif op.name.startswith("OP_NETWORK_"):
        found = {"type": event.NETWORK_STATUS, "network": op.input.get("network_name")}
    elif op.name in _TAG_CHANGES and op.input.get("kind") == "instance":
        found = {"type": event.OP_STATUS, "instance": op.input.get("name")}
    elif op.name in _TAG_CHANGES and op.input.get("kind") == "network":
        found = {"type": event.NETWORK_STATUS, "network": op.input.get("name")}
    elif op.name == "OP_CLUSTER_SET_PARAMS":
        found = {"type": event.CLUSTER_STATUS}
    known = {key: value for key, value in found.items() if isinstance(value, str) and value}
    return known if known and len(known) == len(found) else None


def _message(job: Job, op: Op, subject: dict[str, str], cluster: str) -> dict[str, Any]:
    stamp = job.time(op)
    fields = redact.job_fields(op)
    message = {
        **subject,
        "version": event.VERSION,
        "cluster": cluster,
        "event_time": list(stamp),
        "order": [*stamp, job.id, op.index, RANKS[op.status]],
        "jobId": job.id,
        "op_index": op.index,
        "operation": op.name,
        "status": op.status,
        "logmsg": redact.text(op, op.log),
        "result": redact.result(op),
        "error_code": redact.error_code(op),
        "job_fields": fields,
    }
    if subject["type"] == event.OP_STATUS:
        message["tags"] = fields.get("tags", [])
    return message
