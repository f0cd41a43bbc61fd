"""os-retype: a volume gets another type, which is another place: it is copied there (docs/storage.md, "Retype")."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from typing import Any

from frontend.effect import chain, translate_retype
from frontend.effect.purpose import RETYPE, Purpose
from frontend.volume import volumeeffect, volumetypes
from frontend.web import context
from frontend.web.fault import BadRequest, NotFound

log = logging.getLogger(__name__)

Row = Mapping[str, Any]

_POLICIES = ("never", "on-demand")
_CLEARING = 3  # the last steps


def retype(volume: Row, wanted: str, policy: str) -> list[int]:
    """To a type, by name or id; the jobs of it. `policy`: whether it may be moved for that (migration_policy).

    BadRequest for a volume that a server has: its disks move by ganeti-ext-storage migrate, all of them.
    """
    if policy not in _POLICIES:
        raise BadRequest(f"migration_policy: expected never or on-demand, got {policy!r:.80}")
    try:
        kind = volumetypes.find(wanted)
    except NotFound as err:
        raise BadRequest(f"Invalid volume type: {err}") from err
    volumeeffect.check(volume, "retype", "available")
    if kind.name == volume["type"]:
        raise BadRequest(f"Invalid volume type: Volume {volume['id']} is of the type {kind.name} already.")
    if policy == "never":
        raise BadRequest(
            f"Invalid volume: Retype requires migration, from {volume['type']} to {kind.name}, but is not allowed: the"
            " migration_policy is never."
        )
    steps = translate_retype.retype(volume, kind.name, str(uuid.uuid4()))
    jobs = chain.submit(context.rapi(volume), steps, Purpose(RETYPE, volume["id"]))
    volumeeffect.told(volume, RETYPE, jobs[:-_CLEARING])
    return jobs
