"""Network v2.0, to read: Ganeti's networks, and what follows from them and the servers' NICs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import Connection, select

from frontend.database import db
from frontend.network import netview, networkgroups, tenantnet
from frontend.web import context, paging
from frontend.web.fault import Forbidden, NotFound


def all_rows(connection: Connection) -> list[dict[str, Any]]:
    """The networks that the caller's project may use, by name; see tenantnet.visible."""
    project, own = context.project_id(), db.tenant_network
    rows = db.rows(connection, select(own).where(own.c.project_id == project))
    return tenantnet.visible(db.rows(connection, select(db.network)), rows, project)


def list_networks() -> Response:
    return _list("networks", _networks())


def show_network(network_id: str) -> Response:
    return _show("network", _networks(), network_id)


def list_subnets() -> Response:
    return _list("subnets", _subnets())


def show_subnet(subnet_id: str) -> Response:
    return _show("subnet", _subnets(), subnet_id)


def list_ports() -> Response:
    return _list("ports", _ports())


def show_port(port_id: str) -> Response:
    return _show("port", _ports(), port_id)


def list_security_groups() -> Response:
    return _list("security_groups", networkgroups.all_groups())


def show_security_group(group_id: str) -> Response:
    return _show("security_group", networkgroups.all_groups(), group_id)


def list_security_group_rules() -> Response:
    return _list("security_group_rules", _rules())


def show_security_group_rule(rule_id: str) -> Response:
    return _show("security_group_rule", _rules(), rule_id)


def list_floating_ips() -> Response:
    return _list("floatingips", [])


def list_routers() -> Response:
    return _list("routers", [])


def list_availability_zones() -> Response:
    """None: networks have no place of their own."""
    return _list("availability_zones", [])


def show_quota(project_id: str) -> Response:
    """GET /quotas/PROJECT: what tenants make none of is 0, ports come with their servers."""
    if project_id != context.project_id() and not context.is_admin():
        raise Forbidden("Only an administrator may see the quota of another project.")
    none = ("subnetpool", "router", "floatingip", "rbac_policy")
    settings = context.services().settings
    quota, made = settings.quota, settings.quota.networks if settings.front.tenant_link else 0
    own = {"security_group": quota.security_groups, "security_group_rule": quota.security_group_rules, "port": -1}
    return jsonify({"quota": {**dict.fromkeys(none, 0), **dict.fromkeys(("network", "subnet"), made), **own}})


def list_extensions() -> Response:
    return _list("extensions", [])


def show_extension(alias: str) -> Response:
    raise NotFound(f"Extension with alias {alias} does not exist")


def _rules() -> list[dict[str, Any]]:
    groups = networkgroups.all_groups()
    return [rule for group in groups for rule in group["security_group_rules"]]


def _networks() -> list[dict[str, Any]]:
    with context.database() as connection:
        rows = all_rows(connection)
    return [netview.network(row) for row in rows]


def _subnets() -> list[dict[str, Any]]:
    with context.database() as connection:
        rows = all_rows(connection)
    return [subnet for row in rows for subnet in netview.subnets_of(row)]


def _ports() -> list[dict[str, Any]]:
    """The NICs of the project's servers."""
    query = select(db.server).where(db.server.c.project_id == context.project_id(), db.server.c.deleted.is_(None))
    if request.args.get("device_id"):
        query = query.where(db.server.c.id.in_(request.args.getlist("device_id")))
    with context.database() as connection:
        networks = {row["known_as"]: row for row in all_rows(connection)}
        servers = db.rows(connection, query)
    return [
        netview.port(server, nic, networks[nic["network"]])
        for server in servers
        for nic in server["nics"]
        if nic.get("network") in networks and nic.get("uuid")
    ]


def _list(kind: str, entries: Sequence[dict[str, Any]]) -> Response:
    """A collection: filtered by every query key that entries have, cut to the page, projected to `fields`."""
    wanted = [entry for entry in entries if _matches(entry)]
    page, more = paging.cut(wanted, paging.asked())
    answer: dict[str, Any] = {kind: [_project(entry) for entry in page]}
    if links := paging.next_link(page, more):
        answer[f"{kind}_links"] = links
    return jsonify(answer)


def _show(kind: str, entries: Sequence[dict[str, Any]], ident: str) -> Response:
    for entry in entries:
        if entry["id"] == ident:
            return jsonify({kind: _project(entry)})
    raise NotFound(f"{kind.replace('_', ' ').capitalize()} {ident} could not be found.")


def _matches(entry: Mapping[str, Any]) -> bool:
    for key, wanted in request.args.lists():
        if key in entry and not isinstance(entry[key], list):
            value = entry[key]
            texts = [text.lower() for text in wanted] if isinstance(value, bool) else wanted
            if (str(value).lower() if isinstance(value, bool) else str(value)) not in texts:
                return False
    return True


def _project(entry: dict[str, Any]) -> dict[str, Any]:
    fields = request.args.getlist("fields")
    return {key: entry[key] for key in fields if key in entry} if fields else entry
