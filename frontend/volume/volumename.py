"""What volumes are called in Ganeti. Pure.

A volume is a disk whose name is `vol-` and its UUID, wherever it is attached. The instance that holds it while no
server has it, and its tags for ever, is called PREFIX, `vol-` and the same.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from frontend.effect import labelled

PREFIX = "vol-"


def disk(volume_id: str) -> str:
    return PREFIX + volume_id


def of_disk(name: str | None) -> str | None:
    """The volume that a disk of this name is; None for one that is none."""
    return labelled.ident(PREFIX, name)


def holder(prefix: str, volume_id: str) -> str:
    """`prefix`: how names of the front's instances begin."""
    return prefix + PREFIX + volume_id


@functools.lru_cache(4096)
def of_holder(prefix: str, instance: str) -> str | None:
    """The volume that an instance of this name holds; None for one that is no holder."""
    label = instance.split(".", 1)[0]
    return of_disk(label.removeprefix(prefix)) if label.startswith(prefix) else None


def boots(server: Mapping[str, Any]) -> bool:
    """Whether a server's first disk is a volume, as far as Ganeti has said."""
    disks = server.get("disks") or []
    return bool(disks) and of_disk(disks[0].get("name")) is not None
