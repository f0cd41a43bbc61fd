"""Images of servers and snapshots of volumes that wait for a job of which no end was told.

The job that a row names is the last of its chain, which takes the tags away; the one before it, on which it depends, is
the one that counts (translate_image.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.engine import Engine

from frontend.database import db
from frontend.effect import clusters, owed, purpose
from frontend.effect.purpose import Purpose
from frontend.reconcile import difference
from frontend.reconcile.difference import Difference, Row
from frontend.reconcile.snapshot import RemoteApi
from frontend.update import actions
from ganeti_ext import event

KIND = "saved"
_TABLES = {"image": db.image, "volume_snapshot": db.volume_snapshot}
_FIELDS = ("id", "status", "ops", "opresult")
_LOST = 600.0  # seconds after which nobody is about to submit the jobs of a row any more
_CHUNK = 500


class _Known(NamedTuple):
    table: str
    row: Row
    purpose: Purpose


def differences(engine: Engine, rapi: RemoteApi, now: float) -> list[Difference]:
    """The rows are read first, then their jobs. Raises RapiUnavailable, RapiError or SQLAlchemyError."""
    known = list(_waiting(engine, clusters.asked(rapi)))
    last = _jobs(rapi, [each.row["job"] for each in known if each.row["job"] is not None])
    before = _jobs(rapi, [number for number in map(_awaited, last.values()) if number is not None])
    found = (_difference(each, last, before, now) for each in known)
    return [each for each in found if each is not None]


def verdict(each: Difference) -> tuple[Purpose, str | None]:
    """What a difference says of its row: what its job was for, and why that failed."""
    said = each.after or {}
    return Purpose(said["kind"], said["detail"]), said["why"]


def _waiting(engine: Engine, cluster: str) -> Iterator[_Known]:
    image, snapshot = db.image.c, db.volume_snapshot.c
    # What is uploaded waits for no job (imagestate.py), and what is to be removed is tried again (unwanted.py).
    images = select(db.image).where(image.cluster == cluster, image.status == "saving", image.origin.is_not(None))
    snapshots = select(db.volume_snapshot).where(
        snapshot.cluster == cluster, snapshot.status.in_(("creating", "deleting"))
    )
    with engine.begin() as connection:
        found = [("image", row) for row in db.rows(connection, images)]
        found += [("volume_snapshot", row) for row in db.rows(connection, snapshots)]
        begun = owed.begun(connection)  # whose jobs are submitted yet
    for table, row in found:
        if row["job"] is None and row["id"] in begun:
            continue
        kind = purpose.SNAPSHOT if table == "image" else purpose.SNAPSHOT_VOLUME
        yield _Known(table, row, Purpose(purpose.FORGET if row["status"] == "deleting" else kind, row["id"]))


def _jobs(rapi: RemoteApi, numbers: Sequence[int]) -> dict[int, Mapping[str, Any]]:
    """By number; one that Ganeti does not know any more has no status."""
    found: dict[int, Mapping[str, Any]] = {}
    wanted = sorted(set(numbers))
    for start in range(0, len(wanted), _CHUNK):
        asked = ["|", *(["=", "id", number] for number in wanted[start : start + _CHUNK])]
        found.update({entry["id"]: entry for entry in rapi.query("job", _FIELDS, asked)})
    return found


def _awaited(job: Mapping[str, Any]) -> int | None:
    """The number of the job that one depends on."""
    for op in job["ops"] or ():
        for number, _ in op.get("depends") or ():
            return int(number)
    return None


def _difference(
    known: _Known, last: Mapping[int, Mapping[str, Any]], before: Mapping[int, Mapping[str, Any]], now: float
) -> Difference | None:
    row, number = known.row, known.row["job"]
    if number is None:
        if now - (row["updated"] or row["created"]) < _LOST:
            return None
        why: str | None = "no job of it was ever submitted"
    else:
        job = last.get(number) or {"id": number, "status": None, "ops": None}
        awaited = _awaited(job)
        counts = job if awaited is None else before.get(awaited, {"id": awaited, "status": None})
        # The last one may be queued for long after the one that counts has ended.
        if counts["status"] is not None and counts["status"] not in event.FINAL:
            return None
        why = _why(counts)
    after = {"kind": known.purpose.kind, "detail": known.purpose.detail, "why": why}
    words = f"{known.table} {row['id']} is {row['status']}, and {why or 'its job has succeeded'}"
    # `op_index` makes it one of those that may still be told of (reconcile.py).
    return Difference(KIND, known.table, row["name"], {**row, "op_index": 0}, after, words)


def _why(job: Mapping[str, Any]) -> str | None:
    """Why a job did not do what it was for; None: it did."""
    if job["status"] == "success":
        return None
    if job["status"] is None:
        return actions.lost(job["id"])
    said = difference.said(job.get("opresult") or ())
    return f"job {job['id']} has ended as {job['status']}" + (f": {said}" if said else "")
