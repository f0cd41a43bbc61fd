"""GET /network-ip-availabilities: how full networks are, for administrators (api-ref, "Network IP availability")."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify
from sqlalchemy import select

from frontend.database import db
from frontend.network import netview, networks, tenantnet
from frontend.network.tenantnet import Row
from frontend.web import context
from frontend.web.fault import NotFound

_KEYS = {4: "ip", 6: "ip6"}  # of a NIC, by the version


def list_all() -> Response:
    """Of all projects' networks, but for those without subnets."""
    return networks.listed("network_ip_availabilities", _all())


def show(network_id: str) -> Response:
    """GET /network-ip-availabilities/ID."""
    for each in _all():
        if each["network_id"] == network_id:
            return jsonify({"network_ip_availability": each})
    raise NotFound(f"Network {network_id} could not be found.")


def _all() -> list[dict[str, Any]]:
    query = select(db.server.c.cluster, db.server.c.nics).where(db.server.c.deleted.is_(None))
    with context.database() as connection:
        rows = tenantnet.everybodys(db.rows(connection, select(db.network)))
        used = Counter(
            (cluster, nic.get("network"), version)
            for cluster, nics in connection.execute(query)
            for nic in nics
            for version, key in _KEYS.items()
            if nic.get(key)
        )
    return [_of(row, used) for row in rows]


def _of(row: Row, used: Mapping[tuple[str, str, int], int]) -> dict[str, Any]:
    subnets = [
        {
            "subnet_id": subnet["id"],
            "subnet_name": subnet["name"],
            "cidr": subnet["cidr"],
            "ip_version": subnet["ip_version"],
            "total_ips": sum(map(_size, subnet["allocation_pools"])),
            "used_ips": used.get((row["cluster"], row["known_as"], subnet["ip_version"]), 0),
        }
        for subnet in netview.subnets_of(row)
    ]
    return {
        "id": row["id"],
        "network_id": row["id"],
        "network_name": row["name"],
        "project_id": row["project_id"] or "",
        "tenant_id": row["project_id"] or "",
        "total_ips": sum(each["total_ips"] for each in subnets),
        "used_ips": sum(each["used_ips"] for each in subnets),
        "subnet_ip_availability": subnets,
    }


def _size(pool: Mapping[str, str]) -> int:
    first, last = (int(ipaddress.ip_address(pool[key])) for key in ("start", "end"))
    return last - first + 1
