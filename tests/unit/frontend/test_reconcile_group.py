"""Tenants' security groups: the database against the tags of the cluster, which are the truth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from frontend.database import db
from frontend.effect import groupjobs
from frontend.network import grouptags, netview
from frontend.reconcile.difference import Difference
from ganeti_ext import groups
from ganeti_ext.groups import Group, Rule
from tests.unit.frontend.cluster import Both, running
from tests.unit.frontend.updates import PROJECT

IDENT = "4f1a2b3c-1111-4222-8333-444455556666"
SSH = Rule("ingress", 4, "tcp", 22, 22, "192.0.2.0/24", None, 1_700_000_031, "us")
ALL = tuple(Rule("egress", family, None, None, None, None, None, 1_700_000_000) for family in (4, 6))
GROUP = Group(IDENT, PROJECT, "web", "of the shop", 1_700_000_000, 1_700_000_000, (*ALL, SSH))


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    made = Both(tmp_path)
    yield made
    made.engine.dispose()


def rows(both: Both, table: Any) -> list[dict[str, Any]]:
    with both.engine.connect() as connection:
        return db.rows(connection, select(table).order_by(table.c.id))


def add(both: Both, group: Group = GROUP, version: int = 3) -> None:
    row, rules = grouptags.rows(group)
    with both.engine.begin() as connection:
        connection.execute(insert(db.security_group).values(**row, version=version))
        connection.execute(insert(db.security_group_rule), rules)


def test_a_database_that_was_lost(both: Both) -> None:
    both.rapi.tags = ["another", *groups.encode(GROUP, 7)]
    assert both.mended() == ["group-missing: security group web: the database has no such group"]
    (row,) = rows(both, db.security_group)
    assert (row["id"], row["project_id"], row["name"], row["version"]) == (IDENT, PROJECT, "web", 7)
    assert (row["description"], row["created"]) == ("of the shop", 1_700_000_000.0)
    assert grouptags.group(row, rows(both, db.security_group_rule)).rules == GROUP.rules
    before = rows(both, db.security_group_rule)
    with both.engine.begin() as connection:
        connection.execute(db.security_group_rule.delete())
        connection.execute(db.security_group.delete())
    both.mended()
    assert rows(both, db.security_group_rule) == before, "their ids, too"


def test_what_an_administrator_changed(both: Both) -> None:
    add(both)
    both.rapi.tags = [*groups.encode(GROUP, 3), *groups.encode(GROUP._replace(name="shop", rules=ALL), 4)]
    assert both.mended() == [
        "group: security group web: version 3, in Ganeti 4, which says something else",
    ]
    (row,) = rows(both, db.security_group)
    assert (row["name"], row["version"], len(rows(both, db.security_group_rule))) == ("shop", 4, 2)


def test_a_change_that_ganeti_never_had(both: Both) -> None:
    """Its jobs failed, and were given up: what Ganeti has holds."""
    add(both, GROUP._replace(rules=ALL), version=9)
    both.rapi.tags = groups.encode(GROUP, 8)
    both.mended()
    assert len(rows(both, db.security_group_rule)) == 3


@pytest.mark.parametrize("tags", [[], [groups.gone(IDENT[:8], 4)]])
def test_one_that_ganeti_has_not(both: Both, tags: list[str]) -> None:
    add(both)
    both.rapi.tags = tags
    assert both.mended() == ["group-stale: security group web: Ganeti has no such group"]
    assert rows(both, db.security_group) == rows(both, db.security_group_rule) == []


def test_what_is_the_same_is_no_difference(both: Both) -> None:
    assert both.found() == []
    assert "tags" not in both.rapi.asked, "nothing is asked where there are none"
    add(both)
    both.rapi.tags = groups.encode(GROUP._replace(rules=GROUP.rules[::-1]), 3)
    assert both.found() == []


def test_what_is_owed_is_left_alone(both: Both) -> None:
    add(both)
    both.rapi.tags = groups.encode(GROUP._replace(name="old"), 2)
    with both.engine.begin() as connection:
        groupjobs.promise(connection, IDENT)
    assert both.found() == []
    other = GROUP._replace(ident=f"00000000{IDENT[8:]}")
    both.rapi.tags += groups.encode(other, 1)
    with both.engine.begin() as connection:
        groupjobs.owe(connection, other.ident, 2)  # it was deleted
    assert both.found() == []


def test_what_changed_since_it_was_compared_stays(both: Both) -> None:
    add(both)
    both.rapi.tags = groups.encode(GROUP._replace(name="shop"), 4)
    found = both.found()
    with both.engine.begin() as connection:
        groupjobs.promise(connection, IDENT)
        connection.execute(db.owed.delete())
    assert both.reconciler.mend(found) == []
    assert rows(both, db.security_group)[0]["name"] == "web"


def test_tags_that_are_damaged_are_told_of(both: Both) -> None:
    add(both)
    bad = f"{groups.HEAD}{IDENT[:8]}.5.0-1:nonsense"
    both.rapi.tags = [*groups.encode(GROUP, 3), bad]
    (found,) = both.found()
    assert found.kind == "group-unread"
    assert bad in found.advice
    assert both.reconciler.mend([found]) == []
    assert len(rows(both, db.security_group)) == 1


def test_servers_that_are_not_in_their_projects_default(both: Both) -> None:
    """An instance that an administrator gave the project; one that has tags is in what they say."""
    ident = netview.default_group_id(PROJECT)
    both.add(**running())
    default = GROUP._replace(ident=ident, name="default")

    def outside() -> list[Difference]:
        return [each for each in both.found() if each.kind == "group-outside"]

    assert outside() == []
    add(both, default)
    both.rapi.tags = groups.encode(default, 3)
    (found,) = outside()
    assert both.reconciler.mend([found]) == []
    tags = f"ganeti-ext:firewall:@{ident[:8]} ganeti-ext:groups:{ident}"
    assert found.advice == f"gnt-instance add-tags {both.server()['instance']} {tags}"
    for facts in ({"firewall": f"@{ident[:8]}", "groups": ident}, {"firewall": "protected"}):
        with both.engine.begin() as connection:
            connection.execute(update(db.server).values(facts=facts))
        assert outside() == []


def test_another_cluster_is_told(both: Both) -> None:
    add(both)
    old = GROUP._replace(ident=f"00000000{IDENT[8:]}")
    both.rapi.of_cluster = "south"  # type: ignore[attr-defined]
    south = Both.__new__(Both)
    south.__dict__.update(both.__dict__)
    south.reconciler = type(both.reconciler)(
        both.engine, both.rapi, "gx-", clock=lambda: both.now, pause=both.rapi.pause
    )
    both.rapi.tags = groups.encode(old, 6)
    assert sorted(south.mended()) == [
        "group-untold: security group web: the cluster was not told of it",
        "group-untold: security group web: the cluster was not told that it is gone",
    ]
    owed = sorted((row["server_id"], row["body"], row["cluster"]) for row in rows(both, db.owed))
    assert owed == [(old.ident, "7 0", "south"), (IDENT, "3 0", "south")]
    assert len(rows(both, db.security_group)) == 1
