"""The security groups of servers: a tag of the instance names them, which its node reads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Response, jsonify
from sqlalchemy import select
from sqlalchemy.engine import Connection

from frontend.compute import requests
from frontend.database import db
from frontend.effect import facts
from frontend.network import groupstore, groupview, netview, portgroups
from frontend.network.groupstore import Known
from frontend.quota import reserved
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Conflict, NotFound
from ganeti_ext.errors import ExtError

log = logging.getLogger(__name__)

Row = Mapping[str, Any]


def check_chosen(connection: Connection, wanted: Sequence[str], project: str, facts: Row) -> None:
    """Conflict when `chosen` would say something else by now; the caller has the project's turn."""
    now = chosen(connection, wanted, project)
    if any(facts.get(fact) != now.get(fact) for fact in ("firewall", "groups")):
        raise Conflict("The project's security groups have just been changed: try again.")


def chosen(connection: Connection, wanted: Sequence[str], project: str) -> dict[str, str]:
    """The facts of a new server in these groups (names or ids), for its tags; none in `default` as it is of itself.

    BadRequest for a group that there is not, Conflict where no node could keep to what they say.
    """
    known = groupstore.read(connection, project)
    found: list[str] = []
    for each in wanted or (netview.DEFAULT_GROUP,):
        group = groupstore.find(known, each)
        if group is None:
            raise BadRequest(f"Security group {each[:80]} not found.")
        found += [group] if group not in found else []
    return {fact: value for fact, value in groupstore.facts(known, found).items() if value is not None}


def add(server: Row, argument: object) -> tuple[str, int]:
    """Action addSecurityGroup: of the server, and of those of its ports that have groups of their own."""
    return _change("addSecurityGroup", server, argument, lambda now, group: now if group in now else [*now, group])


def remove(server: Row, argument: object) -> tuple[str, int]:
    """Action removeSecurityGroup. A server in no group gets nothing that is new."""

    def without(now: Sequence[str], group: str) -> list[str]:
        return [each for each in now if each != group]

    return _change("removeSecurityGroup", server, argument, without, must_have=True)


def list_of(server: Row) -> Response:
    """GET /servers/ID/os-security-groups."""
    project = server["project_id"]
    with context.database() as connection:
        known = groupstore.read(connection, project)
        wanted = portgroups.of_server(server, portgroups.own(connection, project))
    groups = groupstore.shown(known)
    names = {group["id"]: group["name"] for group in groups}
    idents = {each if each in known.own else netview.group_id(project, each) for each in wanted}
    found = [groupview.compute_group(group, names) for group in groups if group["id"] in idents]
    return jsonify({"security_groups": found})


def using(connection: Connection, project: str, group_id: str) -> list[dict[str, Any]]:
    """The project's servers that are in a group of its own themselves, not by ports of theirs."""
    query = select(db.server).where(db.server.c.project_id == project, db.server.c.deleted.is_(None))
    return [row for row in db.rows(connection, query) if group_id in netview.group_ids(row)]


def is_used(connection: Connection, project: str, group_id: str) -> bool:
    """Whether a server or a port has it."""
    ports = portgroups.own(connection, project)
    return any(group_id in groups for groups in ports.values()) or bool(using(connection, project, group_id))


def check_members(connection: Connection, after: Known, group_id: str) -> None:
    """Conflict when a server or a port of this group could not have it any more."""
    servers = [netview.groups_of(server) for server in using(connection, after.project, group_id)]
    for groups in (*servers, *portgroups.own(connection, after.project).values()):
        if group_id in groupstore.real(after, groups):
            groupstore.check(after, groups)


def check_built(connection: Connection, project: str, group_id: str) -> None:
    """Conflict while a server of this group is being made, as its tags cannot be changed then."""
    made = {row["id"] for row in reserved.of(connection, project) if row["owner"] is None}
    made |= {server["id"] for server in using(connection, project, group_id) if server["status"] == "BUILD"}
    if made:
        words = f"while server {min(made)} is being built it cannot be changed for the first time: try again then."
        raise Conflict(f"Security group {group_id}: {words}")


def renew(group_id: str) -> None:
    """Servers and ports of a group whose tags name the profile that it once stood for, name the group from now on.

    One that cannot be told keeps what it has until the group's next change.
    """
    with context.database() as connection:
        known = groupstore.read(connection, context.project_id())
        servers = using(connection, known.project, group_id)
    for server in servers:
        wanted = groupstore.facts(known, netview.groups_of(server))
        if wanted["firewall"] != server["facts"].get("firewall"):
            try:
                facts.change(server, wanted)
            except ExtError as err:
                log.error("security group %s: server %s does not have its rules: %s", group_id, server["id"], err)
    if group_id == netview.default_group_id(known.project):
        portgroups.renew(known)


def _change(
    action: str,
    server: Row,
    argument: object,
    change: Callable[[Sequence[str], str], Sequence[str]],
    *,
    must_have: bool = False,
) -> tuple[str, int]:
    if not isinstance(argument, dict):
        raise BadRequest(f"{action}: expected an object")
    name = schema.text(argument, "name")
    with context.database() as connection:
        known = groupstore.read(connection, server["project_id"])
        now = portgroups.of_server(server, portgroups.own(connection, server["project_id"]))
    now = groupstore.real(known, now)
    group = groupstore.find(known, name)
    if group is None:
        raise NotFound(f"Security group {name} not found.")
    if must_have and group not in now:
        raise NotFound(f"Security group {group} is not associated with the instance {server['id']}")

    def changed(groups: Sequence[str]) -> Sequence[str]:
        return change(groupstore.real(known, groups), group)

    jobs = facts.change(server, lambda row: groupstore.facts(known, changed(netview.groups_of(row))))
    portgroups.each_own(server, known, changed)
    requests.note(context.services().engine, action, server["id"], jobs)
    return "", 202
