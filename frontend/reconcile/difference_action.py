"""What jobs did, as far as messages told, against Ganeti's jobs. Values in, differences out.

The end of a job that no message told of is made into a message: so whatever hangs on it is done, and done once,
also when the lost message comes after all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from frontend.reconcile.difference import Difference, Ended, Known, Row, Snapshot
from frontend.update import actions
from ganeti_ext import event

_TYPES = {kind: message for message, kind in actions.KINDS.items()}


def unended(known: Known, found: Snapshot) -> Iterator[Difference]:
    for row in known.actions:
        job = found.jobs.get(row["job"])
        if job is None:
            continue
        if job.status is None:
            words = actions.lost(row["job"])
            ended = Ended("error", None, words, None)
        elif row["op_index"] < len(job.ops) and job.ops[row["op_index"]].status in event.FINAL:
            ended = job.ops[row["op_index"]]
            words = f"job {row['job']} {row['operation']} has ended as {ended.status}"
        else:
            continue
        yield Difference("action", row["kind"], row["name"], row, message(row, ended), words)


def message(row: Row, ended: Ended) -> dict[str, Any]:
    """As eventd would have told it (ganeti_ext/event.py), without a place in its order: all else that is known of
    the object counts as newer."""
    seconds, part = divmod(row["updated"], 1)
    end = list(ended.end or (int(seconds), int(part * 1_000_000)))
    return {
        "type": _TYPES[row["kind"]],
        "version": event.VERSION,
        "event_time": end,
        "cluster": row["cluster"],
        row["kind"]: row["name"],
        "jobId": row["job"],
        "op_index": row["op_index"],
        "operation": row["operation"],
        "status": ended.status,
        "order": [*end, row["job"], row["op_index"], event.RANKS[ended.status]],
        "logmsg": None,
        "result": ended.result or None,
        "error_code": ended.code,
        "job_fields": {},
        "tags": [],
    }
