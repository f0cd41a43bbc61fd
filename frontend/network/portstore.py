"""Rows of ports: those that tenants made, and what they said of NICs. Which servers have which ports, NICs tell.

Who gives a port to a server claims it first, so that no two servers get it. A claim holds until the NIC is there, or
the job that was to make it is over; so it is never in the way of anybody for longer, whatever fails.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.expression import ColumnElement

from frontend.database import db, turns
from frontend.effect import clusters
from frontend.network import nicrows, portname
from frontend.quota import addresses as public
from frontend.usage import meter
from frontend.web import context
from frontend.web.fault import Conflict

Row = Mapping[str, Any]

port = db.port

_SUBMITTED = 60.0  # seconds in which a claim has its job, or whoever made it is dead
_TOLD = 86_400.0  # seconds in which the end of any job is told; longer than a day nobody waits


def of_project(
    connection: Connection, project: str, only: Collection[str | None] | None = None
) -> dict[str, dict[str, Any]]:
    """By id, all or those of some ids; those of NICs that there are no more are among them."""
    mine = select(port).where(port.c.project_id == project)
    some = None if only is None else sorted(each for each in only if each is not None)
    rows = db.rows(connection, mine if some is None else mine.where(port.c.id.in_(some)))
    return {row["id"]: row for row in rows}


def is_floating() -> ColumnElement[bool]:
    """Of a row that was made beforehand: whether it is a floating address (portkept.py), and no port."""
    said: ColumnElement[bool] = port.c.facts["floating"].as_boolean()
    return said.is_(True)


def addresses(connection: Connection, network: str) -> set[str]:
    """Those of a network (its id) that ports keep reserved in Ganeti's pool."""
    query = select(port.c.address).where(port.c.network == network, port.c.address.is_not(None))
    return set(connection.execute(query).scalars())


def has_mac(connection: Connection, mac: str) -> bool:
    """Whether a port that was made beforehand has this MAC."""
    return connection.execute(select(port.c.id).where(port.c.mac == mac)).first() is not None


def is_used(connection: Connection, network: str) -> bool:
    """Whether there are ports in a network (its id) that were made beforehand."""
    return connection.execute(select(port.c.id).where(port.c.network == network).limit(1)).first() is not None


def holders(
    connection: Connection, project: str, only: Collection[str] | None = None
) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """The ports that a project's servers have, by id: server and NIC; all, or at least those of some ids."""
    column = db.server.c
    mine = column.project_id == project if only is None else nicrows.have(connection, project, only)
    query = select(db.server).where(mine, column.deleted.is_(None))
    return {
        str(portname.ident(nic)): (server, nic)
        for server in db.rows(connection, query)
        for nic in server["nics"]
        if portname.ident(nic)
    }


def add(connection: Connection, row: Row) -> bool:
    """Commits; False when another port has its address or MAC."""
    try:
        connection.execute(insert(port).values(row))
        if public.is_public(row["address"]) and public.of_ports([row], public.networks(connection)):
            meter.address(connection, row["id"], row["project_id"], time.time())
        connection.commit()
    except IntegrityError:
        connection.rollback()
        return False
    return True


def drop(ident: str) -> None:
    with context.database() as connection:
        connection.execute(delete(port).where(port.c.id == ident))
        meter.address(connection, ident, None, time.time())
        connection.commit()


def say(row: Row, facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Keep these facts of a port; the row that it has then. Those of NICs that are gone go with it.

    None: it was made beforehand, and has just been given back.
    """
    new = {**row, "facts": dict(facts), "updated": time.time()}
    with context.database() as connection:
        nic = nicrows.of(connection, db.server.c.project_id == row["project_id"]).c
        loose = (port.c.project_id == row["project_id"], port.c.network.is_(None))
        gone = select(port.c.id).where(*loose).except_(select(nic.port)).scalar_subquery()
        connection.execute(delete(port).where(*loose, or_(port.c.id.in_(gone), port.c.id == row["id"])))
        if row["network"] is None:
            connection.execute(insert(port).values(new))
        else:
            values = {"facts": new["facts"], "updated": new["updated"]}
            if not connection.execute(update(port).where(port.c.id == row["id"]).values(values)).rowcount:
                return None
        connection.commit()
    return new


def words_of(ident: str, project: str) -> dict[str, Any]:
    """A new row for a NIC of which nothing is said yet."""
    nothing = dict.fromkeys(("network", "address", "mac", "server_id", "job"))
    now = time.time()
    return {"id": ident, "project_id": project, **nothing, "facts": {}, "created": now, "updated": now}


def is_claimed(connection: Connection, row: Row) -> bool:
    """Whether a server is about to get it."""
    if row["server_id"] is None:
        return False
    server = db.server.c
    builds = select(server.id).where(server.id == row["server_id"], server.deleted.is_(None), server.status == "BUILD")
    if connection.execute(builds).first() is not None:
        return True
    age: float = time.time() - row["updated"]
    if row["job"] is None:
        return age < _SUBMITTED
    where = connection.execute(select(server.cluster).where(server.id == row["server_id"])).scalar() or clusters.HOME
    mine = (db.action.c.job == row["job"], clusters.actions(where))
    ended = connection.execute(select(db.action.c.ended).where(*mine)).scalars().first()
    return bool(ended is None and age < _TOLD)


@contextlib.contextmanager
def claim(ports: Sequence[Row], server_id: str) -> Iterator[None]:
    """For a server while its jobs are submitted; given back if the block fails. Conflict when it is another's."""
    if not ports:
        yield
        return
    with context.database() as connection:
        turns.take(connection, context.project_id())
        for row in ports:
            taken = is_claimed(connection, row) or row["id"] in holders(connection, row["project_id"], [row["id"]])
            mine = (port.c.id == row["id"], port.c.updated == row["updated"])
            values = {"server_id": server_id, "job": None, "updated": time.time()}
            if taken or not connection.execute(update(port).where(*mine).values(values)).rowcount:
                connection.rollback()
                raise Conflict(f"Port {row['id']} is still in use.")
        connection.commit()
    try:
        yield
    except BaseException:
        _mark(ports, server_id=None, job=None)
        raise


def given(ports: Sequence[Row], job: int | None) -> None:
    """This job gives them to the server that has claimed them; None: it is not known yet."""
    _mark(ports, job=job)


def _mark(ports: Sequence[Row], **values: Any) -> None:
    idents = [row["id"] for row in ports]
    if idents:
        with context.database() as connection:
            connection.execute(update(port).where(port.c.id.in_(idents)).values(updated=time.time(), **values))
            connection.commit()
