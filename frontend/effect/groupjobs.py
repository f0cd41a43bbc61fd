"""Tenants' security groups in Ganeti: what their rows say becomes tags of the clusters (ganeti_ext/groups.py).

Who changes the rows of a group promises the next version of it in the same transaction, and submits that behind it:
one job, by which it is in force, and one that takes the version before away. Until both are done it stays owed. So it
does not matter who dies when, nor in which order jobs run: a group's highest version holds, and the payer goes on
until Ganeti has that and no other.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select, update
from sqlalchemy.engine import Connection, Engine

from frontend.database import db
from frontend.effect import clusters, facts, owed, purpose
from frontend.effect.remote import RemoteApi, status_of
from frontend.network import grouptags
from frontend.web.fault import Conflict
from ganeti_ext import event, groups
from ganeti_ext.errors import ExtError

log = logging.getLogger(__name__)

_SUBMITTED = 30.0  # seconds until whoever promised has submitted it, or is dead
_TOLD = 10.0  # and until its jobs are over
_SURELY = 60.0  # and until those of a group that is gone surely are: a late one would bring it back


class Full(Conflict):
    """Ganeti's file of the cluster's tags has no room for it."""


class Wanted(NamedTuple):
    """What Ganeti is to have of a group: one tag that says so, if it is `gone`."""

    key: str
    version: int
    tags: list[str]
    gone: bool
    owed: owed.Row


def check(group: groups.Group) -> None:
    """Conflict when Ganeti could not be told of a group, as it is too large."""
    try:
        groups.encode(group, 999_999_999)
    except ValueError as err:
        raise Conflict(f"Security group {group.ident}: with all its rules and descriptions, {err}.") from err


def promise(connection: Connection, ident: str) -> int:
    """The next version of a group, owed to each cluster from now on; in the transaction that changes its rows."""
    column = db.security_group.c
    connection.execute(update(db.security_group).where(column.id == ident).values(version=column.version + 1))
    version: int = connection.execute(select(column.version).where(column.id == ident)).scalar_one()
    owe(connection, ident, version)
    return version


def owe(connection: Connection, ident: str, version: int, only: str | None = None) -> None:
    """Promise a version of a group, or that it is gone, if it has no row; to one cluster alone, if that is said."""
    for cluster in everywhere(connection) if only is None else [only]:
        owed.promise_group(connection, ident, version, time.time() + _SUBMITTED, cluster)


def everywhere(connection: Connection) -> list[str]:
    """The clusters."""
    column = db.cluster.c.id
    return [clusters.HOME, *connection.execute(select(column).where(column != clusters.HOME)).scalars()]


def submit(engine: Engine, rapi: RemoteApi, ident: str) -> None:
    """Have Ganeti do what is owed of a group.

    Raises Full, RapiError or RapiUnavailable when nothing was done, and RapiLost when nobody knows.
    """
    with engine.begin() as connection:
        wanted = _wanted(connection, ident, clusters.asked(rapi))
    if wanted is None:
        return
    there: list[str] = rapi.get("tags")
    new = sorted(set(wanted.tags) - set(there))
    size = groups.size([*there, *new])
    if size > groups.ROOM:
        raise Full(f"Ganeti has no room for that: tags of the cluster may take {groups.ROOM} octets, not {size}.")
    done = int(wanted.owed["body"].partition(" ")[2])
    versions = groups.versions(there, wanted.key)
    old = [number for number in versions if done < number < wanted.version]
    jobs = _jobs(rapi, "PUT", new, ident)
    try:
        less = itertools.chain.from_iterable(versions[number] for number in old)
        jobs += _jobs(rapi, "DELETE", sorted(less), ident, jobs[-1:])
    except ExtError as err:  # it holds without that; the payer tries again
        log.warning("security group %s: older versions stay for now: %s", ident, err)
        old = []
    log.info("security group %s: version %d is jobs %s", ident, wanted.version, jobs)
    if jobs:
        due = time.time() + (_SURELY if wanted.gone else _TOLD)
        with engine.begin() as connection:
            owed.told_group(connection, wanted.owed, max(old, default=done), jobs[-1], due)


def pay(engine: Engine, rapi: RemoteApi, found: owed.Row, now: float) -> None:
    """What is owed of a group is due: see how far it is, and go on. Raises ExtError: then it is tried again."""
    with engine.begin() as connection:
        wanted = _wanted(connection, found["server_id"], found["cluster"])
        if wanted is None:
            return
        job = wanted.owed["job"]
        status = status_of(rapi, job) if job is not None else None
        if status is not None and status not in event.FINAL:
            owed.put_off(connection, found["id"], now + _TOLD)
            return
    versions = groups.versions(rapi.get("tags"), wanted.key)
    said = groups.read(itertools.chain.from_iterable(versions.values())).get(wanted.key)
    if (said.version if said else 0) < wanted.version and not (wanted.gone and said is None):
        if status == "success" and not wanted.gone:  # it was there, and an administrator has taken it away since
            log.info("security group %s: version %d is gone from Ganeti", found["server_id"], wanted.version)
            with engine.begin() as connection:
                owed.settle_group(connection, wanted.owed)
            return
        submit(engine, rapi, found["server_id"])
        return
    old = [number for number in versions if number < wanted.version or wanted.gone]
    less = sorted(itertools.chain.from_iterable(versions[number] for number in old))
    jobs = _jobs(rapi, "DELETE", less, found["server_id"])
    with engine.begin() as connection:
        if jobs:
            log.info("security group %s: versions %s go by jobs %s", found["server_id"], old, jobs)
            owed.told_group(connection, wanted.owed, max(old), jobs[-1], now + _TOLD)
        else:
            owed.settle_group(connection, wanted.owed)


def _wanted(connection: Connection, ident: str, cluster: str) -> Wanted | None:
    """None when nothing is owed."""
    found = owed.of_group(connection, ident, cluster)
    if found is None:
        return None
    version = int(found["body"].partition(" ")[0])
    column, key = db.security_group_rule.c, groups.key(ident)
    row = db.row(connection, select(db.security_group).where(db.security_group.c.id == ident))
    if row is None:
        return Wanted(key, version, [groups.gone(key, version)], gone=True, owed=found)
    rules = db.rows(connection, select(db.security_group_rule).where(column.group_id == ident))
    tags = groups.encode(grouptags.group(row, rules), version)
    return Wanted(key, version, tags, gone=False, owed=found)


def _jobs(rapi: RemoteApi, method: str, some: Sequence[str], ident: str, behind: Sequence[int] = ()) -> list[int]:
    """As many jobs as these tags need: one, but for groups with much to escape."""
    body = {"depends": [[job, ["success"]] for job in behind]} if behind else None
    reason = f"{purpose.GROUP}{ident}"
    return [rapi.submit(method, "tags", body, {"tag": part, "reason": reason}) for part in facts.parts(some)]
