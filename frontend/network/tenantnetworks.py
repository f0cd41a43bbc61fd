"""POST, PUT and DELETE of networks: a tenant's network is Ganeti's from its subnet on."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Response, jsonify
from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Connection

from frontend.database import db, turns
from frontend.effect.translate import Step
from frontend.network import (
    netbind,
    netjobs,
    netkept,
    netname,
    netview,
    networkquota,
    networks,
    portstore,
    subnetask,
    subnetfacts,
    subnetplaces,
    tenantnet,
)
from frontend.network.tenantnet import Row
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Conflict, Forbidden

# What every network of a tenant's is.
_ALWAYS = {"admin_state_up": True, "port_security_enabled": True, "router:external": False, "is_default": False}


def create_network() -> tuple[Response, int]:
    """POST /networks: one, or many, of which all are made or none. Ganeti has one once it has a subnet."""
    sent = schema.body()
    if "networks" in sent:
        wanted = [schema.member("networks", each) for each in schema.items(sent, "networks")]
        return jsonify({"networks": _made(wanted)}), 201
    (network,) = _made([schema.mapping(sent, "network")])
    return jsonify({"network": network}), 201


def change_network(network_id: str) -> Response:
    """PUT /networks/ID: another name or description."""
    sent = schema.mapping(schema.body(), "network")
    row = own(network_id)
    _check(sent)
    name = _name(sent, row["name"])
    facts = {"description": subnetask.words(sent, "description")} if "description" in sent else {}
    return jsonify({"network": netview.network(say(row, facts, name))})


def delete_network(network_id: str) -> tuple[str, int]:
    """DELETE /networks/ID, with its subnets."""
    row = own(network_id)
    with context.database() as connection:
        turns.take(connection, row["project_id"])
        if portstore.is_used(connection, network_id):
            raise Conflict(f"Network {network_id} is in use: there are ports in it.")
        if subnetplaces.is_asked(connection, row):  # then Ganeti is about to have it, whatever is done here
            raise Conflict(f"Network {network_id} is in use: it is just getting a subnet.")
        if not row["uuid"]:
            _forget(connection, network_id)
            return "", 204
    take_away(row)
    with context.database() as connection:
        _forget(connection, network_id)
    return "", 204


def _forget(connection: Connection, ident: str) -> None:
    connection.execute(delete(db.tenant_network).where(db.tenant_network.c.id == ident))
    connection.commit()


def say(row: Row, facts: Mapping[str, str], name: str | None = None) -> Row:
    """Keep a name and facts of a network, in Ganeti and here for the time without a subnet; its row then."""
    known_as = netname.known_as(name or row["name"], row["id"])
    tagged = subnetfacts.change(row["tags"], facts)
    if row["uuid"]:
        steps = tenantnet.retag(row["known_as"], row["tags"], tagged)
        if known_as != row["known_as"]:
            steps.append(Step(tenantnet.rename(row["known_as"], known_as)))
        netjobs.carry_out(steps, row)
    with context.database() as connection:
        turns.take(connection, row["project_id"])
        netkept.write(connection, row["id"], facts, **({"name": name} if name else {}))
        connection.commit()
    return {**row, "name": name or row["name"], "known_as": known_as, "tags": tagged}


def take_away(row: Row) -> None:
    """Ganeti has the network no more; see check_unused."""
    check_unused(row)
    netjobs.carry_out(gone(row), row, goes=True)


def gone(row: Row) -> list[Step]:
    """What takes it out of Ganeti."""
    name = row["known_as"]
    return [*(Step(tenantnet.disconnect(name, group)) for group in netjobs.groups(row)), Step(tenantnet.remove(name))]


def check_unused(row: Row) -> None:
    """Conflict while a server, or the address of a port, is in it. A port without one waits for the next subnet."""
    users = using(row)
    if users:
        raise Conflict(f"Network {row['id']} is in use: by server {users[0]}, and {len(users) - 1} others.")
    with context.database() as connection:
        if portstore.addresses(connection, row["id"]):
            raise Conflict(f"Network {row['id']} is in use: there are ports in it.")


def using(row: Row, wanted: Callable[[Mapping[str, Any]], object] = lambda _: True) -> list[str]:
    """The project's servers that have such a NIC in the network."""
    query = select(db.server.c.id, db.server.c.nics).where(
        db.server.c.project_id == row["project_id"], db.server.c.deleted.is_(None)
    )
    with context.database() as connection:
        return [
            server.id
            for server in connection.execute(query)
            if any(nic.get("network") == row["known_as"] and wanted(nic) for nic in server.nics)
        ]


def allowed() -> str:
    """The project; Forbidden where tenants make no networks."""
    if not context.services().settings.front.makes_networks:
        raise Forbidden("Networks are the administrator's to make.")
    return context.project_id()


def own(ident: str) -> Row:
    """The project's own network; an administrator's is Forbidden, another project's is as unknown as none."""
    found = networks.need(ident)
    if found["project_id"] is None:
        raise Forbidden(f"Network {ident} is the administrator's.")
    return found


def _made(wanted: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """New networks, as they are shown."""
    project, now = allowed(), time.time()
    rows: list[dict[str, Any]] = []
    for sent in wanted:
        _check(sent)
        facts = {"description": subnetask.words(sent, "description")}
        row: dict[str, Any] = {"project_id": project, "name": _name(sent, ""), "created": now, "facts": facts}
        rows.append({**row, "cluster": netbind.hinted(sent, project)})
    if not rows:
        raise BadRequest("networks: there is none")
    with context.database() as connection:
        networkquota.check(connection, project, {"network": len(rows)})
        taken = {tenantnet.mac_prefix(ident) for ident in connection.execute(select(db.tenant_network.c.id)).scalars()}
        for row in rows:
            row["id"] = _ident(taken)
            row["facts"] = {key: text for key, text in row["facts"].items() if text}
        connection.execute(insert(db.tenant_network), rows)
        connection.commit()
    return [netview.network(tenantnet.bare(row)) for row in rows]


def _ident(taken: set[str]) -> str:
    """A new network's, whose MAC prefix no other one has."""
    while (prefix := tenantnet.mac_prefix(ident := str(uuid.uuid4()))) in taken:
        pass
    taken.add(prefix)
    return ident


def _name(sent: Mapping[str, Any], default: str) -> str:
    """A name; one that is made up where there is neither this nor a default."""
    name = schema.text(sent, "name", default) if sent.get("name") != "" else default
    name = name or f"net-{uuid.uuid4().hex[:8]}"
    length = len(netname.known_as(name, ""))
    if length > tenantnet.LONGEST:
        raise BadRequest(
            f"name: {name!r:.80}: {length} octets as Ganeti has it, at most {tenantnet.LONGEST} are possible"
        )
    return name


def _check(sent: Mapping[str, Any]) -> None:
    """What a tenant's network cannot be."""
    if schema.flag(sent, "shared", default=False):
        raise Forbidden("shared: networks of everybody's are the administrator's to make.")
    for key, always in _ALWAYS.items():
        if schema.flag(sent, key, default=always) is not always:
            raise BadRequest(f"{key}: is {str(always).lower()} of every network of a tenant's")
    for key in sent:
        if key.startswith("provider:") and sent[key] is not None:
            raise Forbidden(f"{key}: how a network is carried is the administrator's to say.")
    whose = sent.get("project_id") or sent.get("tenant_id")
    if whose not in (None, context.project_id()):
        raise Forbidden("project_id: a network is made in the project of the token.")
