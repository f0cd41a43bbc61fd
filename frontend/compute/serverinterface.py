"""POST and DELETE of /servers/ID/os-interface: a NIC more or less, also while the server runs.

Ganeti chooses address and MAC while its job goes on, so the answer to a POST waits for that. What the NIC's port is
called is known before (portname.py).
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from flask import Response, jsonify

from frontend.compute import ingredients, lock, schema_server, serverparts, servers, whichcluster
from frontend.database import turns
from frontend.effect import awaited, clusters, effect, translate_nic
from frontend.effect.awaited import Failure
from frontend.effect.purpose import PLUG, Purpose
from frontend.effect.translate import Step
from frontend.effect.translate_create import Wish
from frontend.network import addressquota, fixedip, networks, portname, portquota, ports, portstore, porttag, portwish
from frontend.quota import reserved
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Conflict, Forbidden, NotFound

log = logging.getLogger(__name__)

Row = Mapping[str, Any]

# In Ganeti's words of a failure (instance_set_params.py _PrepareNicModification).
_TAKEN, _EXHAUSTED = "not available in network", "Unable to get a free IP"


class _Asked(NamedTuple):
    network: str | None
    """None: the default one, or the port's."""
    port: str | None
    address: str | None


def attach(server_id: str) -> Response:
    """POST: the server has it when this answers; after half a minute it answers with what is known by then."""
    asked = _asked(schema.mapping(schema.body(), "interfaceAttachment", {}))
    server = servers.need(server_id)
    lock.check(server)
    effect.check(server, "attach_interface", *ports.STATUSES)
    _check_room(server)
    if asked.port is None:
        network, made = _network(server, asked.network), []
        with context.database() as connection:
            wish = fixedip.wish(connection, network, asked.address)
    else:
        network, row = _made(asked.port)
        wish, made = portwish.wish([network], row), [row]
    whichcluster.same("Network", network, server)
    port_id = asked.port or str(uuid.uuid4())
    steps = [Step(porttag.add(server["instance"], list(wish.tags)))] if wish.tags else []
    steps.append(Step(translate_nic.plug(server["instance"], wish, port_id)))
    with portstore.claim(made, server["id"]), _apart(server, wish, port_id):
        jobs = effect.several(server, "attach_interface", steps, Purpose(PLUG, port_id))
    portstore.given(made, jobs[-1])
    with context.database() as connection:
        reserved.accepted(connection, port_id, jobs[-1], clusters.of(server))
        connection.commit()
    failed = awaited.failure(jobs, time.monotonic() + awaited.PATIENCE, clusters.of(server))
    if failed is not None:
        raise _refusal(failed, server, network, wish.fixed_ip)
    return jsonify({"interfaceAttachment": _shown(server, port_id, network)})


def detach(server_id: str, port_id: str) -> tuple[str, int]:
    """DELETE: 202, and it is there until Ganeti has taken it out."""
    server = servers.need(server_id)
    nic = next((nic for nic in server["nics"] if portname.ident(nic) == port_id), None)
    if nic is None:
        raise NotFound(f"Port {port_id:.80} could not be found.")
    with context.database() as connection:
        row = portstore.of_project(connection, context.project_id(), [port_id]).get(port_id)
    ports.take_out(server, nic, row or portstore.words_of(port_id, context.project_id()))
    return "", 202


def _asked(sent: Mapping[str, Any]) -> _Asked:
    network, port = schema.text(sent, "net_id", None), schema.text(sent, "port_id", None)
    if sent.get("tag") is not None:
        raise BadRequest("tag: is known from microversion 2.49 on, which this API does not have")
    if network and port:
        raise BadRequest("Must not input both network_id and port_id")
    addresses = schema.items(sent, "fixed_ips")
    if addresses and not network:
        raise BadRequest("Must input network_id when request IP address")
    if len(addresses) > 1:
        raise BadRequest(f"fixed_ips: {len(addresses)}, a port has one address that is chosen")
    texts = [schema.text(schema.member("fixed_ips", each), "ip_address") for each in addresses]
    return _Asked(network, port, _address(texts[0]) if texts else None)


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as err:
        raise BadRequest(f"fixed_ips: ip_address: {text!r:.80} is no IP address") from err


def _made(ident: str) -> tuple[Row, Row]:
    """A port that was made beforehand: its network, and its row. Conflict when a server has it."""
    network, row, server, _ = ports.find(ident)
    if server is not None:
        raise Conflict(f"Port {ident} is still in use.")
    return network, row


@contextlib.contextmanager
def _apart(server: Row, wish: Wish, port_id: str) -> Iterator[None]:
    """A port that there is not yet counts from here on, until the job is over; Forbidden when there may be none more.

    Given back if the block fails.
    """
    if wish.port is not None:
        yield
        return
    public = addressquota.public([wish.network])
    with context.database() as connection:
        turns.take(connection, server["project_id"])
        portquota.check(connection, server["project_id"], 1)
        addressquota.check(connection, server["project_id"], public)
        reserved.keep(connection, port_id, server["project_id"], ports=1, addresses=public)
        connection.commit()
    try:
        yield
    except BaseException:
        with context.database() as connection:
            reserved.release(connection, [port_id])
            connection.commit()
        raise


def _check_room(server: Row) -> None:
    """Forbidden, as Nova says of a quota of ports."""
    if len(server["nics"]) >= schema_server.MAX_NICS:
        raise Forbidden(f"Instance {server['id']} has {len(server['nics'])} ports, and none has more in Ganeti.")


def _network(server: Row, ident: str | None) -> Row:
    if ident is None:
        with context.database() as connection:
            ident = ingredients.default_network(networks.all_rows(connection), clusters.of(server))
    row = networks.need(ident)
    if row["uuid"] is None:
        raise BadRequest(f"Network {ident} requires a subnet in order to attach servers to it.")
    return row


def _refusal(failed: Failure, server: Row, network: Row, address: str | None) -> Exception:
    """The fault that a failed job means: Nova's FixedIpAlreadyInUse, NoMoreFixedIps, InterfaceAttachFailed."""
    log.warning("server %s: no NIC in network %s, by job %d: %s", server["id"], network["id"], *failed)
    if _TAKEN in failed.words:
        return Conflict(f"Fixed IP address {address} is already in use, or reserved, in network {network['id']}.")
    if _EXHAUSTED in failed.words:
        return BadRequest(f"No fixed IP addresses available for network: {network['id']}")
    return Conflict(f"Failed to attach network adapter device to {server['id']}: job {failed.job} of Ganeti failed.")


def _shown(server: Row, port_id: str, network: Row) -> dict[str, Any]:
    for interface in serverparts.interfaces(servers.need(server["id"])):
        if interface["port_id"] == port_id:
            return interface
    return {"port_id": port_id, "net_id": network["id"], "mac_addr": None, "port_state": "DOWN", "fixed_ips": []}
