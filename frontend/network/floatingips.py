"""Floating addresses: /floatingips. One is reserved in Ganeti's own pool of an external network, and is its project's.

To associate it with a port is to plug a NIC with it into the port's server, live; to disassociate it, to take that NIC
out. It is kept as a port is (portpool.py), with `floating` among its facts, so that a lost database has it again.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, jsonify

from frontend.compute import lock
from frontend.effect import awaited, clusters, effect, translate_nic
from frontend.effect.purpose import PLUG, Purpose
from frontend.effect.translate import Step
from frontend.effect.translate_create import Wish
from frontend.network import (
    floatview,
    netview,
    networks,
    portname,
    portpool,
    ports,
    portstore,
    subnetask,
)
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Conflict, Forbidden, NotFound

log = logging.getLogger(__name__)

Row = Mapping[str, Any]

MOST_NICS = 8  # constants.MAX_NICS
_ABSENT = ("dns_name", "dns_domain", "qos_policy_id")


def routes(url: str, reader: str, member: str) -> tuple[tuple[str, str, Callable[..., Any], str], ...]:
    """`url`: where those of Network begin; the others: who may call."""
    every, one = f"{url}/floatingips", f"{url}/floatingips/<floatingip_id>"
    return (
        ("GET", every, list_all, reader),
        ("POST", every, create, member),
        ("GET", one, show, reader),
        ("PUT", one, change, member),
        ("DELETE", one, delete, member),
        ("POST", f"{url}/routers", no_router, member),
    )


def list_all() -> Response:
    return networks.listed("floatingips", [floatview.floating(row, server) for row, server in known()])


def show(floatingip_id: str) -> Response:
    """GET /floatingips/ID."""
    return jsonify({"floatingip": floatview.floating(*_need(floatingip_id))})


def create() -> tuple[Response, int]:
    """POST /floatingips: an address, the one that is named or any that is free."""
    sent = schema.mapping(schema.body(), "floatingip")
    for key in _ABSENT:
        if sent.get(key):
            raise BadRequest(f"{key}: is not supported")
    if (sent.get("project_id") or sent.get("tenant_id")) not in (None, context.project_id()):
        raise Forbidden("project_id: a floating address is made in the project of the token")
    network = _external(schema.text(sent, "floating_network_id"), sent)
    port = _port(sent)
    facts = {"floating": True, "description": subnetask.words(sent, "description"), "port": port and port[1]}
    if port is not None:
        _check(network, port[0])
    wanted = _address(sent, network)
    row = portpool.set_apart(network, wanted, {key: value for key, value in facts.items() if value}, kind="floatingip")
    log.info("floating address %s: %s of network %s", row["id"], row["address"], network["id"])
    if port is None:
        return jsonify({"floatingip": floatview.floating(row, None)}), 201
    try:
        shown = _plug(network, row, *port)
    except Exception:
        portpool.take_back(row)
        raise
    return jsonify({"floatingip": shown}), 201


def change(floatingip_id: str) -> Response:
    """PUT /floatingips/ID: its description; the port that it is associated with, none where that is null."""
    sent = schema.mapping(schema.body(), "floatingip")
    row, has = _need(floatingip_id)
    network = networks.need(row["network"])
    facts = dict(row["facts"])
    if "description" in sent:
        facts["description"] = subnetask.words(sent, "description")
    if "port_id" not in sent:
        row = portpool.say(row, facts)
        return jsonify({"floatingip": floatview.floating(row, has)})
    port = _port(sent)
    if port is not None and port[1] == row["id"]:
        raise BadRequest(f"port_id: {row['id']} is the floating address itself")
    moves = has is not None and (port is None or port[0]["id"] != has["id"])
    if port is not None and (has is None or moves):
        _check(network, port[0])
    if has is not None and moves:
        _unplug(row, has)
    facts["port"] = port and port[1]
    row = portpool.say(row, {key: value for key, value in facts.items() if value})
    if port is None:
        return jsonify({"floatingip": floatview.floating(row, None)})
    if has is not None and not moves:
        return jsonify({"floatingip": floatview.floating(row, has)})
    return jsonify({"floatingip": _plug(network, row, *port)})


def delete(floatingip_id: str) -> tuple[str, int]:
    """DELETE /floatingips/ID: out of its server first; the address is free then."""
    row, server = _need(floatingip_id)
    if server is not None:
        _unplug(row, server)
    portpool.give_back(row)
    return "", 204


def no_router() -> Response:
    """POST /routers."""
    schema.mapping(schema.body(), "router")
    raise BadRequest("There are no routers: a server with a port in each of two networks routes between them.")


def say_labels(ident: str, wanted: list[str]) -> None:
    row, _ = _need(ident)
    portpool.say(row, {**row["facts"], "label": ",".join(wanted)})


def read_labels(ident: str) -> list[str]:
    return floatview.labels(_need(ident)[0])


def known() -> list[tuple[Row, Row | None]]:
    """The project's, with the servers that have their NICs."""
    project = context.project_id()
    with context.database() as connection:
        found = portstore.of_project(connection, project)
        rows = sorted((row for row in found.values() if row["facts"].get("floating")), key=lambda row: str(row["id"]))
        holders = portstore.holders(connection, project, [row["id"] for row in rows])
    return [(row, holders.get(row["id"], (None, None))[0]) for row in rows]


def _need(ident: str) -> tuple[Row, Row | None]:
    for row, server in known():
        if row["id"] == ident:
            return row, server
    raise NotFound(f"Floating IP {ident:.80} could not be found.")


def _external(ident: str, sent: Row) -> Row:
    network = networks.need(ident)
    if not netview.is_external(network) or not network["subnet"]:
        raise BadRequest(f"Network {ident} is not a valid external network")
    subnets = {subnet["id"] for subnet in netview.subnets_of(network) if subnet["ip_version"] == 4}
    if sent.get("subnet_id") not in (None, *subnets):
        raise BadRequest(f"subnet_id: {sent['subnet_id']!s:.80} is no subnet of IPv4 of network {ident}")
    return network


def _address(sent: Row, network: Row) -> str | None:
    text = schema.text(sent, "floating_ip_address", None)
    if text is None:
        return None
    try:
        found = ipaddress.IPv4Address(text)
    except ValueError as err:
        raise BadRequest(f"floating_ip_address: {text!r:.80} is no IPv4 address") from err
    if found not in ipaddress.IPv4Network(network["subnet"], strict=False):
        raise BadRequest(f"floating_ip_address: {found} is not in network {network['id']}")
    return str(found)


def _port(sent: Row) -> tuple[Row, str] | None:
    """The server of the port that is named, and the port's id. Conflict when no server has it."""
    ident = schema.text(sent, "port_id", None)
    wanted = schema.text(sent, "fixed_ip_address", None)
    if ident is None:
        if wanted is not None:
            raise BadRequest("fixed_ip_address: needs a port_id")
        return None
    _, _, server, nic = ports.find(ident)
    if server is None or nic is None:
        raise Conflict(f"Port {ident} is no server's: a floating address is a NIC's own, beside the port's.")
    if wanted not in (None, nic.get("ip"), nic.get("ip6")):
        raise BadRequest(f"fixed_ip_address: port {ident} does not have {wanted!r:.80}")
    return server, ident


def _check(network: Row, server: Row) -> None:
    """Whether the server can have one NIC more, in that network."""
    lock.check(server)
    effect.check(server, "attach_interface", *ports.STATUSES)
    if len(server["nics"]) >= MOST_NICS:
        raise Conflict(f"Instance {server['id']} has {len(server['nics'])} ports, and none has more in Ganeti.")
    if clusters.of(network) != clusters.of(server):
        raise Conflict(f"Server {server['id']} is of another cluster than network {network['id']}.")


def _plug(network: Row, row: Row, server: Row, port: str) -> dict[str, Any]:
    """Give it to the server; as it is shown then."""
    wish = Wish(network["uuid"], network["subnet"], row["address"], row["id"], row["mac"])
    steps = [Step(translate_nic.plug(server["instance"], wish, row["id"]))]
    with portstore.claim([row], server["id"]):
        jobs = effect.several(server, "attach_interface", steps, Purpose(PLUG, row["id"]))
    portstore.given([row], jobs[-1])
    _await(row, server, jobs)
    row, has = _need(row["id"])
    return floatview.floating(row, has or server, None if has else port)


def _unplug(row: Row, server: Row) -> None:
    nic = next(nic for nic in server["nics"] if portname.ident(nic) == row["id"])
    _await(row, server, ports.take_out(server, nic, row))


def _await(row: Row, server: Row, jobs: list[int]) -> None:
    failed = awaited.failure(jobs, time.monotonic() + awaited.PATIENCE, clusters.of(server))
    if failed is not None:
        log.warning("floating address %s: server %s: job %d: %s", row["id"], server["id"], *failed)
        raise Conflict(f"Ganeti could not do that to server {server['id']}: its job {failed.job} failed.")
