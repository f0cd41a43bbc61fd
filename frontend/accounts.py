"""Users, projects and who belongs where, as the database has them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select
from werkzeug.security import check_password_hash

from frontend import db

DOMAIN = {"id": "default", "name": "Default"}


def user(connection: Connection, *, ident: str | None = None, name: str | None = None) -> dict[str, Any] | None:
    """One user by id, else by name."""
    where = db.user.c.id == ident if ident is not None else db.user.c.name == name
    return db.row(connection, select(db.user).where(where))


def password_fits(found: dict[str, Any] | None, password: str, dummy_hash: str) -> bool:
    """Compare, at the same cost whether there is such a user or not. A disabled user's password never fits."""
    fits = check_password_hash(found["password_hash"] if found else dummy_hash, password)
    return fits and found is not None and bool(found["enabled"])


def roles(connection: Connection, user_id: str, project_id: str) -> frozenset[str]:
    """The user's roles in a project; none means that it is not his."""
    query = select(db.membership.c.role).where(
        db.membership.c.user_id == user_id, db.membership.c.project_id == project_id
    )
    return frozenset(connection.execute(query).scalars())


def projects(connection: Connection, user_id: str) -> list[dict[str, Any]]:
    """The projects that a user has a role in, by name."""
    mine = select(db.membership.c.project_id).where(db.membership.c.user_id == user_id)
    return db.rows(connection, select(db.project).where(db.project.c.id.in_(mine)).order_by(db.project.c.name))
