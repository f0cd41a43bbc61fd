"""How the instance or network of a final message stands now: when to ask, whom, and whether the answer will do. Pure.

NICs and disks are not in a job's file but for what was asked for (messages.py tells that), so Ganeti is asked once
for each message, and the answer is stamped with when it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventd.messages import News, full_name
from ganeti_ext.event import NETWORK_STATUS, OP_STATUS

# These change the configuration of their object, hence its mtime; but not when all is as it was (wconfd's isIdentical).
_MARKED = frozenset((
    "OP_INSTANCE_CREATE", "OP_INSTANCE_SET_PARAMS", "OP_INSTANCE_GROW_DISK", "OP_INSTANCE_RENAME",
    "OP_NETWORK_ADD", "OP_NETWORK_SET_PARAMS", "OP_NETWORK_RENAME", "OP_TAGS_SET", "OP_TAGS_DEL",
))  # fmt: skip
# And these leave no such mark: an instance's node is set without it (ConfigModifications.hs setInstancePrimaryNode),
# and that a network is connected is kept with the node group.
_UNMARKED = frozenset((
    "OP_INSTANCE_MIGRATE", "OP_INSTANCE_FAILOVER", "OP_INSTANCE_MOVE", "OP_NETWORK_CONNECT", "OP_NETWORK_DISCONNECT",
))  # fmt: skip
# These do not start or stop an instance, so its node need not be asked.
_KEEPS_RUNNING = frozenset(("OP_TAGS_SET", "OP_TAGS_DEL", "OP_INSTANCE_SET_PARAMS", "OP_INSTANCE_GROW_DISK"))
# Nor after the success of these, which says it, if the instance is still to be as they left it: to ask the node would
# only make the message late.
_SAYS_RUNNING = {
    "OP_INSTANCE_STARTUP": "up",
    "OP_INSTANCE_REBOOT": "up",
    "OP_INSTANCE_CREATE": "up",
    "OP_INSTANCE_SHUTDOWN": "down",
}
_REMOVES = frozenset(("OP_INSTANCE_REMOVE", "OP_NETWORK_REMOVE"))

# luxid sees a change of the configuration up to 0.25 s late (ConfigReader.hs, Constants.hs
# confdConfigReloadRatelimit), while we read the job's end within milliseconds. In seconds since that end:
_SETTLED = 0.3
_IDENTICAL = 0.6  # by then an old mtime means that nothing was changed
_MISSING = 3.0  # by then an instance that is not there was removed by another job
_FRESH = 10.0  # older news are not worth waiting for, the object may have been gone for long

Rows = Mapping[str, Mapping[str, Any]]


def wants(item: News) -> str:
    """What to ask of: instance, network; "" when nothing is to be added to a message."""
    if not item.is_final or (item.status == "success" and item.message["operation"] in _REMOVES):
        return ""
    return {OP_STATUS: "instance", NETWORK_STATUS: "network"}.get(item.message["type"], "")


def subject(message: Mapping[str, Any]) -> str:
    """The name that the object of a final message has now."""
    name: str = message.get("instance") or message["network"]
    if _is_renamed(message):
        return message["result"] if isinstance(message["result"], str) else name
    return name


def _is_renamed(message: Mapping[str, Any]) -> bool:
    return message["status"] == "success" and message["operation"] in ("OP_INSTANCE_RENAME", "OP_NETWORK_RENAME")


def names(item: News) -> set[str]:
    """By what to ask for the object of a message: its name, and its UUID, as it may have been renamed since."""
    return {subject(item.message), _lasting(item)} - {""}


def _lasting(item: News) -> str:
    """The UUID of what a message is about; "" where its name alone counts: a rename tells of the name it gave."""
    return "" if _is_renamed(item.message) else item.uuid


def key(item: News) -> str:
    """The object of a message, for those that may be asked about; "" for the others."""
    kind = item.message["type"]
    return f"{kind}/{subject(item.message)}" if kind in (OP_STATUS, NETWORK_STATUS) else ""


def _full(item: News, rows: Rows) -> str:
    """The name by which Ganeti's answer has the object; an opcode may have an instance's short one, or a former one.

    A job looks its instance up before it waits for its locks, and works on what has that UUID (cmdlib/base.py): what it
    did to an instance that was renamed meanwhile is said of a name that nobody has.
    """
    name, uuid = subject(item.message), _lasting(item)
    if item.message["type"] != OP_STATUS:
        return name
    if uuid and _uuid(rows.get(name)) != uuid:
        renamed = next((full for full, row in rows.items() if _uuid(row) == uuid), None)
        if renamed is not None:
            return renamed
    return full_name(name, rows) or name


def _uuid(row: Mapping[str, Any] | None) -> object:
    return row["instance_state"].get("uuid") if row else None


def is_behind(item: News, rows: Rows, asked: float) -> bool:
    """Whether an answer may be older than what the message tells of, so that it is worth to ask again.

    `asked` is when it was asked for, in seconds since the epoch.
    """
    since = asked - item.time
    if not -_FRESH < since < _MISSING:
        return False
    row, operation = rows.get(_full(item, rows)), item.message["operation"]
    if item.status == "success" and operation in _MARKED:
        if row is None:
            return True
        return since < _IDENTICAL and (row["mtime"] or 0) < item.began
    # What failed at its work, not before it, may have done a part of it.
    has_worked = item.status == "success" or (item.status == "error" and item.message["error_code"] is None)
    is_unsure = operation in _UNMARKED or (operation in _MARKED and item.status == "error")
    return has_worked and is_unsure and since < _SETTLED


def node(item: News, rows: Rows) -> str:
    """The node to be asked whether the instance runs; "" when none need be."""
    row = rows.get(_full(item, rows))
    if row is None or item.message["type"] != OP_STATUS or item.message["operation"] in _KEEPS_RUNNING:
        return ""
    state, dry_run = row["instance_state"], item.message["job_fields"].get("dry_run")
    left = _SAYS_RUNNING.get(item.message["operation"])
    if item.status == "success" and not dry_run and state["admin_state"] == left:
        return ""
    pnode: str = state["pnode"] or ""
    return pnode


def add(item: News, rows: Rows, asked: float) -> None:
    """Complete a message in place.

    `read_at` is when we asked, not when the answer came: what ends in between must count as newer. Alone it
    says that Ganeti knows no such object. A short or former name becomes the one it has.
    """
    full = _full(item, rows)
    row = rows.get(full, {})
    if full != subject(item.message):
        item.message["instance"] = full
    item.message.update({key: value for key, value in row.items() if key != "mtime"})
    item.message["read_at"] = [int(asked), int(asked % 1 * 1e6)]


def add_running(item: News, running: bool | None) -> None:
    """What the node said; after `add`. The state may be shared with other messages."""
    item.message["instance_state"] = {**item.message["instance_state"], "oper_state": running}
