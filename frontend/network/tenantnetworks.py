"""POST and DELETE of networks and subnets: a tenant's network is Ganeti's from its subnet on."""

from __future__ import annotations

import ipaddress
import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response, jsonify
from sqlalchemy import delete, func, insert, select

from frontend.database import db
from frontend.effect import chain
from frontend.effect.purpose import Purpose
from frontend.effect.translate import Step
from frontend.network import netview, networks, tenantnet
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Conflict, Forbidden, NotFound

log = logging.getLogger(__name__)

PATIENCE = 30.0
"""Seconds that a request waits for its jobs: who is told 201 or 204 goes on at once with what he has now."""

_LARGEST, _SMALLEST = 16, 29  # of Ganeti's networks (constants.IPV4_NETWORK_MIN_SIZE), and some room for servers
_PURPOSE = Purpose("network", "")
_AGAIN, _GONE = "retry the operation", "(unknown_entity)"  # in Ganeti's words of a failure


def create_network() -> tuple[Response, int]:
    """POST /networks: a name; it is shown, and Ganeti has it once it has a subnet."""
    asked = schema.mapping(schema.body(), "network")
    project = _allowed()
    name = schema.text(asked, "name", "", tenantnet.LONGEST) or f"net-{uuid.uuid4().hex[:8]}"
    if not tenantnet.PLAIN.fullmatch(name):
        raise BadRequest(f"name: {name!r:.80}: only letters, digits, '.', '_' and '-' are allowed")
    ident = str(uuid.uuid4())
    with context.database() as connection:
        _check_quota(connection, project)
        while _is_taken(connection, tenantnet.mac_prefix(ident)):
            ident = str(uuid.uuid4())
        row = {"id": ident, "project_id": project, "name": name, "created": time.time()}
        connection.execute(insert(db.tenant_network).values(row))
        connection.commit()
    return jsonify({"network": netview.network(_find(ident))}), 201


def create_subnet() -> tuple[Response, int]:
    """POST /subnets: two jobs or more, and it is there when this answers."""
    asked = schema.mapping(schema.body(), "subnet")
    project = _allowed()
    row = _own(schema.text(asked, "network_id"))
    if row["subnet"]:
        raise Conflict(f"Network {row['id']} has a subnet already: {row['subnet']}.")
    cidr = _cidr(asked)
    link = context.services().settings.front.tenant_link
    plan = tenantnet.Plan(row["known_as"], str(cidr), _gateway(asked, cidr), project, link)
    steps = [Step(tenantnet.add(plan, row["id"])), *(Step(tenantnet.connect(plan, group)) for group in _groups())]
    _carry_out(steps, row["id"])
    shown = _find(row["id"])
    if not shown["subnet"]:  # Ganeti has not come to it yet
        shown = {**shown, "subnet": plan.cidr, "gateway": plan.gateway}
    return jsonify({"subnet": netview.subnets_of(shown)[0]}), 201


def delete_subnet(subnet_id: str) -> tuple[str, int]:
    """DELETE /subnets/ID: Ganeti has the network no more."""
    for row in _mine():
        if any(subnet["id"] == subnet_id for subnet in netview.subnets_of(row)):
            _take_away(row)
            return "", 204
    raise NotFound(f"Subnet {subnet_id} could not be found.")


def delete_network(network_id: str) -> tuple[str, int]:
    """DELETE /networks/ID, with its subnet."""
    row = _own(network_id)
    if row["uuid"]:
        _take_away(row)
    with context.database() as connection:
        connection.execute(delete(db.tenant_network).where(db.tenant_network.c.id == network_id))
        connection.commit()
    return "", 204


def _take_away(row: Mapping[str, Any]) -> None:
    query = select(db.server.c.id, db.server.c.nics).where(
        db.server.c.project_id == context.project_id(), db.server.c.deleted.is_(None)
    )
    with context.database() as connection:
        users = [server.id for server in connection.execute(query) if _uses(server.nics, row["known_as"])]
    if users:
        raise Conflict(f"Network {row['id']} is in use: by server {users[0]}, and {len(users) - 1} others.")
    name = row["known_as"]
    steps = [*(Step(tenantnet.disconnect(name, group)) for group in _groups()), Step(tenantnet.remove(name))]
    _carry_out(steps, row["id"], goes=True)


def _uses(nics: Sequence[Mapping[str, Any]], network: str) -> bool:
    return any(nic.get("network") == network for nic in nics)


def _carry_out(steps: Sequence[Step], ident: str, *, goes: bool = False) -> None:
    """Submit the steps and wait for them; Conflict when one failed.

    A network that `goes` may be gone already, by a request before this one that did not wait for its jobs to the end.
    What Ganeti itself says to try again is tried again: other jobs of the group came between its plan and its locks
    (network.py CheckPrereq).
    """
    end = time.monotonic() + PATIENCE
    while steps:
        jobs = chain.submit(context.services().rapi, steps, _PURPOSE)
        log.info("network %s: jobs %s", ident, jobs)
        failed = _failure(jobs, end)
        if failed is None:
            return
        at, words = failed
        if goes and _GONE in words:
            return
        if _AGAIN not in words or time.monotonic() > end:
            raise Conflict(f"Ganeti could not do that to network {ident}: its job {jobs[at]} failed.")
        steps = steps[at:]


def _failure(jobs: Sequence[int], end: float) -> tuple[int, str] | None:
    """Which of the jobs failed first and why; None when all succeeded, or have not ended by then.

    Ends are known as soon as the consumer has heard of them: then the network's row is right, too.
    """
    query = select(db.action.c.job, db.action.c.status, db.action.c.message).where(db.action.c.job.in_(jobs))
    while time.monotonic() < end:
        with context.database() as connection:
            known = {row.job: row for row in connection.execute(query)}
        statuses = [known[job].status if job in known else "" for job in jobs]
        for at, status in enumerate(statuses):
            if status in ("error", "canceled"):
                return at, known[jobs[at]].message or ""
        if statuses[-1] == "success":
            return None
        time.sleep(0.1)
    return None


def _allowed() -> str:
    """The project; Forbidden where tenants make no networks."""
    if not context.services().settings.front.tenant_link:
        raise Forbidden("Networks are the administrator's to make.")
    return context.project_id()


def _check_quota(connection: Any, project: str) -> None:
    own = db.tenant_network.c.project_id == project
    used = connection.execute(select(func.count()).select_from(db.tenant_network).where(own)).scalar()
    if used >= context.services().settings.quota.networks:
        raise Conflict(f"Quota exceeded for resources: ['network'], {used} are there.")


def _is_taken(connection: Any, prefix: str) -> bool:
    idents = connection.execute(select(db.tenant_network.c.id)).scalars()
    return prefix in map(tenantnet.mac_prefix, idents)


def _cidr(asked: Mapping[str, Any]) -> ipaddress.IPv4Network:
    text = schema.text(asked, "cidr")
    try:
        found = ipaddress.ip_network(text)
    except ValueError as err:
        raise BadRequest(f"cidr: {err}") from err
    if not isinstance(found, ipaddress.IPv4Network) or asked.get("ip_version", 4) != 4:
        raise BadRequest(f"cidr: {text}: a network that a tenant makes has an IPv4 subnet alone")
    if not _LARGEST <= found.prefixlen <= _SMALLEST:
        raise BadRequest(f"cidr: {text}: from /{_LARGEST} to /{_SMALLEST} is allowed")
    return found


def _gateway(asked: Mapping[str, Any], cidr: ipaddress.IPv4Network) -> str | None:
    """The first address unless another is named; null means none."""
    wanted = asked.get("gateway_ip", "")
    if wanted is None:
        return None
    try:
        found = ipaddress.IPv4Address(wanted) if wanted else cidr[1]
    except ValueError as err:
        raise BadRequest(f"gateway_ip: {wanted!r:.80} is no IPv4 address") from err
    if found not in cidr:
        raise BadRequest(f"gateway_ip: {found} is not in {cidr}")
    return str(found)


def _groups() -> list[str]:
    with context.database() as connection:
        found = connection.execute(select(db.node.c.zone).distinct().order_by(db.node.c.zone)).scalars().all()
    return list(found) or ["default"]


def _mine() -> list[dict[str, Any]]:
    with context.database() as connection:
        rows = networks.all_rows(connection)
    return [row for row in rows if row["project_id"] == context.project_id()]


def _find(ident: str) -> dict[str, Any]:
    return next(row for row in _mine() if row["id"] == ident)


def _own(ident: str) -> dict[str, Any]:
    """The project's own network; an administrator's is Forbidden, another project's is as unknown as none."""
    with context.database() as connection:
        found = [row for row in networks.all_rows(connection) if row["id"] == ident]
    if not found:
        raise NotFound(f"Network {ident} could not be found.")
    if found[0]["project_id"] is None:
        raise Forbidden(f"Network {ident} is the administrator's.")
    return found[0]
