"""Floating addresses as the JSON of Network v2.0 (api-ref, "Floating IPs"). Pure.

There is no router and nothing is translated: the address is a NIC's own, of the server whose port it goes with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from frontend.network import portname, subnetfacts
from frontend.web import view

Row = Mapping[str, Any]


def floating(row: Row, server: Row | None, port: str | None = None) -> dict[str, Any]:
    """Of a port's row with `floating`, and the server that has its NIC; `port`: that it is only about to go with."""
    port = port or associated(row, server)
    nic = next((nic for nic in server["nics"] if portname.ident(nic) == port), None) if server and port else None
    return {
        "id": row["id"],
        "floating_ip_address": row["address"],
        "floating_network_id": row["network"],
        "fixed_ip_address": nic["ip"] if nic else None,
        "port_id": port,
        "router_id": None,
        "status": "ACTIVE" if port else "DOWN",
        "description": row["facts"].get("description", ""),
        "dns_name": "",
        "dns_domain": "",
        "qos_policy_id": None,
        "port_details": None,
        "port_forwardings": [],
        "tags": labels(row),
        "tenant_id": row["project_id"],
        "project_id": row["project_id"],
        "revision_number": 0,
        "created_at": view.stamp(row["created"]),
        "updated_at": view.stamp(row["updated"]),
    }


def labels(row: Row) -> list[str]:
    """What Neutron calls tags."""
    return list(subnetfacts.split(row["facts"].get("label", "")))


def associated(row: Row, server: Row | None) -> str | None:
    """The port that it is associated with: what was said, or where that is gone, the server's first."""
    if server is None:
        return None
    others = [ident for nic in server["nics"] if (ident := portname.ident(nic)) not in (None, row["id"])]
    said = row["facts"].get("port")
    return said if said in others else next(iter(others), None)
