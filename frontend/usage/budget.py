"""The credits that a project may use up. When they are, it is given nothing new; nothing that it has is stopped."""

from __future__ import annotations

import time
from typing import NamedTuple

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.engine import Connection

from frontend.database import db
from frontend.settings import Credits
from frontend.usage import sums
from frontend.web import context
from frontend.web.fault import Forbidden

_SINCE = select(db.budget.c.since).where(db.budget.c.project_id == bindparam("whose"))


class Budget(NamedTuple):
    credits: float
    """That may be used up."""
    used: float
    """Of these, until now."""
    since: float


def begin(connection: Connection, project: str, amount: float, now: float) -> None:
    """From now on, so many; what was used before does not count."""
    end(connection, project)
    connection.execute(insert(db.budget).values(project_id=project, credits=amount, since=now))


def add(connection: Connection, project: str, amount: float) -> bool:
    """So many more; False when there is no budget."""
    column = db.budget.c
    write = update(db.budget).where(column.project_id == project).values(credits=column.credits + amount)
    return bool(connection.execute(write).rowcount)


def end(connection: Connection, project: str) -> None:
    """Any number."""
    connection.execute(delete(db.budget).where(db.budget.c.project_id == project))


def of(connection: Connection, project: str, prices: Credits, now: float) -> Budget | None:
    """None: any number."""
    row = db.row(connection, select(db.budget).where(db.budget.c.project_id == project))
    if row is None:
        return None
    found = sums.of(connection, row["since"], now, project)
    used = sums.by(found, ("project_id",), row["since"], now, prices, sums.flavor_prices(connection))
    return Budget(row["credits"], sum(each.credits for each in used.values()), row["since"])


def check(connection: Connection, project: str) -> None:
    """Forbidden when a project has used up its credits."""
    if connection.execute(_SINCE, {"whose": project}).first() is None:
        return
    has = of(connection, project, context.services().settings.credits, time.time())
    if has is not None and has.used >= has.credits:
        raise Forbidden(
            f"The project's credits are used up: {has.used:.2f} of {has.credits:.2f}. What it has goes on; nothing "
            "new is made, and nothing grows, before an administrator gives it more."
        )
