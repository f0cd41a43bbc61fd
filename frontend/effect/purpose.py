"""What a job is for, written into its reason trail: all jobs of one action are told of as that action.

The trail is Ganeti's own (ganeti-doc, design-reason-trail.rst): the front gives a text to the remote API with each
job of a chain, and it comes back in every message of the job, whoever reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

_SOURCE = "gnt:user"  # under which the remote API notes the text (constants.OPCODE_REASON_SRC_USER)
_PREFIX = "ganeti-ext"
GROUP = f"{_PREFIX}:group:"
"""Of jobs on the cluster's tags that tell of a tenant's security group: the group's id is behind it."""

RESIZE, REVERT, SNAPSHOT, FORGET = "resize", "revert", "snapshot", "forget"
SNAPSHOT_VOLUME, UPLOAD_VOLUME, REVERT_VOLUME = "snapshot-volume", "upload-volume", "revert-volume"
REBUILD, RESCUE, UNRESCUE = "rebuild", "rescue", "unrescue"
CREATE_VOLUME, DELETE_VOLUME, EXTEND, RETYPE = "create-volume", "delete-volume", "extend", "retype"
ATTACH, DETACH, BOOT, LEAVE = "attach", "detach", "boot", "leave"
PLUG, UNPLUG = "plug", "unplug"
NETWORK = "network"
# The task of a server meanwhile, in Nova's words (nova/compute/task_states.py). Who carries away the snapshot of an
# image that was deleted is doing nothing of its own, and so is one whose volumes or NICs come and go, or a network.
TASKS: Mapping[str, str | None] = {
    RESIZE: "resize_prep",
    REVERT: "resize_reverting",
    SNAPSHOT: "image_snapshot",
    SNAPSHOT_VOLUME: None,
    UPLOAD_VOLUME: None,
    FORGET: None,
    REBUILD: "rebuilding",
    RESCUE: "rescuing",
    UNRESCUE: "unrescuing",
    BOOT: "spawning",
    LEAVE: "deleting",
    **dict.fromkeys((CREATE_VOLUME, DELETE_VOLUME, EXTEND, RETYPE, REVERT_VOLUME, ATTACH, DETACH)),
    **dict.fromkeys((PLUG, UNPLUG, NETWORK)),
}
# What a volume is doing meanwhile, which is its status then: Cinder's words.
VOLUME_TASKS: Mapping[str, str] = {
    CREATE_VOLUME: "creating",
    DELETE_VOLUME: "deleting",
    EXTEND: "extending",
    RETYPE: "retyping",
    REVERT_VOLUME: "reverting",
    ATTACH: "attaching",
    DETACH: "detaching",
}


class Purpose(NamedTuple):
    kind: str
    """One of TASKS."""
    detail: str
    """The image's or snapshot's id of SNAPSHOT, SNAPSHOT_VOLUME, FORGET; the volume's of VOLUME_TASKS; the port's of
    PLUG and UNPLUG; the network's of NETWORK, with something behind it that no other chain has; else empty."""

    @property
    def reason(self) -> str:
        return ":".join(filter(None, (_PREFIX, *self)))


def of(message: Mapping[str, Any]) -> Purpose | None:
    """What the job of a message is for; None when it stands for itself."""
    for step in message.get("reason") or ():
        match step:
            case [source, str(text)] if source == _SOURCE:
                prefix, _, rest = text.partition(":")
                kind, _, detail = rest.partition(":")
                if prefix == _PREFIX and kind in TASKS:
                    return Purpose(kind, detail)
    return None


def of_opcode(op: Mapping[str, Any]) -> Purpose | None:
    """What an opcode of Ganeti's queue is for: there each word of the trail has a time behind it."""
    return of({"reason": [list(step[:2]) for step in op.get("reason") or ()]})
