"""What a project has used (os-simple-tenant-usage): of all servers that the database knows, deleted ones too.

A server counts with the size that it has now, from its making to its deletion, whether it runs or not: as in Nova, but
for a resize, whose former size is not kept.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import or_, select

from frontend.compute import customflavor
from frontend.database import db
from frontend.effect import translate
from frontend.web import context, when
from frontend.web.fault import BadRequest, Forbidden

Row = Mapping[str, Any]

_HOUR = 3600.0
_WEEKS = 4 * 7 * 24 * _HOUR  # Nova's period where none is asked for


def list_all() -> Response:
    """GET /os-simple-tenant-usage, for administrators: each project with servers in the period."""
    start, end = _period()
    found: dict[str, list[Row]] = {}
    for row in _servers(start, end):
        found.setdefault(row["project_id"], []).append(row)
    detailed = request.args.get("detailed") == "1"
    shown = [_usage(project, rows, start, end, detailed=detailed) for project, rows in sorted(found.items())]
    return jsonify({"tenant_usages": shown})


def show(project_id: str) -> Response:
    """GET /os-simple-tenant-usage/PROJECT; nothing at all where there was no server."""
    if project_id != context.project_id() and not context.is_admin():
        raise Forbidden("Only an administrator may see what another project has used.")
    start, end = _period()
    rows = _servers(start, end, project_id)
    return jsonify({"tenant_usage": _usage(project_id, rows, start, end, detailed=True) if rows else {}})


def _period() -> tuple[float, float]:
    now, args = time.time(), request.args
    end = when.seconds("end", args["end"]) if args.get("end") else now
    start = when.seconds("start", args["start"]) if args.get("start") else end - _WEEKS
    if start >= end:
        raise BadRequest(f"start: {args.get('start')!r:.80} is not before the end")
    return start, end


def _servers(start: float, end: float, project: str | None = None) -> list[dict[str, Any]]:
    column = db.server.c
    query = select(db.server).where(column.created < end, or_(column.deleted.is_(None), column.deleted > start))
    if project is not None:
        query = query.where(column.project_id == project)
    with context.database() as connection:
        names = {row.id: row.name for row in connection.execute(select(db.flavor.c.id, db.flavor.c.name))}
        rows = db.rows(connection, query.order_by(column.created, column.id))
    return [{**row, "flavor": names.get(row["flavor_id"], customflavor.shown_id(row))} for row in rows]


def _usage(project: str, rows: Iterable[Row], start: float, end: float, *, detailed: bool) -> dict[str, Any]:
    servers = [_server(row, start, end) for row in rows]
    shown: dict[str, Any] = {
        "tenant_id": project,
        "start": _stamp(start),
        "stop": _stamp(end),
        "total_hours": sum(each["hours"] for each in servers),
        "total_vcpus_usage": sum(each["hours"] * each["vcpus"] for each in servers),
        "total_memory_mb_usage": sum(each["hours"] * each["memory_mb"] for each in servers),
        "total_local_gb_usage": sum(each["hours"] * each["local_gb"] for each in servers),
    }
    return {**shown, "server_usages": servers} if detailed else shown


def _server(row: Row, start: float, end: float) -> dict[str, Any]:
    ended = row["deleted"]
    until = min(end, ended if ended is not None else time.time())
    return {
        "instance_id": row["id"],
        "name": row["name"],
        "tenant_id": row["project_id"],
        "flavor": row["flavor"],
        "vcpus": row["vcpus"],
        "memory_mb": row["ram"],
        "local_gb": row["disk"],
        "hours": max(0.0, until - max(start, row["created"])) / _HOUR,
        "uptime": int(max(0.0, (ended if ended is not None else time.time()) - row["created"])),
        "started_at": _stamp(row["created"]),
        "ended_at": _stamp(ended) if ended is not None else None,
        "state": "terminated" if ended is not None else translate.vm_state(row) or "unknown",
    }


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
