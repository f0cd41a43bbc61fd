"""What a hook leaves for eventd: one note (ganeti_ext/note.py) of type NET_STATUS about an instance."""

from __future__ import annotations

import time

from ganeti_ext import event
from ganeti_ext.hookenv import Hook
from ganeti_ext.note import DIRECTORY, leave, moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def main(_verb: str, env: Mapping[str, str]) -> None:
    """Leave a note about an operation on an instance; other objects' hooks leave none.

    The directory is GANETI_EXT_SPOOL or the one that eventd reads by default.
    """
    hook = Hook.from_env(env)
    if hook.object_type == "INSTANCE" and hook.instance:
        leave(env.get("GANETI_EXT_SPOOL") or DIRECTORY, note(hook, time.time_ns()))


def note(hook: Hook, now_ns: int) -> dict[str, Any]:
    """The message of one run of a hook; `now_ns` is the time by this node's clock."""
    return {
        "type": event.NET_STATUS,
        "version": event.VERSION,
        "event_time": moment(now_ns),
        "cluster": hook.cluster,
        "instance": hook.instance,
        "operation": hook.opcode,
        "primary": hook.primary,
        "nics": [_nic(nic) for nic in hook.nics],
    }


def _nic(nic: Mapping[str, str]) -> dict[str, str | None]:
    # Ganeti writes a value that it does not have as "None".
    known = {name: value if value not in ("", "None") else None for name, value in nic.items()}
    known["network"] = known.pop("network_name")
    return known
