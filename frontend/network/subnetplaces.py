"""Places in a project's quota of subnets that were asked for, and that Ganeti does not have yet.

They stand in the facts of their network (netkept.py): `asked4` is "SECONDS", when it was asked for, or "SECONDS JOB",
once it is known with whose end it is over, whatever becomes of that. Who asks takes the place back, unless he dies, or
does not wait that long. So it counts for a while in any case; then, for a day at most, as long as that job goes on,
or another one on the network, or a chain of them is owed (begun.py): he may not have lived to tell its number.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Text, cast, select
from sqlalchemy.engine import Connection, Engine

from frontend.database import db, turns
from frontend.effect import clusters, owed
from frontend.network import netkept
from frontend.quota import reserved
from frontend.web.fault import Conflict, NotFound

ASKED = 120.0
"""Seconds for which a subnet that was asked for counts, though Ganeti has told of neither it nor a job."""

_CIDR = {4: "subnet", 6: "subnet6"}  # of a network's row, by the version


def ask(connection: Connection, subnets: Iterable[tuple[Mapping[str, Any], int]]) -> None:
    """Keep that subnets were asked for: the network's row, and the version; in the turn of its project.

    Also of one that the network has, and that Ganeti is to make anew. Conflict when somebody else just asked for it,
    NotFound when somebody has deleted the network.
    """
    for row, version in subnets:
        ident = row["id"]
        facts, is_there = netkept.read(connection, ident), row[_CIDR[version]]
        if not is_there and _counts(connection, ident, clusters.of(row), facts, version):
            raise Conflict(f"Network {ident} is just getting a subnet of IPv{version}.")
        if not netkept.write(connection, ident, {f"asked{version}": str(time.time())}) and not row["uuid"]:
            raise NotFound(f"Network {ident} could not be found.")


def submitted(engine: Engine, ident: str, job: int) -> None:
    """Ganeti has the jobs of what was asked for of a network, if anything was; this is the last one."""
    own = db.tenant_network.c
    with engine.connect() as connection:
        project = connection.execute(select(own.project_id).where(own.id == ident)).scalar()
    if project is None:
        return
    with engine.begin() as connection:
        turns.take(connection, project)
        facts = netkept.read(connection, ident)
        known = {key: facts[key].partition(" ")[0] for key in map("asked{}".format, _CIDR) if key in facts}
        netkept.write(connection, ident, {key: f"{seconds} {job}" for key, seconds in known.items()})


def settle(connection: Connection, subnets: Iterable[tuple[str, int]]) -> None:
    """They are there, or will not be."""
    for ident, version in subnets:
        netkept.write(connection, ident, {f"asked{version}": ""})


def is_over(connection: Connection, row: Mapping[str, Any], version: int) -> bool:
    """Whether what was submitted for it has ended."""
    _, _, job = netkept.read(connection, row["id"]).get(f"asked{version}", "").partition(" ")
    return job != "" and reserved.has_ended(connection, int(job), clusters.of(row))


def is_asked(connection: Connection, row: Mapping[str, Any]) -> bool:
    """Whether a network, as `row` has it, is just getting a subnet."""
    facts, cluster = netkept.read(connection, row["id"]), clusters.of(row)
    lacking = [version for version, key in _CIDR.items() if not row[key]]
    return any(_counts(connection, row["id"], cluster, facts, version) for version in lacking)


def of(connection: Connection, project: str) -> tuple[set[str], set[tuple[str, int]]]:
    """The networks of a project of which any were asked for, and those that count: with the version."""
    own = db.tenant_network.c
    mine = select(own.id, own.facts, own.cluster).where(
        own.project_id == project, cast(own.facts, Text).contains('"asked')
    )
    found = db.rows(connection, mine)
    counting = {
        (row["id"], version)
        for row in found
        for version in _CIDR
        if _counts(connection, row["id"], clusters.of(row), row["facts"], version)
    }
    return {row["id"] for row in found}, counting


def _counts(connection: Connection, ident: str, cluster: str, facts: Mapping[str, str], version: int) -> bool:
    seconds, _, job = facts.get(f"asked{version}", "").partition(" ")
    age = time.time() - float(seconds or 0)
    if age < ASKED:
        return True
    if age > reserved.A_DAY:
        return False
    return (job != "" and not reserved.has_ended(connection, int(job), cluster)) or _goes_on(connection, ident, cluster)


def _goes_on(connection: Connection, ident: str, cluster: str) -> bool:
    """Whether jobs on a network are under way, or somebody submits some."""
    column = db.action.c
    mine = (column.ended.is_(None), column.kind == "network", column.name.endswith(f".{ident}"))
    query = select(column.job).where(*mine, clusters.actions(cluster)).limit(1)
    return connection.execute(query).first() is not None or ident in owed.begun(connection)
