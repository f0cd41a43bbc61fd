"""Users, projects and who belongs where, as the database has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, select
from sqlalchemy.engine import Connection
from sqlalchemy.sql.expression import Select
from werkzeug.security import check_password_hash

from frontend.database import db
from frontend.identity.tokens import Token

DOMAIN = {"id": "default", "name": "Default"}
ROLES = ("member", "reader", "admin")
ADMIN = "admin"

NO_PASSWORD = "!"  # noqa: S105 (what stands in place of a hash, and is none)
"""password_hash of a user whom the web server alone logs in."""


def user(connection: Connection, *, ident: str | None = None, name: str | None = None) -> dict[str, Any] | None:
    """One user by id, else by name."""
    where = db.user.c.id == ident if ident is not None else db.user.c.name == name
    return db.row(connection, select(db.user).where(where))


def users(connection: Connection) -> list[dict[str, Any]]:
    """All of them, by name."""
    return db.rows(connection, select(db.user).order_by(db.user.c.name))


def password_fits(found: dict[str, Any] | None, password: str, dummy_hash: str) -> bool:
    """Compare, at the same cost whether there is such a user or not. A disabled user's password never fits."""
    known = found is not None and found["password_hash"] != NO_PASSWORD
    fits = check_password_hash(found["password_hash"] if found and known else dummy_hash, password)
    return fits and known and found is not None and bool(found["enabled"])


def let_in(row: Mapping[Any, Any], oldest: float) -> bool:
    """Whether a user may come in: see `standing`."""
    return bool(row["enabled"]) and (row["seen"] is None or row["seen"] >= oldest)


class Standing(NamedTuple):
    """What the database says of a token's user now."""

    name: str
    held: str
    """The hash of the password or secret that its mark must be of."""
    roles: frozenset[str]
    """In the token's project; of an application credential, no others than it was made with."""


def _standing() -> Select[Any]:
    """Made once: to put it together would be a third of what a short request costs."""
    user, member, gone, made = db.user, db.membership, db.revocation, db.application_credential
    its = and_(member.c.user_id == user.c.id, member.c.project_id == bindparam("project"))
    joined = (
        user.outerjoin(member, its)
        .outerjoin(gone, gone.c.audit_id == bindparam("audit"))
        .outerjoin(made, made.c.id == bindparam("made"))
    )
    columns = (user.c.name, user.c.enabled, user.c.password_hash, user.c.seen, member.c.role, gone.c.audit_id)
    asked = select(*columns, made.c.secret_hash, made.c.roles).select_from(joined)
    return asked.where(user.c.id == bindparam("user"))


_STANDING = _standing()


def standing(connection: Connection, token: Token, oldest: float) -> Standing | None:
    """In one question, as it is asked with every request. None when the token is good no more.

    `oldest` is when a federation must have vouched for its user at least, in UTC seconds.
    """
    asked = {"user": token.user_id, "project": token.project_id, "audit": token.audit_id, "made": token.credential}
    found = [dict(row) for row in connection.execute(_STANDING, asked).mappings()]
    if not found or found[0]["audit_id"] is not None or not let_in(found[0], oldest):
        return None
    first = found[0]
    roles = frozenset(row["role"] for row in found if row["role"] is not None)
    if token.credential is None:
        return Standing(first["name"], first["password_hash"], roles)
    if first["secret_hash"] is None:
        return None
    return Standing(first["name"], first["secret_hash"], roles & frozenset(first["roles"]))


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


def all_projects(connection: Connection) -> list[dict[str, Any]]:
    """All of them, by name."""
    return db.rows(connection, select(db.project).order_by(db.project.c.name))


def credential(connection: Connection, ident: str) -> dict[str, Any] | None:
    """One application credential."""
    return db.row(connection, select(db.application_credential).where(db.application_credential.c.id == ident))


def credentials(connection: Connection, user_id: str) -> list[dict[str, Any]]:
    """A user's application credentials, oldest first."""
    table = db.application_credential
    return db.rows(connection, select(table).where(table.c.user_id == user_id).order_by(table.c.created, table.c.id))
