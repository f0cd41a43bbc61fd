"""Users whom the federation vouches for, in the database: made and kept as it says at each login."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError

from frontend.database import db
from frontend.identity import accounts
from frontend.identity.settings_identity import Federation
from frontend.quota import limits
from frontend.web.fault import Unauthorized

log = logging.getLogger(__name__)

Memberships = frozenset[tuple[str, str]]


def welcome(engine: Engine, settings: Federation, name: str, wanted: Memberships, now: float) -> dict[str, Any]:
    """The user's row, after his memberships are what the federation says; Unauthorized when he is not to come in.

    `wanted` are (project's name, role). What an administrator has granted stays.
    """
    try:
        return _welcome(engine, settings, name, wanted, now)
    except IntegrityError:  # his first login, twice at once
        return _welcome(engine, settings, name, wanted, now)


def _welcome(engine: Engine, settings: Federation, name: str, wanted: Memberships, now: float) -> dict[str, Any]:
    table = db.user
    mine = table.c.seen.is_not(None) & table.c.enabled
    with engine.begin() as connection:
        # To write first is to have the lock of the file, on SQLite.
        known = connection.execute(update(table).where(table.c.name == name, mine).values(seen=now)).rowcount
        if not known:
            _make(connection, settings, name, now)
        user = accounts.user(connection, name=name)
        if user is None:
            raise Unauthorized
        _keep(connection, user["id"], _projects(connection, settings, wanted))
    return user


def _make(connection: Connection, settings: Federation, name: str, now: float) -> None:
    """A new user; Unauthorized when he is not to come in."""
    there = accounts.user(connection, name=name)
    if there is not None and there["enabled"] and there["seen"] is not None:
        return  # made by another login of his just now
    if there is not None:
        what = "is disabled" if not there["enabled"] else "is a user of our own, not the federation's"
        log.warning("federation: no token for %r: %s", name, what)
        raise Unauthorized
    if not settings.make_users:
        log.warning("federation: no token for %r: there is no such user, and [federation] make_users is no", name)
        raise Unauthorized
    ident = uuid.uuid4().hex
    values = {"name": name, "password_hash": accounts.NO_PASSWORD, "enabled": True, "seen": now}
    connection.execute(insert(db.user).values(id=ident, **values))
    log.info("federation: %r is a new user, %s", name, ident)


def _projects(connection: Connection, settings: Federation, wanted: Memberships) -> frozenset[tuple[str, str]]:
    """The same with the projects' ids; those that there are not are made, or left out."""
    names = {project for project, _ in wanted}
    query = select(db.project.c.name, db.project.c.id).where(db.project.c.name.in_(sorted(names)))
    ids = {row.name: str(row.id) for row in connection.execute(query)}
    for name in sorted(names - ids.keys()):
        if not settings.make_projects:
            log.warning("federation: there is no project %r", name)
            continue
        ids[name] = uuid.uuid4().hex
        connection.execute(insert(db.project).values(id=ids[name], name=name, **limits.FRESH))
        log.info("federation: %r is a new project, %s", name, ids[name])
    return frozenset((ids[project], role) for project, role in wanted if project in ids)


def _keep(connection: Connection, user_id: str, wanted: frozenset[tuple[str, str]]) -> None:
    table = db.membership
    held = db.rows(connection, select(table).where(table.c.user_id == user_id))
    for row in held:
        if row["federated"] and (row["project_id"], row["role"]) not in wanted:
            same = [table.c[key] == row[key] for key in ("user_id", "project_id", "role")]
            connection.execute(delete(table).where(*same))
    there = {(row["project_id"], row["role"]) for row in held}
    for project_id, role in sorted(wanted - there):
        connection.execute(insert(table).values(user_id=user_id, project_id=project_id, role=role, federated=True))
