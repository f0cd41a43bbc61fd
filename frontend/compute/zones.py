"""Availability zones: Ganeti's node groups, which an administrator names."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify
from sqlalchemy import Connection, select

from frontend.compute import nodes
from frontend.database import db
from frontend.web import context
from frontend.web.fault import BadRequest
from frontend.web.view import stamp

_ANY = "nova"  # what clients call the zone of clouds that have but one, and mean nothing by
_SERVICE = "nova-compute"


def of(connection: Connection) -> dict[str, str]:
    """The zone of each node."""
    return {row.name: row.zone for row in connection.execute(select(db.node.c.name, db.node.c.zone))}


def need(connection: Connection, name: str | None) -> str | None:
    """The node group that a new server is to live in; None: any. BadRequest when there is none of that name."""
    if name in (None, "", _ANY):
        return None
    if name not in of(connection).values():
        raise BadRequest(f"The requested availability zone is not available: there is no {str(name)[:80]!r}.")
    return name


def list_short() -> Response:
    """GET /os-availability-zone: a zone is available while one node of it takes servers."""
    return jsonify({"availabilityZoneInfo": [_shown(name, rows) for name, rows in _zones().items()]})


def list_detail() -> Response:
    """GET /os-availability-zone/detail, for administrators: with the nodes."""
    found = [{**_shown(name, rows), "hosts": _hosts(rows)} for name, rows in _zones().items()]
    return jsonify({"availabilityZoneInfo": found})


def _zones() -> dict[str, list[dict[str, Any]]]:
    with context.database() as connection:
        rows = nodes.all_rows(connection)
    names = sorted({row["zone"] for row in rows})
    return {name: [row for row in rows if row["zone"] == name] for name in names}


def _shown(name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"zoneName": name, "zoneState": {"available": any(map(nodes.is_up, rows))}, "hosts": None}


def _hosts(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        row["name"]: {
            _SERVICE: {
                "active": nodes.is_up(row),
                "available": not row["offline"],
                "updated_at": stamp(row["updated"]).removesuffix("Z") + ".000000",
            }
        }
        for row in rows
    }
