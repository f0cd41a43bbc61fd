"""Who gets in: users let in or not, their roles taken back, their application credentials, and locks."""

from __future__ import annotations

import argparse
import time

from sqlalchemy import delete, select, update

from frontend.database import db
from frontend.identity import attempts
from frontend.identity.accounts import ROLES
from frontend.manage.manage_base import Command, Context, label, named, no_arguments, table_of
from ganeti_ext.errors import ExtError


def _user_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", type=label, help="the user's name or id")


def user_disable(context: Context, options: argparse.Namespace) -> str:
    return _set_enabled(context, options.name, enabled=False)


def user_enable(context: Context, options: argparse.Namespace) -> str:
    return _set_enabled(context, options.name, enabled=True)


def _set_enabled(context: Context, name: str, *, enabled: bool) -> str:
    with context.engine.begin() as connection:
        user = named(connection, db.user, "user", name)
        connection.execute(update(db.user).where(db.user.c.id == user["id"]).values(enabled=enabled))
    return ""


def _revoke_arguments(parser: argparse.ArgumentParser) -> None:
    _user_arguments(parser)
    parser.add_argument("--project", required=True, help="its name or id")
    parser.add_argument("--role", required=True, choices=ROLES)


def user_revoke(context: Context, options: argparse.Namespace) -> str:
    member = db.membership.c
    with context.engine.begin() as connection:
        user = named(connection, db.user, "user", options.name)
        project = named(connection, db.project, "project", options.project)
        same = (member.user_id == user["id"], member.project_id == project["id"], member.role == options.role)
        if not connection.execute(delete(db.membership).where(*same)).rowcount:
            raise ExtError(f"user {options.name!r} is no {options.role} of project {options.project!r}")
    return ""


def _credential_list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user", type=label, help="of this one alone, by name or id")


def credential_list(context: Context, options: argparse.Namespace) -> str:
    made = db.application_credential
    columns = (made.c.id, made.c.name, db.user.c.name, db.project.c.name, made.c.roles, made.c.expires)
    query = select(*columns).select_from(made.join(db.user).join(db.project)).order_by(db.user.c.name, made.c.name)
    with context.engine.connect() as connection:
        if options.user is not None:
            query = query.where(made.c.user_id == named(connection, db.user, "user", options.user)["id"])
        found = connection.execute(query).all()
    rows = [(*row[:4], ",".join(row[4]), _moment(row[5])) for row in found]
    return table_of(("ID", "NAME", "USER", "PROJECT", "ROLES", "EXPIRES"), rows)


def _credential_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", help="as credential-list shows it")


def credential_delete(context: Context, options: argparse.Namespace) -> str:
    table = db.application_credential
    with context.engine.begin() as connection:
        if not connection.execute(delete(table).where(table.c.id == options.id)).rowcount:
            raise ExtError(f"application credential {options.id!r}: there is none of that id")
    return ""


def lock_list(context: Context, _: argparse.Namespace) -> str:
    now = time.time()
    with context.engine.connect() as connection:
        found = attempts.rows(connection)
        names = {row["id"]: row["name"] for row in db.rows(connection, select(db.user.c.id, db.user.c.name))}
    rows = [
        (row["key"], names.get(row["key"].partition(":")[2]), row["count"], _moment(attempts.locked_until(row, now)))
        for row in found
    ]
    return table_of(("KEY", "USER", "WRONG", "LOCKED UNTIL"), rows)


def _lock_arguments(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("key", nargs="?", help="as lock-list shows it, or a user, an address or a credential's id")
    which.add_argument("--all", action="store_true", help="forget all wrong passwords")


def lock_release(context: Context, options: argparse.Namespace) -> str:
    with context.engine.begin() as connection:
        if options.all:
            attempts.release(connection, None)
            return ""
        user = db.row(
            connection, select(db.user.c.id).where((db.user.c.name == options.key) | (db.user.c.id == options.key))
        )
        keys = [options.key, f"{attempts.ADDRESS}:{options.key}", f"{attempts.CREDENTIAL}:{options.key}"]
        if user is not None:
            keys.append(f"{attempts.USER}:{user['id']}")
        if not sum([attempts.release(connection, key) for key in keys]):
            raise ExtError(f"{options.key!r}: no wrong passwords are counted of it")
    return ""


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


COMMANDS = (
    Command("user-enable", "Let a user in again", _user_arguments, user_enable),
    Command("user-disable", "Let a user in no more, and end his tokens", _user_arguments, user_disable),
    Command("user-revoke", "Take a role in a project back from a user", _revoke_arguments, user_revoke),
    Command("credential-list", "List application credentials", _credential_list_arguments, credential_list),
    Command(
        "credential-delete",
        "Delete an application credential, and end its tokens",
        _credential_arguments,
        credential_delete,
    ),
    Command("lock-list", "List wrong passwords, and what is locked by them", no_arguments, lock_list),
    Command("lock-release", "Forget wrong passwords of a user or an address", _lock_arguments, lock_release),
)
