"""Network v2.0, to read: Ganeti's networks, and what follows from them and the servers' NICs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import Connection, select

from frontend.database import db
from frontend.effect import clusters
from frontend.network import netview, networkgroups, portstore, portview, tenantnet
from frontend.web import context, ordering, paging
from frontend.web.fault import BadRequest, NotFound

_STATES = {True: "available", False: "unavailable"}
_TAGS = ("tags", "tags-any", "not-tags", "not-tags-any")


def all_rows(connection: Connection) -> list[dict[str, Any]]:
    """The networks that the caller's project may use, by name; see tenantnet.visible."""
    project, own = context.project_id(), db.tenant_network
    rows = db.rows(connection, select(own).where(own.c.project_id == project))
    return tenantnet.visible(db.rows(connection, select(db.network)), rows, project)


def need(ident: str) -> dict[str, Any]:
    """The row of a network that the caller's project may use; NotFound."""
    with context.database() as connection:
        known = all_rows(connection)
    found = next((row for row in known if row["id"] == ident), None)
    if found is None:
        raise NotFound(f"Network {ident:.80} could not be found.")
    return found


def list_networks() -> Response:
    return listed("networks", _networks())


def show_network(network_id: str) -> Response:
    return _show("network", _networks(network_id), network_id)


def list_subnets() -> Response:
    return listed("subnets", _subnets())


def show_subnet(subnet_id: str) -> Response:
    return _show("subnet", _subnets(), subnet_id)


def list_ports() -> Response:
    return listed("ports", _ports())


def show_port(port_id: str) -> Response:
    return _show("port", _ports(port_id), port_id)


def list_security_groups() -> Response:
    return listed("security_groups", networkgroups.all_groups())


def show_security_group(group_id: str) -> Response:
    return _show("security_group", networkgroups.all_groups(), group_id)


def list_security_group_rules() -> Response:
    return listed("security_group_rules", _rules())


def show_security_group_rule(rule_id: str) -> Response:
    return _show("security_group_rule", _rules(), rule_id)


def list_routers() -> Response:
    return listed("routers", [])


def list_availability_zones() -> Response:
    """The clusters, where there are several: each network is of one."""
    with context.database() as connection:
        known = clusters.every(connection)
    found = [
        {"name": clusters.shown(row), "resource": "network", "state": _STATES[row["state"] == clusters.OPEN]}
        for row in known
    ]
    return listed("availability_zones", found)


def _rules() -> list[dict[str, Any]]:
    groups = networkgroups.all_groups()
    return [rule for group in groups for rule in group["security_group_rules"]]


def _networks(ident: str | None = None) -> list[dict[str, Any]]:
    """All, or the one of this id."""
    with context.database() as connection:
        rows = all_rows(connection)
    return [netview.network(row) for row in rows if ident in (None, row["id"])]


def _subnets() -> list[dict[str, Any]]:
    with context.database() as connection:
        rows = all_rows(connection)
    return [subnet for row in rows for subnet in netview.subnets_of(row)]


def _ports(only: str | None = None) -> list[dict[str, Any]]:
    """The NICs of the project's servers, and those that no server has; or the one of this id."""
    project = context.project_id()
    query = select(db.server).where(db.server.c.project_id == project, db.server.c.deleted.is_(None))
    of_servers = bool(request.args.get("device_id"))
    if of_servers:
        query = query.where(db.server.c.id.in_(request.args.getlist("device_id")))
    with context.database() as connection:
        known, made = all_rows(connection), portstore.of_project(connection, project, only)
        servers = db.rows(connection, query)
    fixed = request.args.getlist("fixed_ips")
    if asked := request.args.getlist("network_id"):
        known = [row for row in known if row["id"] in asked]
    found = portview.every(known, servers, made, free=not of_servers, only=only)
    return [each for each in found if portview.has_fixed(each, fixed)]


def listed(kind: str, entries: Sequence[dict[str, Any]]) -> Response:
    """A collection: filtered by every query key that entries have, in order, cut to the page, projected to `fields`."""
    tags = {key: set(text.split(",")) for key in _TAGS if (text := request.args.get(key))}
    wanted = _in_order([entry for entry in entries if _matches(entry) and _is_tagged(entry, tags)])
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


def _is_tagged(entry: Mapping[str, Any], asked: Mapping[str, set[str]]) -> bool:
    """By `tags` (all of them), `tags-any`, and the contrary of both."""
    if not asked:
        return True
    has = set(entry.get("tags", ()))
    return (
        asked.get("tags", set()) <= has
        and ("tags-any" not in asked or bool(asked["tags-any"] & has))
        and ("not-tags" not in asked or not asked["not-tags"] <= has)
        and not asked.get("not-tags-any", set()) & has
    )


def _in_order(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By each `sort_key` with its `sort_dir`; the first one counts most."""
    keys, ways = request.args.getlist("sort_key"), request.args.getlist("sort_dir")
    if ways and len(ways) != len(keys):
        raise BadRequest(f"sort_dir: {len(ways)}, and there are {len(keys)} of sort_key")
    for key, way in reversed(list(zip_longest(keys, ways, fillvalue="asc"))):
        if entries and isinstance(entries[0].get(key, []), list | dict):
            raise BadRequest(f"sort_key: {key!r:.80} is nothing to sort by")
        falling = not ordering.rises(way)
        entries = sorted(entries, key=partial(_place, key), reverse=falling)
    return entries


def _place(key: str, entry: Mapping[str, Any]) -> tuple[bool, str]:
    value = entry.get(key)
    return value is not None, str(value)


def _project(entry: dict[str, Any]) -> dict[str, Any]:
    fields = request.args.getlist("fields")
    return {key: entry[key] for key in fields if key in entry} if fields else entry
