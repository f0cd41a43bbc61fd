"""revert: a volume gets the content of its latest snapshot again. Its disk is exchanged for a clone of that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from frontend.effect import chain, translate_volume
from frontend.effect.purpose import REVERT_VOLUME, Purpose
from frontend.volume import schema_volume, snapshotstore, volumeeffect, volumestate
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Conflict, NotFound

Row = dict[str, Any]

_SINCE = (3, 40)


def revert(row: Row, argument: Any) -> tuple[str, int]:
    """From 3.40, of a volume that no server has, to its latest snapshot alone, as Cinder."""
    if context.version() < _SINCE:
        raise NotFound("The resource could not be found.")
    wanted = schema.text(schema_volume.argument_of("revert", argument), "snapshot_id")
    with context.database() as connection:
        found = snapshotstore.of_volume(connection, row["id"])
    if not found:
        raise BadRequest(f"Volume {row['id']} doesn't have any snapshots.")
    latest = found[-1]
    _check(row, latest, wanted)
    steps = translate_volume.revert(row, latest["id"])
    jobs = chain.submit(context.rapi(row), steps, Purpose(REVERT_VOLUME, row["id"]))
    volumeeffect.told(row, REVERT_VOLUME, jobs)
    return "", 202


def _check(row: Mapping[str, Any], latest: Mapping[str, Any], wanted: str) -> None:
    which = f"volume {row['id']} to its latest snapshot {latest['id']}"
    if wanted != latest["id"]:
        raise BadRequest(f"Specified snapshot {wanted[:80]} is not the latest one of volume {row['id']}.")
    if row["size"] != latest["size"]:
        raise BadRequest(f"Can't revert {which}. The volume size must be equal to the snapshot size.")
    store = translate_volume.provider(row["type"])
    if (latest["provider"], latest["pool"]) != (store["provider"], store.get("pool")):
        raise BadRequest(f"Can't revert {which}. The volume has got another type since.")
    if row["status"] != volumestate.AVAILABLE:
        raise Conflict(f"Invalid volume: Can't revert {which}. Volume's status must be 'available'.")
    if latest["status"] != snapshotstore.AVAILABLE:
        raise Conflict(f"Invalid snapshot: Can't revert {which}. Snapshot's status must be 'available'.")
