"""Compute's own views of networks (api-ref, up to microversion 2.35), for clients of before the Network service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, jsonify

from frontend.network import floatingips, floatview, netview, networks
from frontend.web import context

Row = Mapping[str, Any]


def list_networks() -> Response:
    """GET /os-networks."""
    return _list(_network)


def show_network(network_id: str) -> Response:
    return _show(_network, network_id)


def list_tenant_networks() -> Response:
    """GET /os-tenant-networks."""
    return _list(_tenant_network)


def show_tenant_network(network_id: str) -> Response:
    return _show(_tenant_network, network_id)


def list_floating_ips() -> Response:
    """GET /os-floating-ips."""
    with context.database() as connection:
        names = {row["id"]: row["name"] for row in networks.all_rows(connection)}
    found = []
    for row, server in floatingips.known():
        shown = floatview.floating(row, server)
        where = {"instance_id": server and server["id"], "fixed_ip": shown["fixed_ip_address"]}
        found.append({"id": row["id"], "ip": row["address"], "pool": names.get(row["network"]), **where})
    return jsonify({"floating_ips": found})


def list_floating_ip_pools() -> Response:
    """GET /os-floating-ip-pools: the external networks."""
    with context.database() as connection:
        found = [row["name"] for row in networks.all_rows(connection) if netview.is_external(row)]
    return jsonify({"floating_ip_pools": [{"name": name} for name in found]})


def _tenant_network(row: Row) -> dict[str, Any]:
    return {"id": row["id"], "label": row["name"], "cidr": row["subnet"]}


def _network(row: Row) -> dict[str, Any]:
    return {
        **_tenant_network(row),
        "gateway": row["gateway"],
        "cidr_v6": row["subnet6"],
        "gateway_v6": row["gateway6"],
        "netmask": None,
        "dns1": None,
        "dns2": None,
    }


def _list(shape: Callable[[Row], dict[str, Any]]) -> Response:
    with context.database() as connection:
        return jsonify({"networks": [shape(row) for row in networks.all_rows(connection)]})


def _show(shape: Callable[[Row], dict[str, Any]], ident: str) -> Response:
    return jsonify({"network": shape(networks.need(ident))})
