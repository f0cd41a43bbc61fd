"""What a message about a job means for a server's row: values in, changed columns out.

Messages come repeated, late and out of order. So each thing that can be said of a server (a facet) keeps in the
column `clocks` how new what was said of it last is, and only something newer changes it: whatever order the
messages come in, the row ends the same. How new a message is, tells its `seq`, which no clock sets back
(docs/architecture.md, "Order"). Two kinds of evidence speak of facets:

    a conclusion   from how a job ended (STARTUP succeeded: it runs)
    a reading      what Ganeti said when eventd asked after that (reading.py): the newer one of the two

What a tenant changed of a server's tags is shown before Ganeti has it; wished.py says what becomes of readings then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from frontend.compute.wished import Wishes
from frontend.effect import purpose
from frontend.update import reading
from ganeti_ext import event

Row = Mapping[str, Any]
Message = Mapping[str, Any]
Columns = dict[str, Any]
Evidence = tuple[str, list[Any], Columns]
"""A facet, how new what is said of it is, and the columns that say it."""

BUILD, ACTIVE, SHUTOFF, ERROR, UNKNOWN = "BUILD", "ACTIVE", "SHUTOFF", "ERROR", reading.UNKNOWN
# Of a server that has an instance, whether it runs or not: what stands out until its user says how it goes on.
_STANDS_OUT = {"rescued": "RESCUE", "resized": "VERIFY_RESIZE"}

CREATE = "OP_INSTANCE_CREATE"
REMOVE = "OP_INSTANCE_REMOVE"
_RENAME = "OP_INSTANCE_RENAME"
_STARTUP = "OP_INSTANCE_STARTUP"
_SET_PARAMS = "OP_INSTANCE_SET_PARAMS"
# Codes of refused opcodes (ganeti/errors.py).
TEMP_NORES = "temp_insufficient_resources"
_WRONG_INPUT, _LOST_SECRETS = "wrong_input", "re-submit secret parameters"  # mcpu.py _CheckSecretParameters
ALREADY_EXISTS = "already_exists"

# What the row's task says while a job with this opcode goes on: Nova's names (nova/compute/task_states.py). SET_PARAMS
# has one of several (task_of); other opcodes leave the task alone.
DELETING = "deleting"
TASKS: Mapping[str, str] = {
    CREATE: "spawning",
    "OP_INSTANCE_STARTUP": "powering-on",
    "OP_INSTANCE_SHUTDOWN": "powering-off",
    "OP_INSTANCE_REBOOT": "rebooting",
    REMOVE: DELETING,
    "OP_INSTANCE_MIGRATE": "migrating",
    "OP_INSTANCE_FAILOVER": "migrating",
    "OP_INSTANCE_MOVE": "migrating",
    "OP_INSTANCE_REINSTALL": "rebuilding",
    "OP_INSTANCE_RECREATE_DISKS": "rebuild_block_device_mapping",
    "OP_INSTANCE_GROW_DISK": "resize_finish",
}
_CHANGES = {"add": "attaching", "attach": "attaching", "remove": "detaching", "detach": "detaching"}

# Columns that no client sees: a change of them alone is none of the server.
BOOKKEEPING = frozenset(("clocks", "job", "job_order", "power", "wished"))

_FAULT_LENGTH = 4096


def advance(
    row: Row,
    message: Message,
    subnets6: Mapping[str, str | None],
    owners: reading.Owners | None = None,
    *,
    again: bool = False,
) -> Columns | None:
    """The columns that an OP_STATUS message changes, or None.

    `subnets6` has the IPv6 subnet of each network by its name. `again`: this create failed and will be submitted
    once more (owed.py). The caller writes `updated`.
    """
    clocks = dict(row["clocks"] or {})
    is_broken = _is_broken(row, message) and not again
    if message["operation"] == CREATE:
        clocks["create"] = max(clocks.get("create", []), message["order"][2:3])
    wishes = Wishes(row["wished"])
    told = [each for each in _evidence(row, message, subnets6, owners, is_broken) if not wishes.hold(*each)]
    if message["status"] in event.FINAL:
        told += wishes.end(message["order"][2], stamp(message), succeeded=message["status"] == "success")
    new: Columns = {}
    for facet, order, values in told:
        if order > clocks.get(facet, []):
            clocks[facet] = order
            new.update(values)
    new.update(_task(row, message, again=again), clocks=clocks or None, wished=wishes.column)
    return _changed(row, new)


def progress(row: Row, message: Message) -> Columns | None:
    """The columns that a PROGRESS message changes, or None: it only rises, and ends with the building."""
    percent = message["progress"]
    if not isinstance(percent, int | float):
        raise ValueError(f"progress {percent!r} is no number")
    known, told = row["progress"], max(0, min(100, int(percent)))
    if row["status"] != BUILD or row["deleted"] is not None or (known is not None and told <= known):
        return None
    return {"progress": told}


def status(row: Row) -> str:
    """The status that follows from the other columns."""
    if row["fault"]:
        return ERROR
    if row["power"] in (ACTIVE, SHUTOFF):
        for fact, shown in _STANDS_OUT.items():
            if (row["facts"] or {}).get(fact):
                return shown
    return row["power"] or BUILD


def stamp(message: Message, *, read: bool = False) -> list[int]:
    """How new is what a message says of itself, or (`read`) what Ganeti said when it was asked for it.

    Compare as lists. What has no `seq` is older than all that has, and by the master's clock among itself.
    """
    seq = message.get("seq")
    if seq is None:
        return [0, *message["read_at"], *message["order"][2:]] if read else [0, *message["order"]]
    if not (isinstance(seq, list) and len(seq) == 2 and all(isinstance(part, int) for part in seq)):
        raise ValueError(f"seq {seq!r} is not [term, number]")
    return [*seq, int(read)]


def task_of(message: Message) -> str | None:
    """What a server is said to be doing while the job of this message goes on; None: nothing of its own."""
    if known := purpose.of(message):
        return purpose.TASKS[known.kind]
    if message["operation"] != _SET_PARAMS:
        return TASKS.get(message["operation"])
    fields = message.get("job_fields") or {}
    if fields.get("beparams"):
        return "resize_finish"
    changes = [change[0] for change in (*(fields.get("disks") or ()), *(fields.get("nics") or ())) if change]
    return next((_CHANGES[name] for name in changes if isinstance(name, str) and name in _CHANGES), None)


def _changed(row: Row, new: Columns) -> Columns | None:
    after = {**row, **new}
    if after["deleted"] is not None:
        new["fault"] = after["fault"] = None  # nobody is shown it any more
    new["status"] = status(after)
    if new["status"] != BUILD:
        new["progress"] = None
    return {name: value for name, value in new.items() if row[name] != value} or None


def _task(row: Row, message: Message, *, again: bool) -> Columns:
    """The newest job that has a task says which; its last status clears it.

    Jobs are compared by number, not by time: of two that wait, the later one is what the server will do.
    """
    order, task = message["order"], task_of(message)
    if task is None or order[2:] <= last_told(row):
        return {}
    if message["status"] in event.FINAL and not again:
        task = None
    elif row["task"] and row["job"] == order[2] and (row["job_order"] or order)[3] == order[3]:
        task = row["task"]  # the API's word for it is finer: rebooting_hard, or deleting while it is built
    return {"job": order[2], "job_order": order, "task": task}


def last_told(row: Row) -> list[int]:
    """[job, opcode, rank] of the last message that the task is from.

    The API writes `job` alone, when Ganeti accepted it and nothing was told of it yet.
    """
    job, order = row["job"], row["job_order"]
    if job is None:
        return []
    return list(order[2:]) if order and order[2] == job else [job, -1]


def _is_broken(row: Row, message: Message) -> bool:
    """Whether a create failed, and the server with it.

    A create that was refused or canceled has touched nothing: if there is an instance, it is another job's. One
    that lacked something for a moment may have been submitted once more since. And who deletes a server while it
    is built has its create canceled (owed.py).
    """
    if message["operation"] != CREATE or message["status"] not in ("error", "canceled"):
        return False
    code = message.get("error_code")
    if message["status"] == "error" and code is None:
        return True
    if message.get("instance_state") or code == ALREADY_EXISTS:
        return False
    if is_passing(message):
        return bool(_clock(row, "create") <= message["order"][2:3])
    return bool(message["status"] == "error" or _clock(row, "unwanted") != message["order"][2:3])


def is_passing(message: Message) -> bool:
    """Whether a job failed by what may be well if it is submitted again.

    Ganeti keeps secret parameters in its master daemon's memory: a job that waits while that starts anew has lost them.
    """
    code = message.get("error_code")
    return code == TEMP_NORES or (code == _WRONG_INPUT and _LOST_SECRETS in str(message.get("result")))


def _clock(row: Row, name: str) -> list[int]:
    found: list[int] = (row["clocks"] or {}).get(name, [])
    return found


def _evidence(
    row: Row,
    message: Message,
    subnets6: Mapping[str, str | None],
    owners: reading.Owners | None,
    is_broken: bool,
) -> Iterator[Evidence]:
    operation, ended = message["operation"], message["status"]
    if ended not in event.FINAL:
        return
    is_unstarted = _is_unstarted(row, message)
    if message.get("instance_state"):
        at = stamp(message, read=True)
        for facet, values in reading.facets(message, subnets6, owners, _name_now(message)):
            # What a failed create left behind may run or not: the server is broken either way. And what is to get its
            # volumes before it is started, is being built until then.
            if not (is_broken and facet in ("power", "fault")) and not (is_unstarted and _is_off(values)):
                yield facet, at, values
    elif message.get("read_at") and (operation, ended) == (REMOVE, "error") and message["instance"] == row["instance"]:
        # It failed because there is nothing to remove, or only after all was removed.
        yield "deleted", stamp(message, read=True), {"deleted": seconds(message["read_at"])}
    conclude = _broken if is_broken else CONCLUSIONS.get((operation, ended))
    for facet, values in conclude(message) if conclude else ():
        if not (is_unstarted and _is_off(values)):
            yield facet, stamp(message), values
    if _is_unbooted(row, message):
        yield "fault", stamp(message), {"fault": said(message)}


def _is_unstarted(row: Row, message: Message) -> bool:
    """Whether a job makes a server that is to get volumes before it is started, or gives it one of them."""
    known = purpose.of(message)
    if known is None or row["power"] is not None:
        return False
    return (known.kind, message["operation"]) in ((purpose.BOOT, CREATE), (purpose.ATTACH, _SET_PARAMS))


def _is_off(values: Columns) -> bool:
    return bool(values.get("power") == SHUTOFF)


def _is_unbooted(row: Row, message: Message) -> bool:
    """Whether a server was not started with its volumes. Why, what failed before that may have told."""
    known = purpose.of(message)
    if known is None or known.kind != purpose.BOOT or message["operation"] != _STARTUP:
        return False
    return message["status"] != "success" and not row["fault"]


def _name_now(message: Message) -> str:
    """Of the instance that a final message's reading is about."""
    was_renamed = message["operation"] == _RENAME and message["status"] == "success"
    return str(_new_name(message) or "") if was_renamed else str(message["instance"])


def _new_name(message: Message) -> str | None:
    name = message.get("result") or (message.get("job_fields") or {}).get("new_name")
    return name if isinstance(name, str) else None


Conclusions = Iterator[tuple[str, Columns]]


def _created(message: Message) -> Conclusions:
    yield "deleted", {"deleted": None}
    yield "fault", {"fault": None}
    yield from _resized(message)
    disks = (message.get("job_fields") or {}).get("disks") or ()
    if disks and all(isinstance(disk.get("size"), int) for disk in disks):
        yield "disk", {"disk": reading.gibibytes(disks)}
    nodes = message.get("result")
    if isinstance(nodes, list) and nodes and isinstance(nodes[0], str):
        yield "host", {"host": nodes[0]}
    yield from _stopped(message) if (message.get("job_fields") or {}).get("start") is False else _running(message)


def _running(message: Message) -> Conclusions:
    if _is_nameless(message):
        return
    yield "fault", {"fault": None}
    # What Ganeti is told to keep stopped was stopped by a later job, which was read before this one.
    if _admin_state(message) in (None, "up"):
        yield "power", {"power": ACTIVE}


def _stopped(message: Message) -> Conclusions:
    if _admin_state(message) != "up" and not _is_nameless(message):
        yield "power", {"power": SHUTOFF}


def _is_nameless(message: Message) -> bool:
    """Whether Ganeti knew no such instance when it was asked: a later job removed or renamed it, and tells more."""
    return bool(message.get("read_at")) and not message.get("instance_state")


def _admin_state(message: Message) -> str | None:
    state: str | None = (message.get("instance_state") or {}).get("admin_state")
    return state


def _broken(message: Message) -> Conclusions:
    yield "fault", {"fault": said(message)}


def said(message: Message) -> str:
    """Why a job failed."""
    words = str(message.get("result") or message.get("logmsg") or "")[:_FAULT_LENGTH]
    return words or f"job {message['order'][2]} ended as {message['status']}"


def _gone(message: Message) -> Conclusions:
    yield "deleted", {"deleted": seconds(message["order"])}


def _renamed(message: Message) -> Conclusions:
    name = _new_name(message)
    if name and not _is_nameless(message):  # else it was renamed again
        yield "instance", {"instance": name}
        # A removal that failed before may have been asked about after this: by a name that was gone.
        yield "deleted", {"deleted": None}


def _resized(message: Message) -> Conclusions:
    yield from reading.size((message.get("job_fields") or {}).get("beparams") or {})


# A failed REMOVE concludes nothing: only Ganeti can say whether it still has the instance. So with every pair
# that is not named here, and every opcode that is not known.
CONCLUSIONS: Mapping[tuple[str, str], Callable[[Message], Conclusions]] = {
    (CREATE, "success"): _created,
    ("OP_INSTANCE_STARTUP", "success"): _running,
    ("OP_INSTANCE_REBOOT", "success"): _running,
    ("OP_INSTANCE_SHUTDOWN", "success"): _stopped,
    (REMOVE, "success"): _gone,
    (_RENAME, "success"): _renamed,
    (_SET_PARAMS, "success"): _resized,
}


def seconds(moment: list[int]) -> float:
    """[seconds, microseconds, ...] as one number."""
    return float(moment[0] + moment[1] / 1_000_000)
