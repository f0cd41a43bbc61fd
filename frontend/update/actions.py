"""What jobs did: one row of the table `action` for each opcode of each job, whatever its messages' order.

A row's last status is written once, and with it, in the same transaction, whatever else has to be done once. Only where
a comparison with Ganeti took the job for lost, what the job says of its end after all stands there afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from frontend.effect import translate_move
from frontend.update import mirror_port, state
from ganeti_ext import event

Columns = dict[str, Any]

KINDS: Mapping[str, str] = {
    event.OP_STATUS: "instance",
    event.NETWORK_STATUS: "network",
    event.NODE_STATUS: "node",
    event.GROUP_STATUS: "group",
    event.CLUSTER_STATUS: "cluster",
}

_LATEST = ("status", "rank", "updated", "message", "ended", "seq", "target")
_MESSAGE_LENGTH = 4096
UNPLUGGED = "The running guest has not heard of it: it is so from its next start on."
"""The message of a modification that succeeded, but for a guest that runs."""
_DAY = 86_400


class Told(NamedTuple):
    row: Columns | None
    """The row as it is to be written; None when it stays as it is."""
    ended: bool
    """This was the first final status of the opcode."""


def key(message: state.Message) -> tuple[str, int, int]:
    """Which row a message tells of."""
    return message["cluster"], message["order"][2], message["order"][3]


def told(known: Columns | None, message: state.Message, server_id: str | None, host: str | None = None) -> Told:
    """What a message makes of the row that is known of its opcode. `host`: where its server is, once it is applied."""
    new = _row(message, server_id, host)
    if known is None or _is_another(known, new):
        return Told(new, new["ended"] is not None)
    if (new["operation"], new["name"]) != (known["operation"], known["name"]):
        return Told(None, False)  # of a job before that one, late
    row = dict(known)
    # Whatever order they come in: the first time of all, and the rest of the highest rank.
    row["began"] = min(known["began"], new["began"])
    row["server_id"] = known["server_id"] or server_id
    ended = known["ended"] is None and new["ended"] is not None
    is_later = known["ended"] is None and (new["rank"], new["updated"]) > (known["rank"], known["updated"])
    if is_later or (new["ended"] is not None and _is_lost(known) and not _is_lost(new)):
        row.update({name: new[name] for name in _LATEST})
    return Told(row if row != known else None, ended)


def lost(job: int) -> str:
    """The message of a job that a comparison with Ganeti did not find, and that counts as failed."""
    return f"job {job} is not known to Ganeti any more"


def _is_lost(row: Columns) -> bool:
    """Should the master before be one again, he has the job still, and runs it."""
    return row["seq"] is None and row["message"] == lost(row["job"])


def _row(message: state.Message, server_id: str | None, host: str | None) -> Columns:
    cluster, job, op_index = key(message)
    kind, at = KINDS[message["type"]], state.seconds(message["order"])
    is_final = message["status"] in event.FINAL
    said = message.get("result") or message.get("logmsg") if message["status"] in ("error", "canceled") else None
    if mirror_port.is_unplugged(message):
        said = UNPLUGGED
    return {
        "cluster": cluster,
        "job": job,
        "op_index": op_index,
        "operation": message["operation"],
        "kind": kind,
        "name": message[kind],
        "server_id": server_id,
        "status": message["status"],
        "rank": message["order"][4],
        "began": at,
        "updated": at,
        "message": str(said)[:_MESSAGE_LENGTH] if said else None,
        "ended": at if is_final else None,
        "seq": message.get("seq"),
        **_nodes(message, host),
    }


def _nodes(message: state.Message, host: str | None) -> Columns:
    """Which nodes a move is between: what is told of it first says whence, its success where to."""
    if message["operation"] not in translate_move.KINDS:
        return {"source": None, "target": None}
    if message["status"] not in event.FINAL:
        return {"source": host, "target": None}
    there = (message.get("instance_state") or {}).get("pnode")
    return {"source": None, "target": there if message["status"] == "success" else None}


def _is_another(known: Columns, new: Columns) -> bool:
    """Whether a later job has the number of this one: a cluster that was made anew counts from 1 again.

    That the same is told again of one that has ended may be the word of another master, or of a clock that was set
    back meanwhile: by hours, and no cluster is made anew and has the same job of the same number within a day.
    """
    if new["updated"] <= known["updated"]:
        return False
    if (new["operation"], new["name"]) != (known["operation"], known["name"]):
        return True
    return known["ended"] is not None and new["updated"] > known["ended"] + _DAY


def message_of(row: Mapping[str, Any]) -> Columns:
    """The message that a row of an instance is from, as far as it was kept."""
    seconds, part = divmod(row["updated"], 1)
    order = [int(seconds), round(part * 1_000_000), row["job"], row["op_index"], row["rank"]]
    kept = {"instance": row["name"], **{name: row[name] for name in ("cluster", "operation", "status")}}
    seq = {"seq": row["seq"]} if row["seq"] else {}
    return {"type": event.OP_STATUS, **kept, "order": order, "result": row["message"], "job_fields": {}, **seq}
