"""What a project has used (os-simple-tenant-usage): of servers, by the spans that were written of them.

A server counts from its making to its deletion, whether it runs or not, with what it had at each time.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import select
from sqlalchemy.engine import Connection

from frontend.compute import customflavor
from frontend.database import db
from frontend.effect import translate
from frontend.usage import spans, sums
from frontend.web import context, when
from frontend.web.fault import BadRequest, Forbidden

Row = Mapping[str, Any]
Usage = dict[str, Any]

_HOUR = 3600.0
_WEEKS = 4 * 7 * 24 * _HOUR  # Nova's period where none is asked for
_CHUNK = 500


def list_all() -> Response:
    """GET /os-simple-tenant-usage, for administrators: each project with servers in the period."""
    start, end = _period()
    used = _servers(start, end)
    found: dict[str, list[Usage]] = {}
    for each in used:
        found.setdefault(each["tenant_id"], []).append(each)
    detailed = request.args.get("detailed", "").lower() in ("1", "true")  # openstackclient says True
    shown = [_summed(project, each, start, end, detailed=detailed) for project, each in sorted(found.items())]
    return jsonify({"tenant_usages": shown})


def show(project_id: str) -> Response:
    """GET /os-simple-tenant-usage/PROJECT; nothing at all where there was no server."""
    if project_id != context.project_id() and not context.is_admin():
        raise Forbidden("Only an administrator may see what another project has used.")
    start, end = _period()
    used = _servers(start, end, project_id)
    shown = _summed(project_id, used, start, end, detailed=True) if used else {}
    return jsonify({"tenant_usage": shown})


def _period() -> tuple[float, float]:
    now, args = time.time(), request.args
    end = when.seconds("end", args["end"]) if args.get("end") else now
    start = when.seconds("start", args["start"]) if args.get("start") else end - _WEEKS
    if start >= end:
        raise BadRequest(f"start: {args.get('start')!r:.80} is not before the end")
    return start, end


def _servers(start: float, end: float, project: str | None = None) -> list[Usage]:
    now = time.time()
    parts: dict[tuple[str, str], list[Row]] = {}
    with context.database() as connection:
        for span in sums.of(connection, start, min(end, now), project):
            if span["kind"] == spans.SERVER:
                parts.setdefault((span["project_id"], span["thing"]), []).append(span)
        rows = _rows(connection, [thing for _, thing in parts])
        names = {row.id: row.name for row in connection.execute(select(db.flavor.c.id, db.flavor.c.name))}
    found = [_server(mine, rows.get(thing), names, start, end, now) for (_, thing), mine in parts.items()]
    return sorted(found, key=lambda each: (str(each["started_at"]), str(each["instance_id"])))


def _rows(connection: Connection, idents: Sequence[str]) -> dict[str, Row]:
    found: dict[str, Row] = {}
    for first in range(0, len(idents), _CHUNK):
        wanted = db.server.c.id.in_(idents[first : first + _CHUNK])
        found.update({row["id"]: row for row in db.rows(connection, select(db.server).where(wanted))})
    return found


def _server(
    parts: Sequence[Row], row: Row | None, names: Mapping[str, str], start: float, end: float, now: float
) -> Usage:
    """Of the spans of one server; its size is the last of them, what it took is that of each."""
    until = min(end, now)
    hours = [spans.seconds(part["began"], part["until"], start, until) / _HOUR for part in parts]
    last, began = parts[-1], row["created"] if row is not None else parts[0]["began"]
    ended = row["deleted"] if row is not None else last["until"]
    shown = {"id": last["thing"], "flavor_id": last["flavor_id"], "vcpus": last["vcpus"], "ram": last["ram"]}
    flavor = customflavor.shown_id({**shown, "disk": int(last["gib"])})
    return {
        "instance_id": last["thing"],
        "name": row["name"] if row is not None else last["thing"],
        "tenant_id": last["project_id"],
        "flavor": names.get(last["flavor_id"], flavor),
        "vcpus": last["vcpus"],
        "memory_mb": last["ram"],
        "local_gb": int(last["gib"]),
        "hours": sum(hours),
        "uptime": int(max(0.0, (ended if ended is not None else now) - began)),
        "started_at": _stamp(began),
        "ended_at": _stamp(ended) if ended is not None else None,
        "state": _state(row, ended),
        "_taken": {
            name: sum(time * part[column] for time, part in zip(hours, parts, strict=True))
            for name, column in (("vcpus", "vcpus"), ("memory_mb", "ram"), ("local_gb", "gib"))
        },
    }


def _state(row: Row | None, ended: float | None) -> str:
    if ended is not None:
        return "terminated"
    return (translate.vm_state(row) if row is not None else None) or "unknown"


def _summed(project: str, used: Iterable[Usage], start: float, end: float, *, detailed: bool) -> Usage:
    found = list(used)
    shown: Usage = {
        "tenant_id": project,
        "start": _stamp(start),
        "stop": _stamp(end),
        "total_hours": sum(each["hours"] for each in found),
        "total_vcpus_usage": sum(each["_taken"]["vcpus"] for each in found),
        "total_memory_mb_usage": sum(each["_taken"]["memory_mb"] for each in found),
        "total_local_gb_usage": sum(each["_taken"]["local_gb"] for each in found),
    }
    servers = [{key: value for key, value in each.items() if key != "_taken"} for each in found]
    return {**shown, "server_usages": servers} if detailed else shown


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
