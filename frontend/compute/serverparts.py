"""Parts of a server, to read: addresses and network interfaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify

from frontend.compute import servers, serverview
from frontend.effect import clusters
from frontend.network import netrows, portname, portstore, portview, tenantnet
from frontend.web import context
from frontend.web.fault import NotFound


def list_addresses(server_id: str) -> Response:
    """GET /servers/ID/ips."""
    return jsonify({"addresses": serverview.addresses(servers.need(server_id))})


def show_addresses(server_id: str, network: str) -> Response:
    """GET /servers/ID/ips/NETWORK, by its name."""
    found = serverview.addresses(servers.need(server_id))
    if network not in found:
        raise NotFound("Instance is not a member of specified network")
    return jsonify({network: found[network]})


def list_interfaces(server_id: str) -> Response:
    """GET /servers/ID/os-interface."""
    return jsonify({"interfaceAttachments": interfaces(servers.need(server_id))})


def show_interface(server_id: str, port_id: str) -> Response:
    """GET /servers/ID/os-interface/PORT."""
    for interface in interfaces(servers.need(server_id)):
        if interface["port_id"] == port_id:
            return jsonify({"interfaceAttachment": interface})
    raise NotFound(f"Port {port_id} could not be found.")


def interfaces(server: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of a server's row, as Compute shows them."""
    with context.database() as connection:
        named = {nic["network"] for nic in server["nics"] if nic.get("network")}
        known = tenantnet.by_nic(netrows.visible(connection, context.project_id(), (), named))
        said = portstore.of_project(connection, server["project_id"], {portname.ident(nic) for nic in server["nics"]})
    places = [(nic, known.get((clusters.of(server), nic.get("network")))) for nic in server["nics"]]
    made = ((nic, network, said.get(portname.ident(nic) or "")) for nic, network in places)
    ports = [portview.of_nic(server, nic, network, row) for nic, network, row in made if network is not None]
    return [
        {
            "port_id": port["id"],
            "net_id": port["network_id"],
            "mac_addr": port["mac_address"],
            "port_state": port["status"],
            "fixed_ips": port["fixed_ips"],
        }
        for port in ports
    ]
