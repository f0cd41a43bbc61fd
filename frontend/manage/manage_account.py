"""Users, and the projects that they are in."""

from __future__ import annotations

import argparse
import getpass
import sys
import time
import uuid

from sqlalchemy import insert, select, update
from werkzeug.security import generate_password_hash

from frontend.database import db
from frontend.identity.accounts import NO_PASSWORD, ROLES
from frontend.manage.manage_base import (
    Command,
    Context,
    if_missing,
    label,
    named,
    no_arguments,
    table_of,
)
from ganeti_ext.errors import ExtError


def _password_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--password-file", metavar="FILE", help="its first line; default: ask, or one line of stdin")


def _membership_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", type=label)
    parser.add_argument("--project", required=True, help="its name or id")
    parser.add_argument("--role", required=True, choices=ROLES)


def _user_arguments(parser: argparse.ArgumentParser) -> None:
    _membership_arguments(parser)
    _password_argument(parser)
    parser.add_argument(
        "--federated", action="store_true", help="no password: the web server logs him in, by this very name"
    )
    if_missing(parser)


def user_create(context: Context, options: argparse.Namespace) -> str:
    ident = uuid.uuid4().hex
    with context.engine.begin() as connection:
        project = named(connection, db.project, "project", options.project)
        known = connection.execute(select(db.user.c.id).where(db.user.c.name == options.name)).scalar()
    if known is not None:
        if not options.if_missing:
            raise ExtError(f"user {options.name!r} exists already")
        return f"{known}\n"
    values = {"id": ident, "name": options.name, "enabled": True}
    if options.federated:
        values |= {"password_hash": NO_PASSWORD, "seen": time.time()}
    else:
        values["password_hash"] = _hash(context, options)
    with context.engine.begin() as connection:
        connection.execute(insert(db.user).values(values))
        connection.execute(insert(db.membership).values(user_id=ident, project_id=project["id"], role=options.role))
    return f"{ident}\n"


def _grant_arguments(parser: argparse.ArgumentParser) -> None:
    _membership_arguments(parser)
    if_missing(parser)


def user_grant(context: Context, options: argparse.Namespace) -> str:
    with context.engine.begin() as connection:
        user = named(connection, db.user, "user", options.name)
        project = named(connection, db.project, "project", options.project)
        values = {"user_id": user["id"], "project_id": project["id"], "role": options.role}
        same = [db.membership.c[name] == value for name, value in values.items()]
        if connection.execute(select(db.membership.c.role).where(*same)).first() is None:
            connection.execute(insert(db.membership).values(values))
        elif not options.if_missing:
            raise ExtError(f"user {options.name!r} is {options.role} of project {options.project!r} already")
    return ""


def user_list(context: Context, _: argparse.Namespace) -> str:
    joined = db.user.outerjoin(db.membership).outerjoin(db.project)
    columns = (db.user.c.id, db.user.c.name, db.project.c.name, db.membership.c.role, db.user.c.enabled)
    with context.engine.connect() as connection:
        found = connection.execute(select(*columns).select_from(joined).order_by(*columns[1:4])).all()
    rows = [(*row[:4], "yes" if row[4] else "no") for row in found]
    return table_of(("ID", "NAME", "PROJECT", "ROLE", "ENABLED"), rows)


def _user_password_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", type=label)
    _password_argument(parser)


def user_password(context: Context, options: argparse.Namespace) -> str:
    with context.engine.begin() as connection:
        user = named(connection, db.user, "user", options.name)
    if user["seen"] is not None:
        raise ExtError(f"user {options.name!r} is the federation's, and has no password here")
    hashed = _hash(context, options)
    with context.engine.begin() as connection:
        connection.execute(update(db.user).where(db.user.c.id == user["id"]).values(password_hash=hashed))
    return ""


def _hash(context: Context, options: argparse.Namespace) -> str:
    password = _password(context, options.password_file)
    if not password:
        raise ExtError("the password is empty")
    return generate_password_hash(password)


def _password(context: Context, path: str | None) -> str:
    """Never from the arguments: every user of the machine sees those."""
    if path is not None:
        try:
            with context.owner.raised(), open(path, encoding="utf-8") as file:
                return file.readline().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as err:
            raise ExtError(f"password file {path}: {err}") from err
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise ExtError("the two passwords differ")
    return password


COMMANDS = (
    Command("user-create", "Make a user with a role in a project and print its id", _user_arguments, user_create),
    Command("user-grant", "Give a user a role in one more project", _grant_arguments, user_grant),
    Command("user-list", "List users and their roles", no_arguments, user_list),
    Command("user-password", "Set a user's password", _user_password_arguments, user_password),
)
