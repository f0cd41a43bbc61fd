"""Nodes as hypervisors and services, for administrators."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import case, func, select
from sqlalchemy.engine import Connection

from frontend.compute import nodes, zones
from frontend.database import db
from frontend.web import context
from frontend.web.fault import NotFound
from frontend.web.view import stamp

Row = dict[str, Any]

_USED = ("running_vms", "vcpus_used", "memory_mb_used", "local_gb_used")
_SUMMED = (*_USED, "vcpus", "memory_mb", "free_ram_mb", "local_gb", "free_disk_gb", "current_workload")


def list_short() -> Response:
    """GET /os-hypervisors."""
    return _answer(_short)


def list_detail() -> Response:
    """GET /os-hypervisors/detail."""
    return _answer(_detail)


def show(hypervisor_id: str) -> Response:
    """GET /os-hypervisors/ID."""
    for row in _rows():
        if str(_number(row["name"])) == hypervisor_id:
            return jsonify({"hypervisor": _detail(row)})
    raise NotFound(f"Hypervisor with ID '{hypervisor_id}' could not be found.")


def statistics() -> Response:
    """GET /os-hypervisors/statistics: of those that are not offline."""
    found = [_detail(row) for row in _rows() if not row["offline"]]
    summed = {name: sum(each[name] for each in found) for name in _SUMMED}
    return jsonify({"hypervisor_statistics": {"count": len(found), "disk_available_least": None, **summed}})


def search(pattern: str) -> Response:
    """GET /os-hypervisors/PART-OF-A-NAME/search."""
    return _answer(_short, pattern)


def list_servers(pattern: str) -> Response:
    """GET /os-hypervisors/PART-OF-A-NAME/servers: with the servers that live there."""
    column = db.server.c
    query = select(column.id, column.name, column.cluster, column.host).where(
        column.deleted.is_(None), column.host.is_not(None)
    )
    with context.database() as connection:
        servers = db.rows(connection, query.order_by(column.created, column.id))

    def shape(row: Row) -> Row:
        here = [{"uuid": each["id"], "name": each["name"]} for each in servers if _where(each) == row["name"]]
        return {**_short(row), **({"servers": here} if here else {})}

    return _answer(shape, pattern)


def list_services() -> Response:
    """GET /os-services: each node's, by `host` and `binary`."""
    args = request.args
    if args.get("binary", _BINARY) != _BINARY:
        return jsonify({"services": []})
    with context.database() as connection:
        rows = _nodes(connection)
    found = [_service(row) for row in rows if args.get("host", row["name"]) == row["name"]]
    return jsonify({"services": found})


_BINARY = "nova-compute"


def list_hosts() -> Response:
    """GET /os-hosts, the same as older clients ask for it; by `zone`."""
    with context.database() as connection:
        rows = _nodes(connection)
    zone = request.args.get("zone")
    found = [row for row in rows if zone in (None, row["zone"])]
    return jsonify({"hosts": [{"host_name": r["name"], "service": "compute", "zone": r["zone"]} for r in found]})


def _service(row: Mapping[str, Any]) -> Row:
    return {
        "id": _number(row["name"]),
        "binary": _BINARY,
        "host": row["name"],
        "zone": row["zone"],
        "status": _status(row),
        "state": _state(row),
        "disabled_reason": _reason(row),
        "updated_at": stamp(row["updated"]).removesuffix("Z") + ".000000",
    }


def _answer(shape: Callable[[Row], Row], pattern: str | None = None) -> Response:
    rows = [row for row in _rows() if pattern is None or pattern in row["name"]]
    if pattern is not None and not rows:
        raise NotFound(f"No hypervisor matching '{pattern}' could be found.")
    return jsonify({"hypervisors": [shape(row) for row in rows]})


def _rows() -> list[Row]:
    """The nodes, with what their servers take: these are the only ones that the database knows."""
    column = db.server.c
    running = func.sum(case((column.status == "ACTIVE", 1), else_=0))
    query = select(
        column.cluster,
        column.host,
        running.label("running_vms"),
        func.sum(column.vcpus).label("vcpus_used"),
        func.sum(column.ram).label("memory_mb_used"),
        func.sum(column.disk).label("local_gb_used"),
    ).where(column.deleted.is_(None), column.host.is_not(None))
    with context.database() as connection:
        used = {_where(row): row for row in db.rows(connection, query.group_by(column.cluster, column.host))}
        found = _nodes(connection)
    return [{**row, **{name: int(used.get(row["name"], {}).get(name, 0)) for name in _USED}} for row in found]


def _nodes(connection: Connection) -> list[Row]:
    """Of all clusters, as they are called."""
    called = zones.of(connection)
    return [
        {**row, "name": nodes.called(row["cluster"], row["name"]), "zone": called[row["cluster"], row["name"]]}
        for row in nodes.all_rows(connection)
    ]


def _where(server: Mapping[str, Any]) -> str:
    return nodes.called(server["cluster"], server["host"])


def _short(row: Row) -> Row:
    return {
        "id": _number(row["name"]),
        "hypervisor_hostname": row["name"],
        "state": _state(row),
        "status": _status(row),
    }


def _detail(row: Row) -> Row:
    """The disks are their providers', not the node's; memory and processors are 0 until the node has told."""
    memory = row["memory"] or 0
    return {
        **_short(row),
        **{name: row[name] for name in _USED},
        "vcpus": row["cpus"] or 0,
        "memory_mb": memory,
        "free_ram_mb": memory - row["memory_mb_used"],
        "local_gb": 0,
        "free_disk_gb": 0,
        "disk_available_least": None,
        "current_workload": 0,
        "cpu_info": "",
        "host_ip": None,
        "hypervisor_type": "QEMU",
        "hypervisor_version": 0,
        "service": {"host": row["name"], "id": _number(row["name"]), "disabled_reason": _reason(row)},
    }


def _state(row: Mapping[str, Any]) -> str:
    return "down" if row["offline"] else "up"


def _status(row: Mapping[str, Any]) -> str:
    return "enabled" if nodes.is_up(row) else "disabled"


def _reason(row: Mapping[str, Any]) -> str | None:
    for column, words in (("offline", "offline"), ("drained", "drained")):
        if row[column]:
            return words
    return None if row["vm_capable"] else "not vm_capable"


def _number(name: str) -> int:
    """Nova's have numbers below microversion 2.53."""
    return zlib.crc32(name.encode()) & 0x7FFFFFFF
