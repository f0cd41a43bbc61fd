"""What a message about a job means for a server's row: values in, changed columns out.

Messages come repeated, late and out of order. So each thing that can be said of a server (a facet) keeps
the `order` of what was said of it last, in the column `clocks`, and only something newer changes it:
whatever order the messages come in, the row ends the same. Two kinds of evidence speak of facets:

    a conclusion   from a job's success (STARTUP succeeded: it runs), as new as the job's end
    a reading      what Ganeti said when eventd asked (reading.py), as new as the moment of asking

Both moments are the master's clock; a node's clock (NET_STATUS) is compared with that node's alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from frontend import reading
from ganeti_ext import event

Row = Mapping[str, Any]
Message = Mapping[str, Any]
Columns = dict[str, Any]
Evidence = tuple[str, list[Any], Columns]
"""A facet, the order of what is said of it, and the columns that say it."""

BUILD, ACTIVE, SHUTOFF, ERROR = "BUILD", "ACTIVE", "SHUTOFF", "ERROR"

CREATE = "OP_INSTANCE_CREATE"
REMOVE = "OP_INSTANCE_REMOVE"

# What the row's task says while a job with this opcode goes on. Other opcodes leave the task alone.
TASKS: Mapping[str, str] = {
    CREATE: "spawning",
    "OP_INSTANCE_STARTUP": "powering-on",
    "OP_INSTANCE_SHUTDOWN": "powering-off",
    "OP_INSTANCE_REBOOT": "rebooting",
    REMOVE: "deleting",
    "OP_INSTANCE_MIGRATE": "migrating",
    "OP_INSTANCE_FAILOVER": "migrating",
}

# Columns that no client sees: a change of them alone is none of the server.
BOOKKEEPING = frozenset(("clocks", "job", "job_order", "power"))

_FAULT_LENGTH = 4096


def advance(row: Row, message: Message, subnets6: Mapping[str, str | None]) -> Columns | None:
    """The columns that an OP_STATUS message changes, or None.

    `subnets6` has the IPv6 subnet of each network by its name. The caller writes `updated`.
    """
    clocks = dict(row["clocks"] or {})
    new: Columns = {}
    for facet, order, values in _evidence(message, subnets6):
        if order > clocks.get(facet, []):
            clocks[facet] = order
            new.update(values)
    new.update(_task(row, message), clocks=clocks or None)
    return _changed(row, new)


def note(row: Row, message: Message) -> Columns | None:
    """The columns that a NET_STATUS message (a hook's note) changes, or None.

    A note is only compared with notes of the same node: no two nodes' clocks agree.
    """
    primary, facet, order = message["primary"], f"note:{message['node']}", list(message["event_time"])
    clocks = dict(row["clocks"] or {})
    if not primary or order <= clocks.get(facet, []):
        return None
    return _changed(row, {"host": primary, "clocks": {**clocks, facet: order}})


def status(row: Row) -> str:
    """The status that follows from the other columns."""
    return ERROR if row["fault"] else row["power"] or BUILD


def _changed(row: Row, new: Columns) -> Columns | None:
    new["status"] = status({**row, **new})
    return {name: value for name, value in new.items() if row[name] != value} or None


def _task(row: Row, message: Message) -> Columns:
    """The newest job that has a task says which; its last status clears it.

    Jobs are compared by number, not by time: of two that wait, the later one is what the server will do.
    """
    order, task = message["order"], TASKS.get(message["operation"])
    if task is None or order[2:] <= _last_told(row):
        return {}
    if message["status"] in event.FINAL:
        task = None
    elif row["task"] and row["job"] == order[2] and (row["job_order"] or order)[3] == order[3]:
        task = row["task"]  # the API's word for it is finer: rebooting_hard
    return {"job": order[2], "job_order": order, "task": task}


def _last_told(row: Row) -> list[int]:
    """[job, opcode, rank] of the last message that the task is from.

    The API writes `job` alone, when Ganeti accepted it and nothing was told of it yet.
    """
    job, order = row["job"], row["job_order"]
    if job is None:
        return []
    return list(order[2:]) if order and order[2] == job else [job, -1]


def _evidence(message: Message, subnets6: Mapping[str, str | None]) -> Iterator[Evidence]:
    if message["status"] not in event.FINAL:
        return
    operation, order = message["operation"], message["order"]
    failed = operation == CREATE and message["status"] != "success"
    if message.get("instance_state"):
        at = _asked(message)
        for facet, values in reading.facets(message, subnets6):
            # What a failed create left behind may run or not: the server is broken either way.
            if not (failed and facet in ("power", "fault")):
                yield facet, at, values
    elif message.get("read_at") and operation == REMOVE:
        # It failed because there is nothing to remove, or only after all was removed.
        yield "deleted", _asked(message), {"deleted": seconds(message["read_at"])}
    conclude = CONCLUSIONS.get((operation, message["status"]))
    for facet, values in conclude(message) if conclude else ():
        yield facet, order, values


def _asked(message: Message) -> list[Any]:
    """The order of a reading; messages that were completed by one question differ in the rest."""
    return [*message["read_at"], *message["order"][2:]]


Conclusions = Iterator[tuple[str, Columns]]


def _created(message: Message) -> Conclusions:
    yield "deleted", {"deleted": None}
    yield from _running(message)


def _running(_: Message) -> Conclusions:
    yield "power", {"power": ACTIVE}
    yield "fault", {"fault": None}


def _stopped(_: Message) -> Conclusions:
    yield "power", {"power": SHUTOFF}


def _broken(message: Message) -> Conclusions:
    said = str(message.get("result") or message.get("logmsg") or "")[:_FAULT_LENGTH]
    yield "fault", {"fault": said or f"job {message['order'][2]} ended as {message['status']}"}


def _gone(message: Message) -> Conclusions:
    yield "deleted", {"deleted": seconds(message["order"])}


def _renamed(message: Message) -> Conclusions:
    name = (message.get("job_fields") or {}).get("new_name") or message.get("result")
    if isinstance(name, str):
        yield "instance", {"instance": name}


def _resized(message: Message) -> Conclusions:
    yield from reading.size((message.get("job_fields") or {}).get("beparams") or {})


# A failed REMOVE concludes nothing: only Ganeti can say whether it still has the instance. So with every pair
# that is not named here.
CONCLUSIONS: Mapping[tuple[str, str], Callable[[Message], Conclusions]] = {
    (CREATE, "success"): _created,
    (CREATE, "error"): _broken,
    (CREATE, "canceled"): _broken,
    ("OP_INSTANCE_STARTUP", "success"): _running,
    ("OP_INSTANCE_REBOOT", "success"): _running,
    ("OP_INSTANCE_SHUTDOWN", "success"): _stopped,
    (REMOVE, "success"): _gone,
    ("OP_INSTANCE_RENAME", "success"): _renamed,
    ("OP_INSTANCE_SET_PARAMS", "success"): _resized,
}


def seconds(moment: list[int]) -> float:
    """[seconds, microseconds, ...] as one number."""
    return float(moment[0] + moment[1] / 1_000_000)
