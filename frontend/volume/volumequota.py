"""What projects may have of volumes and their snapshots, and have (api-ref, "Limits", "Quota sets extension")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import case, func, select
from sqlalchemy.engine import Connection

from frontend.compute import quotas
from frontend.database import db, turns
from frontend.effect.purpose import EXTEND, VOLUME_TASKS
from frontend.quota import limits
from frontend.usage import budget
from frontend.volume import volumetypes
from frontend.web import context, schema
from frontend.web.fault import TooLarge

_OF_OTHERS = (3, 39)
_OWN = ("volumes", "gigabytes", "snapshots")
# There are none of these, or no limit but those above.
_NONE = ("backups", "backup_gigabytes", "groups")
_FREE = "per_volume_gigabytes"


def of(connection: Connection, project: str) -> dict[str, int]:
    """volumes, gigabytes (GiB) and snapshots of a project; below 0: any number."""
    return limits.of(connection, project, _OWN)


def used(connection: Connection, project: str) -> dict[str, int]:
    """The same of what there is."""
    volume, snapshot = db.volume.c, db.volume_snapshot.c
    growing = (volume.task == VOLUME_TASKS[EXTEND]) & volume.growing.is_not(None)
    counts = []
    for size, mine in (
        (case((growing, volume.growing), else_=volume.size), (volume.project_id == project, volume.deleted.is_(None))),
        (snapshot.size, (snapshot.project_id == project,)),
    ):
        query = select(func.count(), func.coalesce(func.sum(size), 0)).where(*mine)
        counts.append(tuple(map(int, connection.execute(query).one())))
    (volumes, large), (snapshots, more) = counts
    return {"volumes": volumes, "gigabytes": large + more, "snapshots": snapshots}


def check(connection: Connection, project: str, more: Mapping[str, int]) -> None:
    """TooLarge (413, as Cinder) when with so many more of these a project has more than it may.

    Who then writes them in the same transaction is alone in that.
    """
    turns.take(connection, project)
    if any(asked > 0 for asked in more.values()):
        budget.check(connection, project)
    allowed, now = of(connection, project), used(connection, project)
    for what, asked in more.items():
        if limits.is_over(allowed[what], now[what], asked):
            unit = "G" if what == "gigabytes" else ""
            raise TooLarge(
                f"Requested {what} exceed the allowed quota. Requested {asked}{unit}, quota is {allowed[what]}{unit} "
                f"and {now[what]}{unit} has been consumed."
            )


def show_limits() -> Response:
    """GET /limits: as absolute numbers; from 3.39 for administrators of the `project_id` that they name.

    There are no limits of rate.
    """
    project = context.project_id()
    if context.is_admin() and context.version() >= _OF_OTHERS:
        project = request.args.get("project_id") or request.args.get("tenant_id") or project
    with context.database() as connection:
        allowed, now = of(connection, project), used(connection, project)
    absolute = {
        "maxTotalVolumes": allowed["volumes"],
        "maxTotalVolumeGigabytes": allowed["gigabytes"],
        "maxTotalSnapshots": allowed["snapshots"],
        "maxTotalBackups": 0,
        "maxTotalBackupGigabytes": 0,
        "totalVolumesUsed": now["volumes"],
        "totalGigabytesUsed": now["gigabytes"],
        "totalSnapshotsUsed": now["snapshots"],
        "totalBackupsUsed": 0,
        "totalBackupGigabytesUsed": 0,
    }
    return jsonify({"limits": {"rate": [], "absolute": absolute}})


def show(project_id: str) -> Response:
    """GET /os-quota-sets/PROJECT; with `usage` what is used, too. Nothing is reserved: a row is there at once."""
    limits.check_reader(project_id)
    with context.database() as connection:
        allowed, now = _all(of(connection, project_id)), used(connection, project_id)
    shown: dict[str, Any] = dict(allowed)
    if schema.flag(request.args, "usage", default=False):
        shown = {name: {"limit": each, "in_use": now.get(name, 0), "reserved": 0} for name, each in allowed.items()}
    return jsonify({"quota_set": {"id": project_id, **shown}})


def show_defaults(project_id: str) -> Response:
    """GET /os-quota-sets/PROJECT/defaults."""
    limits.check_reader(project_id)
    with context.database() as connection:
        return jsonify({"quota_set": {"id": project_id, **_all(_own(limits.defaults(connection)))}})


def change(project_id: str) -> Response:
    """PUT /os-quota-sets/PROJECT, by an administrator; below what is used, too, as Cinder does."""
    sent = schema.mapping(schema.body(), "quota_set")
    with context.database() as connection:
        limits.need_project(connection, project_id)
        limits.give(connection, project_id, _asked(sent, _all(of(connection, project_id))))
        shown = _all(of(connection, project_id))
    return jsonify({"quota_set": shown})


def reset(project_id: str) -> tuple[str, int]:
    """DELETE /os-quota-sets/PROJECT: back to the defaults."""
    limits.set_back(project_id, _OWN)
    return "", 200


def show_class(class_name: str) -> Response:
    """GET /os-quota-class-sets/NAME, for administrators: there is one class, which has the defaults."""
    with context.database() as connection:
        return jsonify({"quota_class_set": {"id": class_name, **_all(_own(limits.defaults(connection)))}})


def change_class(class_name: str) -> Response:
    """PUT /os-quota-class-sets/default, by an administrator."""
    quotas.check_class(class_name)
    sent = schema.mapping(schema.body(), "quota_class_set")
    with context.database() as connection:
        limits.give_all(connection, _asked(sent, _all(_own(limits.defaults(connection)))))
        return jsonify({"quota_class_set": _all(_own(limits.defaults(connection)))})


def _asked(sent: Mapping[str, Any], now: Mapping[str, int]) -> dict[str, int]:
    """New limits by name; BadRequest for what is the same for all."""
    return limits.asked(sent, now, _OWN, lambda name: f"is the same for all projects, {now[name]}")


def _own(found: Mapping[str, int]) -> dict[str, int]:
    return {name: found[name] for name in _OWN}


def _all(own: Mapping[str, int]) -> dict[str, int]:
    """Every key of Cinder's; of each type any number."""
    kinds = {f"{what}_{each.name}": limits.UNLIMITED for each in volumetypes.every() for what in _OWN}
    return {**own, **dict.fromkeys(_NONE, 0), _FREE: limits.UNLIMITED, **kinds}
