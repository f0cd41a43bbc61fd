"""Tenants' security groups: rows against the tags of the cluster, which are the truth (ganeti_ext/groups.py).

The home cluster tells what groups there are. Another one is told of what it lacks, or has of groups that are gone.
What is owed to a cluster is left alone: it is about to change there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection, Engine

from frontend.database import db, turns
from frontend.effect import clusters, groupjobs, owed
from frontend.network import grouptags, netview
from frontend.reconcile.difference import Difference
from frontend.reconcile.snapshot import RemoteApi
from ganeti_ext import groups
from ganeti_ext.groups import Said

Row = dict[str, Any]

MISSING, STALE, DIFFERS, UNREAD, UNTOLD = "group-missing", "group-stale", "group", "group-unread", "group-untold"
OUTSIDE = "group-outside"
KINDS = (MISSING, STALE, DIFFERS, UNTOLD)


class Known(NamedTuple):
    rows: Mapping[str, Row]
    """By their keys, and so the others."""
    rules: Mapping[str, Sequence[Row]]
    owed: Mapping[str, str]
    """The ids of those that are left alone, as the front itself has something to tell of them."""


def read(engine: Engine, cluster: str) -> Known:
    with engine.begin() as connection:
        return _known(connection, cluster)


def differences(known: Known, rapi: RemoteApi, tags: Sequence[str]) -> Iterator[Difference]:
    """`tags` are those of the cluster, read before: where neither they nor the rows have groups, nothing is asked.

    Raises RapiUnavailable or RapiError.
    """
    cluster = clusters.asked(rapi)
    if not known.rows and not any(tag.startswith(groups.HEAD) for tag in tags):
        return
    now: list[str] = rapi.get("tags")  # behind the rows: so it is newer than all that was written into them
    said = groups.read(now)
    for key in sorted((said.keys() | known.rows.keys()) - known.owed.keys()):
        found = said.get(key)
        if found is not None and found.wrong is not None:
            advice = f"gnt-cluster remove-tags {' '.join(tag for tag in now if tag.startswith(f'{groups.HEAD}{key}.'))}"
            yield Difference(UNREAD, "security group", key, None, None, f"its tags say nothing: {found.wrong}", advice)
        elif cluster == clusters.HOME:
            yield from _home(key, found, known)
        else:
            yield from _elsewhere(key, found, known)


def outside(engine: Engine, servers: Iterable[Row]) -> Iterator[Difference]:
    """Servers that have no tag for their groups, in projects whose `default` is a group of their own."""
    column = db.security_group.c
    with engine.begin() as connection:
        query = select(column.id, column.project_id).where(column.name == netview.DEFAULT_GROUP)
        own = {row.project_id: row.id for row in connection.execute(query)}
    for server in servers:
        ident = own.get(server["project_id"])
        if (
            ident is None
            or server["deleted"] is not None
            or server["status"] == "BUILD"
            or server["facts"].get("firewall")
        ):
            continue
        tags = f"ganeti-ext:firewall:{grouptags.name(ident)} ganeti-ext:groups:{ident}"
        words = "it does not have the rules of its project's group default, as it has no tag for it"
        advice = f"gnt-instance add-tags {server['instance']} {tags}"
        yield Difference(OUTSIDE, "server", server["instance"], None, None, words, advice)


def write(engine: Engine, found: Difference, cluster: str) -> bool:
    """Mend one; whether it was to be mended still."""
    before, after = found.before or {}, found.after or {}
    ident = str((after or before)["id"])
    with engine.begin() as connection:
        turns.take(connection, str((after or before)["project_id"]))
        known = _known(connection, cluster)
        row = known.rows.get(groups.key(ident))
        if groups.key(ident) in known.owed or (row["version"] if row else None) != before.get("version"):
            return False
        if found.kind == UNTOLD:
            groupjobs.owe(connection, ident, int(after["version"]), cluster)
            return True
        connection.execute(delete(db.security_group_rule).where(db.security_group_rule.c.group_id == ident))
        mine = db.security_group.c.id == ident
        if found.kind == STALE:
            connection.execute(delete(db.security_group).where(mine))
            return True
        values = {name: value for name, value in after.items() if name != "rules"}
        change = insert(db.security_group) if row is None else update(db.security_group).where(mine)
        connection.execute(change.values(values))
        if after["rules"]:
            connection.execute(insert(db.security_group_rule), after["rules"])
    return True


def _known(connection: Connection, cluster: str) -> Known:
    rows = {groups.key(row["id"]): row for row in db.rows(connection, select(db.security_group))}
    rules: dict[str, list[Row]] = {key: [] for key in rows}
    for rule in db.rows(connection, select(db.security_group_rule)):
        rules[groups.key(rule["group_id"])].append(rule)
    return Known(rows, rules, {groups.key(ident): ident for ident in owed.groups(connection, cluster)})


def _home(key: str, found: Said | None, known: Known) -> Iterator[Difference]:
    row = known.rows.get(key)
    if found is None or found.group is None:
        if row is not None:
            yield Difference(STALE, "security group", row["name"], row, None, "Ganeti has no such group")
        return
    if row is not None and _same(found, row, known.rules[key]):
        return
    try:
        new, rules = grouptags.rows(found.group)
    except ValueError as err:
        yield Difference(UNREAD, "security group", key, None, None, f"what its tags say has no room here: {err}")
        return
    after = {**new, "version": found.version, "rules": rules}
    if row is None:
        yield Difference(MISSING, "security group", new["name"], None, after, "the database has no such group")
    elif row["id"] == new["id"]:
        words = f"version {row['version']}, in Ganeti {found.version}, which says something else"
        yield Difference(DIFFERS, "security group", row["name"], row, after, words)


def _elsewhere(key: str, found: Said | None, known: Known) -> Iterator[Difference]:
    row = known.rows.get(key)
    if row is not None and (found is None or not _same(found, row, known.rules[key])):
        version = max(row["version"], found.version + 1 if found else 1)
        after = {"id": row["id"], "project_id": row["project_id"], "version": version}
        yield Difference(UNTOLD, "security group", row["name"], row, after, "the cluster was not told of it")
    elif row is None and found is not None and found.group is not None:
        after = {"id": found.group.ident, "project_id": found.group.project, "version": found.version + 1}
        words = "the cluster was not told that it is gone"
        yield Difference(UNTOLD, "security group", found.group.name, None, after, words)


def _same(found: Said, row: Row, rules: Sequence[Row]) -> bool:
    """Rules are told in another order where two are of one second."""
    if found.group is None:
        return False
    wanted = grouptags.group(row, rules)
    return found.group._replace(rules=()) == wanted._replace(rules=()) and set(found.group.rules) == set(wanted.rules)
