"""Projects: who may have how much, and use up how many credits."""

from __future__ import annotations

import argparse
import math
import time
import uuid

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from frontend.database import db
from frontend.manage.manage_base import Command, Context, create, if_missing, label, named, no_arguments, table_of
from frontend.quota import limits
from frontend.usage import budget
from ganeti_ext.errors import ExtError

_NONE, _DEFAULT = "none", "default"


def _limit(text: str) -> int | None:
    """A number from -1 on, or `default`, for argparse."""
    if text == _DEFAULT:
        return None
    number = int(text)
    if not limits.UNLIMITED <= number <= limits.LARGEST:
        raise argparse.ArgumentTypeError(f"{text} is below 0, and not -1 for any number; or above {limits.LARGEST}")
    return number


def _credits(text: str) -> str:
    """N, +N or `none`, for argparse."""
    if text != _NONE and not (math.isfinite(float(text)) and float(text) >= 0):
        raise argparse.ArgumentTypeError(f"{text}: expected credits from 0 on, +CREDITS or {_NONE}")
    return text


_limit.__name__, _credits.__name__ = "limit", "credits"  # argparse shows them for what is neither


def _limit_arguments(parser: argparse.ArgumentParser) -> None:
    given = parser.add_argument_group("limits", f"-1: any number; {_DEFAULT}: as projects that were given none")
    for name in limits.COLUMNS:
        option = "--" + name.replace("_", "-")
        given.add_argument(option, dest=name, type=_limit, default=argparse.SUPPRESS, metavar="N")
    parser.add_argument(
        "--credits",
        type=_credits,
        metavar="N",
        help=f"that it may use up from now on; +N: more than it may now; {_NONE}: any number",
    )


def _create_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", type=label)
    _limit_arguments(parser)
    if_missing(parser)


def _modify_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="its name or id")
    _limit_arguments(parser)


def _said(options: argparse.Namespace) -> dict[str, int | None]:
    return {name: getattr(options, name) for name in limits.COLUMNS if hasattr(options, name)}


def project_create(context: Context, options: argparse.Namespace) -> str:
    ident = uuid.uuid4().hex
    own = {limits.COLUMNS[name]: value for name, value in _said(options).items() if value is not None}
    values = {"id": ident, "name": options.name, **limits.FRESH, **own}
    made = create(context, db.project, "project", values, if_missing=options.if_missing)
    if made == ident and options.credits is not None:
        with context.engine.begin() as connection:
            _give_credits(connection, ident, options.credits)
    return made + "\n"


def project_modify(context: Context, options: argparse.Namespace) -> str:
    said = _said(options)
    if not said and options.credits is None:
        raise ExtError("nothing is to be changed: name a limit, or --credits")
    with context.engine.begin() as connection:
        project = named(connection, db.project, "project", options.name)
        if options.credits is not None:
            _give_credits(connection, project["id"], options.credits)
        if said:
            limits.write(connection, project["id"], said)
    return ""


def _give_credits(connection: Connection, project: str, text: str) -> None:
    if text == _NONE:
        budget.end(connection, project)
    elif text.startswith("+"):
        if not budget.add(connection, project, float(text)):
            raise ExtError("the project has no budget that more could be added to: say --credits N")
    else:
        budget.begin(connection, project, float(text), time.time())


def project_list(context: Context, _: argparse.Namespace) -> str:
    server, columns = db.server.c, db.project.c
    count = select(func.count()).where(server.project_id == columns.id, server.deleted.is_(None)).scalar_subquery()
    with context.engine.connect() as connection:
        found = connection.execute(select(columns.id, columns.name, count).order_by(columns.name)).all()
        standing = limits.standing(connection, context.settings.quota)
        rows = []
        for ident, name, servers in found:
            has = {**standing, **limits.given(connection, ident)}
            rows.append((ident, name, servers, *(has[limit] for limit in ("servers", "cores", "ram"))))
    return table_of(("ID", "NAME", "SERVERS", "MAX SERVERS", "MAX CORES", "MAX RAM"), rows)


def _show_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="its name or id")


def project_show(context: Context, options: argparse.Namespace) -> str:
    """Each limit, and what it is by; the credits."""
    with context.engine.connect() as connection:
        project = named(connection, db.project, "project", options.name)
        own, standing = limits.given(connection, project["id"]), limits.standing(connection, context.settings.quota)
        has = budget.of(connection, project["id"], context.settings.credits, time.time())
    rows = [
        (name, "any" if (most := own.get(name, standing[name])) < 0 else most, "own" if name in own else _DEFAULT)
        for name in limits.COLUMNS
    ]
    if has is not None:
        rows += [("credits", f"{has.credits:.2f}", "own"), ("credits used", f"{has.used:.2f}", "")]
    return table_of(("LIMIT", "MOST", "BY"), rows)


COMMANDS = (
    Command("project-create", "Make a project and print its id", _create_arguments, project_create),
    Command("project-modify", "Give a project other limits, or credits", _modify_arguments, project_modify),
    Command("project-list", "List projects and their limits", no_arguments, project_list),
    Command("project-show", "Show all limits of a project, and its credits", _show_arguments, project_show),
)
