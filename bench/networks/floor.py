"""The peer: the least that Flask and SQLAlchemy do for the same answers, one statement by an index for each request.

It asks nobody who he is, keeps no limits, knows no Ganeti and makes nothing: X-Auth-Token is the project, and a create
is a row. gunicorn serves `application`, over the database that population.FLOOR names in its environment.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Response, jsonify, request
from sqlalchemy import JSON, Boolean, Column, MetaData, String, Table, insert, select

from bench.networks import population
from frontend.database import db

DATABASE = "BENCH_FLOOR_DATABASE"  # as sides.py
_NETWORK = "/network/v2.0"
_INDEXED = ("id", "project_id", "network_id", "device_id", "name", "address")
_NOTHING: Mapping[type, Any] = {str: "", bool: True, list: []}

metadata = MetaData()


def table(kind: str, fields: Mapping[str, type]) -> Table:
    """A column for each field of an answer, and of ports their address."""
    types: Mapping[type, Any] = {str: String(255), bool: Boolean, list: JSON}
    names = {**fields, **({"address": str} if kind == "ports" else {})}
    columns = (
        Column(name, types[what], primary_key=name == "id", index=name in _INDEXED[1:]) for name, what in names.items()
    )
    return Table(f"floor_{kind}", metadata, *columns)


_COMMON: Mapping[str, type] = {
    **dict.fromkeys(("id", "name", "description", "status", "tenant_id", "project_id"), str),
    **dict.fromkeys(("created_at", "updated_at"), str),
    **dict.fromkeys(("admin_state_up", "port_security_enabled"), bool),
    "tags": list,
}
FIELDS: Mapping[str, Mapping[str, type]] = {
    "networks": {
        **_COMMON,
        **dict.fromkeys(("shared", "router:external"), bool),
        **dict.fromkeys(("subnets", "availability_zones", "availability_zone_hints"), list),
    },
    "ports": {
        **_COMMON,
        **dict.fromkeys(("network_id", "mac_address", "device_id", "device_owner"), str),
        "own_security_groups": bool,
        **dict.fromkeys(("fixed_ips", "security_groups", "allowed_address_pairs", "extra_dhcp_opts"), list),
    },
}
TABLES = {kind: table(kind, fields) for kind, fields in FIELDS.items()}


def make(database: str) -> Flask:
    app, engine = Flask(__name__), db.open_engine(database)

    def rows(kind: str, *wanted: Any, limit: int | None = None) -> list[dict[str, Any]]:
        own = TABLES[kind]
        query = select(*(own.c[name] for name in FIELDS[kind])).where(own.c.project_id == _project(), *wanted)
        with engine.connect() as connection:
            return db.rows(connection, query.order_by(own.c.id).limit(limit))

    def listed(kind: str) -> Response:
        column, asked = TABLES[kind].c, request.args
        wanted = [column[name] == asked[name] for name in _INDEXED if name in asked]
        if "fixed_ips" in asked:
            wanted.append(column.address == asked["fixed_ips"].removeprefix("ip_address="))
        if "marker" in asked:
            wanted.append(column.id > asked["marker"])
        return jsonify({kind: rows(kind, *wanted, limit=asked.get("limit", type=int))})

    def shown(kind: str, ident: str) -> Response:
        (found,) = rows(kind, TABLES[kind].c.id == ident)
        return jsonify({kind[:-1]: found})

    def made(kind: str) -> tuple[Response, int]:
        row = _add(kind, request.get_json()[kind[:-1]])
        return jsonify({kind[:-1]: row}), 201

    def attached(server: str) -> Response:
        sent = request.get_json()["interfaceAttachment"]
        row = _add("ports", {"network_id": sent["net_id"], "device_id": server})
        return jsonify({"interfaceAttachment": {"port_id": row["id"], "net_id": row["network_id"], "fixed_ips": []}})

    def _add(kind: str, sent: Mapping[str, Any]) -> dict[str, Any]:
        nothing = {name: _NOTHING[what] for name, what in FIELDS[kind].items()}
        row = {**nothing, **sent, "id": str(uuid.uuid4()), "project_id": _project()}
        with engine.begin() as connection:
            connection.execute(insert(TABLES[kind]).values(row))
        return row

    routes: tuple[tuple[str, str, Callable[..., Any]], ...] = (
        ("GET", f"{_NETWORK}/<kind>", listed),
        ("POST", f"{_NETWORK}/<kind>", made),
        ("GET", f"{_NETWORK}/<kind>/<ident>", shown),
        ("POST", "/compute/v2.1/servers/<server>/os-interface", attached),
    )
    for method, url, view in routes:
        app.add_url_rule(url, f"{method} {url}", view, methods=[method])
    return app


def _project() -> str:
    return request.headers["X-Auth-Token"]


if population.FLOOR in os.environ:
    application = make(os.environ[population.FLOOR])
