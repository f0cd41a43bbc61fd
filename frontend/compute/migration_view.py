"""Moving servers between nodes, for administrators: live migration, failover, and the list of what moved."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import select

from frontend.compute import nodes
from frontend.database import db
from frontend.effect import clusters, effect, translate_move
from frontend.web import context, schema
from frontend.web.fault import BadRequest

Row = Mapping[str, Any]

_TASK = "migrating"
_MOST = 1000  # Nova's max_limit


def migrate_live(server: Row, argument: object) -> tuple[str, int]:
    """os-migrateLive: the guest goes on. `host`: a node, or null for the one that the cluster's allocator chooses."""
    effect.check(server, "os-migrateLive", "ACTIVE")
    effect.one(server, "live-migration", _TASK, translate_move.live(server["instance"], _host(server, argument)))
    return "", 202


def migrate(server: Row, argument: object) -> tuple[str, int]:
    """migrate: a running guest goes on, too, as Ganeti can do that; a stopped one starts on another node next time."""
    effect.check(server, "migrate", "ACTIVE", "SHUTOFF")
    move = translate_move.live if server["status"] == "ACTIVE" else translate_move.failover
    effect.one(server, "migrate", _TASK, move(server["instance"], _host(server, argument)))
    return "", 202


def evacuate(server: Row, argument: object) -> tuple[Response, int]:
    """evacuate: to another node, from one that does not answer. That it is off, Ganeti has to know: it is offline."""
    effect.check(server, "evacuate", "UNKNOWN")
    effect.one(server, "evacuate", _TASK, translate_move.from_dead(server["instance"], _host(server, argument)))
    return jsonify({} if context.version() >= (2, 14) else {"adminPass": ""}), 200


def list_migrations() -> Response:
    """GET /os-migrations: the newest first, as the table of jobs has them."""
    column = db.action.c
    query = (
        select(db.action)
        .where(column.operation.in_(list(translate_move.KINDS)), column.server_id.is_not(None))
        .order_by(column.began.desc(), column.job.desc())
        .limit(_MOST)
    )
    if "instance_uuid" in request.args:
        query = query.where(column.server_id == request.args["instance_uuid"])
    with context.database() as connection:
        rows = db.rows(connection, query)
    shown = [_migration(row) for row in rows]
    wanted = request.args.get("status")
    return jsonify({"migrations": [each for each in shown if wanted in (None, each["status"])]})


def _migration(row: Row) -> dict[str, Any]:
    shown = {
        "id": row["job"],
        "instance_uuid": row["server_id"],
        "status": translate_move.status(row["status"]),
        **dict.fromkeys(("source_compute", "source_node"), row["source"]),
        **dict.fromkeys(("dest_compute", "dest_node"), row["target"]),
        **dict.fromkeys(("dest_host", "old_instance_type_id", "new_instance_type_id")),
        "created_at": _moment(row["began"]),
        "updated_at": _moment(row["updated"]),
    }
    if context.version() >= (2, 23):
        shown |= {"migration_type": translate_move.KINDS[row["operation"]], "links": []}
    return shown


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


def _host(server: Row, argument: object) -> str | None:
    if argument is None:
        return None
    if not isinstance(argument, dict):
        raise BadRequest("expected an object")
    host: str | None = schema.text(argument, "host", None)
    if host is None:
        return None
    cluster, name = nodes.named(host)
    if cluster != clusters.of(server):
        raise BadRequest(f"host: {host:.80} is of another cluster than server {server['id']}")
    return name
