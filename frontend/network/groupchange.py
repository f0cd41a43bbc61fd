"""A change of a tenant's groups: rows and what Ganeti is owed of them in one transaction, then Ganeti is told.

Who reads the rows of a project's groups and writes to them does so in its turn (turns.py): no two changes cross. If
Ganeti takes nothing, the rows become what they were, under the new version, which then is owed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import delete, insert, update
from sqlalchemy.engine import Connection

from frontend.database import db, turns
from frontend.effect import groupjobs, owed
from frontend.effect.clusters import HOME
from frontend.network import grouptags, networkquota
from frontend.network.groupstore import Known
from frontend.web import context
from ganeti_ext.errors import ExtError, RapiLost

log = logging.getLogger(__name__)

Row = Mapping[str, Any]
group, rule = db.security_group, db.security_group_rule
_COUNTED = ("security_group", "security_group_rule")


class Done(NamedTuple):
    """A group as it was before a change; `row` None: it was not there. The change is its `version`."""

    ident: str
    project: str
    version: int
    row: Row | None
    rules: Sequence[Row]


def keep(connection: Connection, before: Known, ident: str, row: Row, rules: Sequence[Row]) -> Done:
    """Make the rows of a group these; the caller has the project's turn, and commits.

    Conflict when it is too large for Ganeti.
    """
    groupjobs.check(grouptags.group(row, rules))
    was, rules_before = before.own.get(ident), before.rules.get(ident, ())
    _write(connection, ident, row, rules, there=was is not None)
    return Done(ident, before.project, groupjobs.promise(connection, ident), was, rules_before)


def drop(connection: Connection, before: Known, ident: str) -> Done:
    """Remove the rows of a group; the caller has the project's turn, and commits."""
    row = before.own[ident]
    connection.execute(delete(rule).where(rule.c.group_id == ident))
    connection.execute(delete(group).where(group.c.id == ident))
    groupjobs.owe(connection, ident, row["version"] + 1)
    return Done(ident, before.project, row["version"] + 1, row, before.rules[ident])


def tell(changes: Iterable[Done]) -> None:
    """Submit what was committed. ExtError when no cluster took a change, which then is undone, and those behind it."""
    left = list(changes)
    for each in [*left]:
        with context.database() as connection:
            told = groupjobs.everywhere(connection)
        failed = [err for cluster in told if (err := _submitted(cluster, each.ident)) is not None]
        if len(failed) == len(told):
            _undo(left)
            raise failed[0]
        left.remove(each)


def _submitted(cluster: str, ident: str) -> ExtError | None:
    """Why a cluster took nothing."""
    services = context.services()
    try:
        groupjobs.submit(services.engine, services.clusters.rapi(cluster), ident)
    except RapiLost as err:
        log.warning("security group %s: whether Ganeti was told is found out later: %s", ident, err)
    except ExtError as err:
        log.warning("security group %s: cluster %r was not told: %s", ident, cluster, err)
        return err
    return None


def _undo(changes: Sequence[Done]) -> None:
    """All of one project's, or none: what was given up has no way back when others have taken its place meanwhile.

    Then it stays as the rows say, which is owed.
    """
    project = changes[0].project
    with context.database() as connection:
        turns.take(connection, project)
        there = networkquota.used(connection, project, _COUNTED)
        for done in changes:
            known = owed.of_group(connection, done.ident, HOME)
            if known is not None and known["body"].startswith(f"{done.version} "):
                _undo_one(connection, done)
            # else somebody changed it since, and has told of this, too
        if networkquota.is_over(connection, project, there):
            connection.rollback()
            log.warning("security group %s: is not as it was before, as there is no room for that", changes[0].ident)
            return
        connection.commit()


def _undo_one(connection: Connection, done: Done) -> None:
    if done.row is None:
        connection.execute(delete(rule).where(rule.c.group_id == done.ident))
        connection.execute(delete(group).where(group.c.id == done.ident))
        return
    row = {**done.row, "version": done.version}
    there = connection.execute(update(group).where(group.c.id == done.ident).values(row)).rowcount > 0
    _write(connection, done.ident, row, done.rules, there=there)


def _write(connection: Connection, ident: str, row: Row, rules: Sequence[Row], *, there: bool) -> None:
    if there:
        connection.execute(update(group).where(group.c.id == ident).values(dict(row)))
    else:
        connection.execute(insert(group).values(dict(row)))
    connection.execute(delete(rule).where(rule.c.group_id == ident))
    if rules:
        connection.execute(insert(rule), [dict(each) for each in rules])
