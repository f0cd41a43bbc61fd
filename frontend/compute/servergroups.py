"""Server groups: servers that are to live on different nodes, or on one.

Which group a server is in stands in its instance's tags. Ganeti's allocator keeps instances apart that share a tag
which the cluster's tag `htools:iextags:ganeti-ext:apart` names (hail(1)); it knows no way to put them together, so
there the node of the group's servers is named.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

from flask import Response, jsonify, request
from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Connection

from frontend.compute import quotas
from frontend.database import db, turns
from frontend.web import context, paging, schema
from frontend.web.fault import BadRequest, Conflict, Forbidden, NotFound

log = logging.getLogger(__name__)

APART, TOGETHER = "anti-affinity", "affinity"
_SOFT = ("soft-affinity", "soft-anti-affinity")


class Place(NamedTuple):
    """What a group asks of a new server."""

    facts: Mapping[str, str]
    """For its instance's tags."""
    node: str | None
    """Where it has to live; None: the allocator decides."""
    cluster: str | None = None
    """Of that node."""


def placed(connection: Connection, project: str, ident: str, count: int = 1) -> Place:
    """The place of `count` new servers in a group; BadRequest when the project has no such group."""
    group = _find(connection, project, ident)
    if group is None:
        raise BadRequest(f"group: there is no server group {ident[:80]}")
    members, allowed = _members(connection, project).get(ident, []), context.services().settings.quota.group_members
    if len(members) + count > allowed:
        raise Forbidden(f"Quota exceeded, too many servers in group: {allowed} are allowed")
    if group["policy"] == APART:
        return Place({"group": ident, "apart": ident}, None)
    host, cluster = _common_node(ident, members, count)
    return Place({"group": ident}, host, cluster)


def _common_node(ident: str, members: list[dict[str, Any]], count: int) -> tuple[str | None, str | None]:
    """The node of the group's servers, and its cluster."""
    if not members:
        if count > 1:
            raise BadRequest(
                f"group: {count} servers at once: the first of a group with {TOGETHER} has to be made alone"
            )
        return None, None
    for member in members:
        if member["host"]:
            return str(member["host"]), str(member["cluster"])
    raise Conflict(f"Server group {ident}: no server of it has a place yet. Try again later.")


def list_all() -> Response:
    """GET /os-server-groups, by their age; `all_projects` is for administrators."""
    query = select(db.server_group).order_by(db.server_group.c.created, db.server_group.c.id)
    everything = "all_projects" in request.args and context.is_admin()
    project = None if everything else context.project_id()
    if project is not None:
        query = query.where(db.server_group.c.project_id == project)
    first, count = paging.number("offset"), paging.asked().limit
    with context.database() as connection:
        found = db.rows(connection, query.offset(first).limit(count))
        members = _members(connection, project) if found else {}
    return jsonify({"server_groups": [_shown(row, members.get(row["id"], [])) for row in found]})


def show(server_group_id: str) -> Response:
    project = context.project_id()
    with context.database() as connection:
        row = _find(connection, project, server_group_id)
        if row is None:
            raise _unknown(server_group_id)
        members = _members(connection, project)
    return jsonify({"server_group": _shown(row, members.get(row["id"], []))})


def create() -> Response:
    """POST /os-server-groups."""
    sent = schema.mapping(schema.body(), "server_group")
    project = context.project_id()
    row = {
        "id": str(uuid.uuid4()),
        "project_id": project,
        "user_id": context.caller().user_id,
        "name": schema.text(sent, "name"),
        "policy": _policy(sent),
        "created": time.time(),
    }
    allowed = context.services().settings.quota.server_groups
    with context.database() as connection:
        turns.take(connection, project)
        if quotas.server_groups(connection, project) >= allowed:
            raise Forbidden(f"Quota exceeded, too many server groups: {allowed} are allowed")
        connection.execute(insert(db.server_group).values(row))
        connection.commit()
    log.info("server group %s: made, %s", row["id"], row["policy"])
    return jsonify({"server_group": _shown(row, [])})


def remove(server_group_id: str) -> tuple[str, int]:
    """DELETE /os-server-groups/ID. Servers in it stay as they are, and apart."""
    column = db.server_group.c
    with context.database() as connection:
        gone = connection.execute(
            delete(db.server_group).where(column.id == server_group_id, column.project_id == context.project_id())
        )
        connection.commit()
    if not gone.rowcount:
        raise _unknown(server_group_id)
    log.info("server group %s: deleted", server_group_id)
    return "", 204


def _policy(sent: Mapping[str, Any]) -> str:
    policies = schema.items(sent, "policies")
    if len(policies) != 1 or policies[0] not in (APART, TOGETHER, *_SOFT):
        raise BadRequest(f"policies: expected one of {APART}, {TOGETHER}, got {str(policies)[:80]}")
    if policies[0] in _SOFT:
        raise BadRequest(f"policies: {policies[0]}: Ganeti's allocator knows no such wish, only {APART} and {TOGETHER}")
    return str(policies[0])


def _find(connection: Connection, project: str, ident: str) -> dict[str, Any] | None:
    column = db.server_group.c
    return db.row(connection, select(db.server_group).where(column.id == ident, column.project_id == project))


def _members(connection: Connection, project: str | None) -> dict[str, list[dict[str, Any]]]:
    """A project's servers (None: everybody's) by the group that they are in, the oldest first."""
    column = db.server.c
    query = select(column.id, column.host, column.cluster, column.facts).where(column.deleted.is_(None))
    if project is not None:
        query = query.where(column.project_id == project)
    found: dict[str, list[dict[str, Any]]] = {}
    for row in db.rows(connection, query.order_by(column.created, column.id)):
        if group := row["facts"].get("group"):
            found.setdefault(group, []).append(row)
    return found


def _shown(row: Mapping[str, Any], members: list[dict[str, Any]]) -> dict[str, Any]:
    shown = {
        "id": row["id"],
        "name": row["name"],
        "policies": [row["policy"]],
        "members": [member["id"] for member in members],
        "metadata": {},
    }
    if context.version() >= (2, 13):
        shown |= {"project_id": row["project_id"], "user_id": row["user_id"]}
    return shown


def _unknown(ident: str) -> NotFound:
    return NotFound(f"Instance group {ident} could not be found.")
