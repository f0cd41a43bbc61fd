"""POST, PUT and DELETE of ports. One that no server has keeps its address in Ganeti's own pool, set apart there."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response, jsonify

from frontend.compute import lock
from frontend.effect import clusters, effect, translate_nic
from frontend.effect.purpose import UNPLUG, Purpose
from frontend.effect.translate import Step
from frontend.network import (
    groupstore,
    netrows,
    networks,
    portask,
    portgroups,
    portname,
    portpool,
    portstore,
    porttag,
    portview,
    tenantnet,
)
from frontend.network.groupstore import Known
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Conflict, Forbidden, NotFound

log = logging.getLogger(__name__)

Row = Mapping[str, Any]

STATUSES = ("ACTIVE", "SHUTOFF")  # of a server whose NICs may change (nova/compute/api.py)


def create() -> tuple[Response, int]:
    """POST /ports: one, or many, of which all are made or none."""
    sent = schema.body()
    if "ports" not in sent:
        (port,) = _made([schema.mapping(sent, "port")])
        return jsonify({"port": port}), 201
    wanted = [schema.member("ports", each) for each in schema.items(sent, "ports")]
    if not wanted:
        raise BadRequest("ports: there is none")
    return jsonify({"ports": _made(wanted)}), 201


def change(port_id: str) -> Response:
    """PUT /ports/ID: its name, description, groups, and what its guest may do with it."""
    sent = schema.mapping(schema.body(), "port")
    network, row, server, nic = find(port_id)
    _check_fixed(row)
    shown = portview.of_nobody(network, row) if server is None or nic is None else portview.of_nic(server, nic, network)
    has = [fixed["ip_address"] for fixed in shown["fixed_ips"]]
    asked = portask.read(sent, network, shown["mac_address"], has)
    if asked.address is not None:
        raise Conflict("fixed_ips: a port keeps the address that it was made with")
    _check_owner(network, asked.facts)
    if asked.mac is not None:
        raise Conflict("mac_address: a port keeps the MAC that it was made with")
    if asked.facts.get("down") and server is not None:
        raise Conflict(f"admin_state_up: False: server {server['id']} has port {port_id}: stop it, or detach the port")
    new = {**row["facts"], **asked.facts}
    if asked.groups is not None:
        new |= portgroups.facts(_known(), asked.groups)
    if asked.inherits:
        new = portgroups.without(new)
    portask.check({**new, "groups": asked.groups})
    if server is not None and nic is not None:
        lock.check(server)
        portgroups.tell(server, nic, row["facts"], new)
    row = portpool.say(row, new)
    if server is None or nic is None:
        return jsonify({"port": portview.of_nobody(network, row)})
    return jsonify({"port": portview.of_nic(server, nic, network, row)})


def delete(port_id: str) -> tuple[str, int]:
    """DELETE /ports/ID, out of its server, too; its address is free then."""
    _, row, server, nic = find(port_id)
    _check_fixed(row)
    if server is not None and nic is not None:
        take_out(server, nic, row)
    else:
        with context.database() as connection:
            if portstore.is_claimed(connection, row):
                raise Conflict(f"Port {port_id} is in use: server {row['server_id']} is about to get it.")
    if row["network"]:
        portpool.give_back(row)
    return "", 204


def take_out(server: Row, nic: Row, row: Row) -> list[int]:
    """Submit what takes a port out of its server; Conflict while that does something else, or is locked."""
    lock.check(server)
    effect.check(server, "detach_interface", *STATUSES)
    steps = [Step(translate_nic.unplug(server["instance"], nic))]
    tags = porttag.wanted(portname.handle(nic), row["facts"])
    steps += [Step(porttag.remove(server["instance"], tags))] if tags else []
    steps += [Step(translate_nic.unplug(server["instance"], each)) for each in _floating(server, portname.ident(nic))]
    return effect.several(server, "detach_interface", steps, Purpose(UNPLUG, str(portname.ident(nic))))


def _floating(server: Row, ident: str | None) -> list[Row]:
    """The NICs of floating addresses that are associated with a port: they go with it."""
    with context.database() as connection:
        known = portstore.of_project(connection, server["project_id"], {portname.ident(nic) for nic in server["nics"]})
    facts = {key: row["facts"] for key, row in known.items() if row["facts"].get("floating")}
    found = ((nic, facts.get(str(portname.ident(nic)), {})) for nic in server["nics"])
    return [nic for nic, said in found if said and said.get("port") == ident]


def _check_fixed(row: Row) -> None:
    if row["facts"].get("floating"):
        raise Conflict(f"Port {row['id']} is a floating address: change or delete it as such.")


def find(port_id: str) -> tuple[Row, Row, Row | None, Row | None]:
    """The project's port: its network, its row (a new one where nothing is said of it), its server and NIC or None."""
    with context.database() as connection:
        project = context.project_id()
        row = portstore.of_project(connection, project, [port_id]).get(port_id)
        server, nic = portstore.holders(connection, project, [port_id]).get(port_id, (None, None))
        idents = [row["network"]] if row is not None and row["network"] else []
        names = [nic["network"]] if nic is not None and nic.get("network") else []
        known = netrows.visible(connection, project, idents, names)
    if server is not None and nic is not None:
        has = tenantnet.by_nic(known).get((clusters.of(server), nic.get("network")))
        if has is not None:
            return has, row or portstore.words_of(port_id, context.project_id()), server, nic
    for network in known:
        if nic is None and row is not None and network["id"] == row["network"] and not row["facts"].get("floating"):
            return network, row, None, None
    raise NotFound(f"Port {port_id:.80} could not be found.")


def _made(wanted: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    with contextlib.ExitStack() as undo:
        for sent in wanted:
            network, row = _make(sent)
            undo.callback(portpool.take_back, row)
            found.append(portview.of_nobody(network, row))
        undo.pop_all()
    return found


def _make(sent: Mapping[str, Any]) -> tuple[Row, Row]:
    network = networks.need(schema.text(sent, "network_id"))
    asked = portask.read(sent, network, None)
    _check_owner(network, asked.facts)
    new = dict(asked.facts)
    if asked.groups is not None:
        new |= portgroups.facts(_known(), asked.groups)
    portask.check(new)
    row = portpool.set_apart(network, asked.address, new, asked.mac)
    log.info("port %s: made in network %s, address %s", row["id"], network["id"], row["address"])
    return network, row


def _known() -> Known:
    with context.database() as connection:
        return groupstore.read(connection, context.project_id())


def _check_owner(network: Row, said: Row) -> None:
    """Who opens a port may speak for others in its network: that is for the network's own project."""
    if (said.get("open") or said.get("pairs")) and network["project_id"] != context.project_id():
        raise Forbidden(f"Network {network['id']} is the administrator's: its ports stay secured.")
