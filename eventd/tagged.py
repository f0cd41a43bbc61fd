"""Which opcodes changed the tags of an instance or a network, and what is told of it. Pure.

Ganeti runs no hooks for tags (cmdlib/tags.py, NoHooksLU), and those for a network's gateway and IPv6 subnet on the
master alone (cmdlib/network.py), so eventd has them run: see docs/events.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from eventd.messages import News, full_name
from ganeti_ext.event import NETWORK_STATUS, OP_STATUS
from ganeti_ext.tags import PORTS

OPCODES = ("OP_TAGS_SET", "OP_TAGS_DEL")
_MODIFY = "OP_NETWORK_SET_PARAMS"
_TOLD = ("gateway", "subnet6", "gateway6")  # what of a network is a guest's to know; not which addresses are reserved
INSTANCE, NETWORK = "instance", "network"
_KINDS = {OP_STATUS: INSTANCE, NETWORK_STATUS: NETWORK}

_CURSOR = "tags/"
# luxid sees a change of the configuration up to 0.25 s late (ConfigReader.hs, confdConfigReloadRatelimit). Were it
# ever later than this, a tag would be told wrongly; were there no end, a clock that is set back would stop it all.
_LAG = 3.0

Row = Mapping[str, Any]


class Change(NamedTuple):
    """One opcode that changed tags.

    `cause` names it: JOB/OP. `name` is the object's as the opcode has it: an instance's may be short. `began` and
    `ended` are when it did its work, in seconds since the epoch by the master's clock.
    """

    cause: str
    kind: str
    name: str
    opcode: str
    began: float
    ended: float


def changes(found: Iterable[News]) -> list[Change]:
    """What of these messages changed tags of instances and networks."""
    made = []
    for item in found:
        message = item.message
        if item.status != "success" or not _concerns(message) or message["job_fields"].get("dry_run"):
            continue
        kind = _KINDS.get(message["type"])
        if kind is None:  # of nodes, groups and the cluster, which concern no instance
            continue
        made.append(Change(item.cursor, kind, message[kind], message["operation"], item.began, item.time))
    return made


def _concerns(message: Mapping[str, Any]) -> bool:
    """Whether it is an opcode that changes something for guests that run."""
    operation, fields = message["operation"], message["job_fields"]
    if operation in OPCODES:
        said = fields.get("tags")
        return not said or not all(tag.startswith(PORTS) for tag in said)
    return operation == _MODIFY and any(fields.get(name) for name in _TOLD)


def records(made: Iterable[Change]) -> dict[str, str | None]:
    """Changes as cursors for the outbox, where they stay until they were told."""
    return {cursor(one.cause): f"{one.kind} {one.opcode} {one.began!r} {one.ended!r} {one.name}" for one in made}


def cursor(cause: str) -> str:
    return _CURSOR + cause


def recall(cursors: Mapping[str, str]) -> list[Change]:
    """The changes among the outbox's cursors."""
    found = []
    for name, value in cursors.items():
        if name.startswith(_CURSOR):
            kind, opcode, began, ended, target = value.split(" ", 4)
            found.append(Change(name.removeprefix(_CURSOR), kind, target, opcode, float(began), float(ended)))
    return found


def named(name: str, rows: Mapping[str, Row]) -> Row | None:
    """The one of these instances that is meant by a name."""
    return rows.get(full_name(name, rows) or "")


def network(name: str, rows: Mapping[str, Row]) -> Row | None:
    """The one of these networks that is meant by a name, or by a UUID (config LookupNetwork)."""
    return rows.get(name) or next((row for row in rows.values() if row["uuid"] == name), None)


def is_behind(row: Row | None, began: float, ended: float, now: float) -> bool:
    """Whether what Ganeti answered may be older than a change; never long after it."""
    return abs(now - ended) < _LAG and (row is None or (row["mtime"] or 0) < began)


def unneeded(row: Row | None, offline: frozenset[str]) -> str | None:
    """Why no node need be told of an instance's tags: when it starts they are read afresh anyway."""
    if row is None:
        return "Ganeti knows no such instance"
    if row["admin_state"] != "up":
        return f"it is {row['admin_state']}"
    if not row["pnode"]:
        return "it has no primary node"
    return f"its node {row['pnode']} is offline" if row["pnode"] in offline else None
