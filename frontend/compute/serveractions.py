"""os-instance-actions: what was asked of a server, and how the jobs of it went."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Response, jsonify
from sqlalchemy import select

from frontend.database import db
from frontend.web import context
from frontend.web.fault import NotFound

# Of an event: Nova's words (nova/objects/instance_action.py). A job that was canceled did not do what was asked.
_RESULTS = {"success": "Success", "error": "Error", "canceled": "Error"}


def list_actions(server_id: str) -> Response:
    """GET /servers/ID/os-instance-actions; newest first."""
    _need(server_id)
    column = db.request.c
    query = select(db.request).where(column.server_id == server_id).order_by(column.began.desc(), column.id.desc())
    with context.database() as connection:
        found = db.rows(connection, query)
    return jsonify({"instanceActions": [_action(row) for row in found]})


def show(server_id: str, request_id: str) -> Response:
    """GET /servers/ID/os-instance-actions/REQUEST-ID; with what became of each job."""
    _need(server_id)
    column = db.request.c
    with context.database() as connection:
        row = db.row(connection, select(db.request).where(column.id == request_id, column.server_id == server_id))
        if row is None:
            raise NotFound(f"Action for request_id {request_id} on instance {server_id} not found")
        done = db.action.c
        query = select(db.action).where(done.server_id == server_id, done.job.in_(row["jobs"]))
        events = db.rows(connection, query.order_by(done.job.desc(), done.op_index.desc()))
    return jsonify({"instanceAction": {**_action(row), "events": [_event(each) for each in events]}})


def _need(server_id: str) -> None:
    """The caller's server; from 2.21 on also one that is deleted."""
    column = db.server.c
    query = select(column.deleted).where(column.id == server_id, column.project_id == context.project_id())
    with context.database() as connection:
        found = connection.execute(query).first()
    if found is None or (found.deleted is not None and context.version() < (2, 21)):
        raise NotFound(f"Instance {server_id} could not be found.")


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
