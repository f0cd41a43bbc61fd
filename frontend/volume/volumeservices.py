"""What Block Storage tells of itself: zones, extensions, and to administrators services and hosts.

The storage is the cluster's. There is one zone, and a backend for each provider that a volume type names.
"""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import func, select

from frontend.compute import nodes
from frontend.database import db
from frontend.volume import volumetypes
from frontend.volume.volumeview import HOST, ZONE, host, stamp
from frontend.web import context
from frontend.web.fault import NotFound

_BINARY = "cinder-volume"
_CLUSTERS = (3, 7)
_SINCE = "2013-04-18T00:00:00+00:00"  # as Cinder says of its own

# Alias and name, as Cinder has them.
_EXTENSIONS = (
    ("os-admin-actions", "AdminActions"),
    ("os-availability-zone", "AvailabilityZones"),
    ("os-hosts", "Hosts"),
    ("os-quota-sets", "Quotas"),
    ("os-services", "Services"),
    ("os-types-extra-specs", "TypesExtraSpecs"),
    ("os-used-limits", "UsedLimits"),
    ("os-vol-host-attr", "VolumeHostAttribute"),
    ("os-vol-image-meta", "VolumeImageMetadata"),
    ("os-vol-tenant-attr", "VolumeTenantAttribute"),
    ("os-volume-actions", "VolumeActions"),
    ("os-volume-transfer", "VolumeTransfer"),
    ("scheduler-stats", "Scheduler_stats"),
)


def list_zones() -> Response:
    """GET /os-availability-zone."""
    return jsonify({"availabilityZoneInfo": [{"zoneName": ZONE, "zoneState": {"available": True}}]})


def list_extensions() -> Response:
    """GET /extensions: by which of Cinder's the API answers."""
    found = [{"alias": alias, "name": name, **_NO_MORE} for alias, name in _EXTENSIONS]
    return jsonify({"extensions": found})


_NO_MORE: dict[str, Any] = {"description": "", "links": [], "updated": _SINCE}


def list_messages() -> Response:
    """GET /messages: there are none, faults are told by statuses."""
    return jsonify({"messages": []})


def list_services() -> Response:
    """GET /os-services: one for each backend, up while one node is; by `host` and `binary`."""
    args, (state, when) = request.args, whether_up()
    found = [
        {
            "binary": _BINARY,
            "host": backend,
            "zone": ZONE,
            "status": "enabled",
            "state": state,
            "disabled_reason": None,
            "updated_at": when,
            **({"cluster": None} if context.version() >= _CLUSTERS else {}),
        }
        for backend in _backends()
        if args.get("host") in (None, "", backend, HOST) and args.get("binary") in (None, "", _BINARY)
    ]
    return jsonify({"services": found})


def list_hosts() -> Response:
    """GET /os-hosts."""
    state, when = whether_up()
    found = [
        {
            "host_name": backend,
            "service": _BINARY,
            "zone": ZONE,
            "service-status": "available" if state == "up" else "unavailable",
            "service-state": "enabled",
            "last-update": when,
        }
        for backend in _backends()
    ]
    return jsonify({"hosts": found})


def show_host(host_name: str) -> Response:
    """GET /os-hosts/NAME: what is in a backend, of each project and together."""
    if host_name not in _backends():
        raise NotFound(f"Compute host {host_name[:80]} could not be found.")
    provider = host_name.partition("@")[2]
    volume, snapshot = db.volume.c, db.volume_snapshot.c
    names = [each.name for each in volumetypes.every() if each.provider == provider]
    with context.database() as connection:
        counts: dict[str, list[int]] = {}
        for at, table, wanted in (
            (0, volume, (volume.type.in_(names), volume.deleted.is_(None))),
            (2, snapshot, (snapshot.provider == provider,)),
        ):
            query = select(table.project_id, func.count(), func.sum(table.size)).where(*wanted)
            for project, number, size in connection.execute(query.group_by(table.project_id)):
                counts.setdefault(project, [0, 0, 0, 0])[at : at + 2] = [number, int(size)]
    total = [sum(column) for column in zip(*counts.values(), strict=True)] or [0, 0, 0, 0]
    rows = [("(total)", total), *sorted(counts.items())]
    return jsonify({"host": [{"resource": _resource(host_name, project, each)} for project, each in rows]})


def _backends() -> list[str]:
    """HOST@PROVIDER."""
    return list(dict.fromkeys(host(each).partition("#")[0] for each in volumetypes.every()))


def whether_up() -> tuple[str, str]:
    """Whether one node is up, and when the last comparison with Ganeti found so."""
    with context.database() as connection:
        rows = nodes.all_rows(connection)
    state = "up" if any(map(nodes.is_up, rows)) else "down"
    return state, stamp(max((row["updated"] for row in rows), default=0.0))


def _resource(place: str, project: str, counts: list[int]) -> dict[str, str]:
    keys = ("volume_count", "total_volume_gb", "snapshot_count", "total_snapshot_gb")
    return {"host": place, "project": project, **dict(zip(keys, map(str, counts), strict=True))}
