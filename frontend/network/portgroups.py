"""Security groups of single ports. A port for which none were named has those of its server.

Facts of a port (portstore.py) that has its own: `groups`, their ids, and `profile`, what its NIC's tag says of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from frontend.database import db
from frontend.effect import chain
from frontend.effect.purpose import Purpose
from frontend.effect.translate import Step
from frontend.network import groupstore, netview, portname, portpool, porttag
from frontend.network.groupstore import Known
from frontend.network.netview import DEFAULT_GROUP
from frontend.web import context
from frontend.web.fault import NotFound
from ganeti_ext.errors import ExtError

log = logging.getLogger(__name__)

Row = Mapping[str, Any]
Own = Mapping[str, Sequence[str]]
"""By the ids of ports that have their own: groups as servers have them, names of profiles and ids of the project's."""


def facts(known: Known, wanted: Sequence[str]) -> dict[str, Any]:
    """Of a port that is to have these groups (names or ids); NotFound names one that there is not.

    Conflict when no node could keep to what they say.
    """
    found: list[str] = []
    for each in wanted:
        group = groupstore.find(known, each)
        if group is None:
            raise NotFound(f"Security group {each:.80} does not exist")
        found.append(group)
    idents = [group if group in known.own else netview.group_id(known.project, group) for group in found]
    return {"groups": idents, "profile": groupstore.profile(known, found, groupstore.NIC_ROOM)}


def without(facts: Row) -> dict[str, Any]:
    """The facts of a port that has the groups of its server again."""
    return {key: value for key, value in facts.items() if key not in ("groups", "profile")}


def own(connection: Connection, project: str | None) -> dict[str, list[str]]:
    """Of a project's ports, or of all."""
    query = select(db.port.c.id, db.port.c.project_id, db.port.c.facts)
    if project is not None:
        query = query.where(db.port.c.project_id == project)
    return {
        row.id: _names(row.project_id, row.facts["groups"])
        for row in connection.execute(query)
        if row.facts.get("profile") and not row.facts.get("open")
    }


def of_server(server: Row, ports: Own) -> list[str]:
    """The groups of all its NICs, as servers have them."""
    shared = netview.groups_of(server)
    found = [ports.get(str(portname.ident(nic)), shared) for nic in server["nics"]] or [shared]
    return list(dict.fromkeys(group for groups in found for group in groups))


def each_own(server: Row, known: Known, change: Callable[[Sequence[str]], Sequence[str]]) -> None:
    """Change the groups of those of a server's ports that have their own."""
    with context.database() as connection:
        ports = own(connection, known.project)
        rows = {row["id"]: row for row in db.rows(connection, select(db.port).where(db.port.c.id.in_(list(ports))))}
    for nic in server["nics"]:
        row = rows.get(str(portname.ident(nic)))
        if row is not None:
            new = {**row["facts"], **facts(known, change(ports[row["id"]]))}
            tell(server, nic, row["facts"], new)
            portpool.say(row, new)


def renew(known: Known) -> None:
    """Ports in `default` have it as the project's own from now on, those of servers and those of none."""
    with context.database() as connection:
        ports = {ident: groups for ident, groups in own(connection, known.project).items() if DEFAULT_GROUP in groups}
        rows = {row["id"]: row for row in db.rows(connection, select(db.port).where(db.port.c.id.in_(list(ports))))}
        mine = select(db.server).where(db.server.c.project_id == known.project, db.server.c.deleted.is_(None))
        servers = db.rows(connection, mine) if rows else []
    nics = {str(portname.ident(nic)): (server, nic) for server in servers for nic in server["nics"]}
    for ident, row in rows.items():
        new = {**row["facts"], **facts(known, ports[ident])}
        if new == row["facts"]:
            continue
        try:
            if ident in nics:
                tell(*nics[ident], row["facts"], new)
            portpool.say(row, new)
        except ExtError as err:
            log.error("port %s does not have the rules of its project's default: %s", ident, err)


def tell(server: Row, nic: Row, was: Row, new: Row) -> None:
    """The tags of its instance that say what a NIC may do, and which groups it has, for other facts of its port."""
    handle, instance = portname.handle(nic), server["instance"]
    before, after = set(porttag.wanted(handle, was)), set(porttag.wanted(handle, new))
    calls = [porttag.add(instance, [*(after - before)])] if after - before else []
    calls += [porttag.remove(instance, [*(before - after)])] if before - after else []
    if calls:
        jobs = chain.submit(context.rapi(server), [Step(call) for call in calls], Purpose("port", ""))
        log.info("server %s: what port %s may do is jobs %s", server["id"], portname.ident(nic), jobs)


def _names(project: str, idents: Sequence[str]) -> list[str]:
    profiles = {netview.group_id(project, name): name for name in groupstore.profiles()}
    return [profiles.get(ident, ident) for ident in idents]
