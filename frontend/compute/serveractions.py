"""os-instance-actions: what was asked of a server, and how the jobs of it went.

That a server moved is told, too, when nobody asked the API for it: an administrator empties a node by Ganeti's own
commands, and his tenants find here why a connection stood still.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from flask import Response, jsonify
from sqlalchemy import select
from sqlalchemy.engine import Connection

from frontend.database import db
from frontend.effect import translate_move
from frontend.update import actions
from frontend.web import context
from frontend.web.fault import NotFound

# Of an event: Nova's words (nova/objects/instance_action.py). A job that was canceled did not do what was asked.
_RESULTS = {"success": "Success", "error": "Error", "canceled": "Error"}
# Of a move that nobody asked the API for, by its migration_type: what it would be called if somebody had.
_MOVES = {"live-migration": "live-migration", "migration": "migrate"}
_UNASKED = uuid.UUID("6f7a1f6e-8a0e-5b0f-9f0e-0d9b8f1c2d3e")
"""Of the ids of such moves, which thus stay the same."""


def list_actions(server_id: str) -> Response:
    """GET /servers/ID/os-instance-actions; newest first."""
    project = _need(server_id)
    with context.database() as connection:
        asked = _asked(connection, server_id)
        found = [*asked, *_unasked(connection, server_id, project, asked)]
    found.sort(key=lambda row: (row["began"], row["id"]), reverse=True)
    return jsonify({"instanceActions": [_action(row) for row in found]})


def show(server_id: str, request_id: str) -> Response:
    """GET /servers/ID/os-instance-actions/REQUEST-ID; with what became of each job."""
    project = _need(server_id)
    with context.database() as connection:
        asked = _asked(connection, server_id)
        rows = [*asked, *_unasked(connection, server_id, project, asked)]
        row = next((row for row in rows if row["id"] == request_id), None)
        if row is None:
            raise NotFound(f"Action for request_id {request_id} on instance {server_id} not found")
        done = db.action.c
        query = select(db.action).where(done.server_id == server_id, done.job.in_(row["jobs"]))
        events = db.rows(connection, query.order_by(done.job.desc(), done.op_index.desc()))
    shown = _action(row)
    if any(each["message"] == actions.UNPLUGGED for each in events):
        shown["message"] = actions.UNPLUGGED
    return jsonify({"instanceAction": {**shown, "events": [_event(each) for each in events]}})


def _asked(connection: Connection, server_id: str) -> list[dict[str, Any]]:
    return db.rows(connection, select(db.request).where(db.request.c.server_id == server_id))


def _unasked(
    connection: Connection, server_id: str, project: str, asked: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Moves that are no request's, as requests of nobody in particular."""
    column = db.action.c
    query = select(db.action).where(column.server_id == server_id, column.operation.in_(list(translate_move.KINDS)))
    of_requests = {job for row in asked for job in row["jobs"]}
    return [
        {
            "id": "req-{}".format(uuid.uuid5(_UNASKED, "{cluster}/{job}".format_map(row))),
            "server_id": server_id,
            "action": _MOVES[translate_move.KINDS[row["operation"]]],
            "user_id": "",
            "project_id": project,
            "began": row["began"],
            "jobs": [row["job"]],
            "message": "Error" if _RESULTS.get(row["status"]) == "Error" else None,
        }
        for row in db.rows(connection, query)
        if row["job"] not in of_requests
    ]


def _need(server_id: str) -> str:
    """The project of the server, which is the caller's; from 2.21 on also of one that is deleted."""
    column = db.server.c
    query = select(column.deleted).where(column.id == server_id, column.project_id == context.project_id())
    with context.database() as connection:
        found = connection.execute(query).first()
    if found is None or (found.deleted is not None and context.version() < (2, 21)):
        raise NotFound(f"Instance {server_id} could not be found.")
    return context.project_id()


def _action(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "action": row["action"],
        "instance_uuid": row["server_id"],
        "request_id": row["id"],
        "user_id": row["user_id"],
        "project_id": row["project_id"],
        "start_time": _stamp(row["began"]),
        "message": row["message"],
    }


def _event(row: Mapping[str, Any]) -> dict[str, Any]:
    """Why a job failed is not told: Ganeti's words name nodes."""
    return {
        "event": row["operation"].removeprefix("OP_").lower(),
        "start_time": _stamp(row["began"]),
        "finish_time": _stamp(row["ended"]) if row["ended"] is not None else None,
        "result": _RESULTS.get(row["status"]),
        "traceback": None,
    }


def _stamp(seconds: float) -> str:
    """Microseconds and no zone, which here is what Go clients read."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
