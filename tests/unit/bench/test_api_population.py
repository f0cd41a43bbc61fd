"""Who has servers in the measured databases."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from bench.api import population
from bench.api.population import BIG, FEW, MANY, TENANT, USERS
from frontend.database import db


@pytest.mark.parametrize("servers", [5500, 50_000])
def test_every_server_has_an_owner_and_the_two_that_are_asked_have_theirs(servers: int) -> None:
    counted = Counter(population.owners(servers))
    assert sum(counted.values()) == servers
    assert (counted[0], counted[1]) == (FEW, MANY)
    others = [counted[user] for user in range(2, USERS)]
    assert max(others) - min(others) <= 1


def test_the_tenants_servers_lie_far_from_each_other() -> None:
    mine = [place for place, user in enumerate(population.owners(5500)) if user == 0]
    assert all(later - earlier > 400 for earlier, later in itertools.pairwise(mine))


def test_too_few_servers_are_an_error() -> None:
    with pytest.raises(ValueError, match="1009 servers of 4500 users"):
        population.shares(FEW + MANY - 1)


def test_rows_have_the_columns_of_their_tables() -> None:
    rows = list(population.servers(FEW + MANY))
    assert len({row["id"] for row in rows}) == len(rows) == len({row["nics"][0]["ip"] for row in rows})
    tenant = population.ident("project", TENANT)
    assert sum(row["project_id"] == tenant for row in rows) == FEW
    project, user, membership = next(rows for rows in population.accounts("hash") if rows[0]["name"] == BIG)
    assert membership == {"user_id": user["id"], "project_id": project["id"], "role": "member"}
    kept = {
        "server": rows[0],
        "project": project,
        "user_account": user,
        "node": population.nodes()[0],
        "action": population.jobs(1, 5.0)[0],
        **population.offered(),
    }
    for table, row in kept.items():
        columns = db.metadata.tables[table].columns
        needed = {each.name for each in columns if not each.nullable and each.server_default is None}
        assert needed <= row.keys() <= set(columns.keys()), table


def test_no_project_has_two_names() -> None:
    names = [project["name"] for project, _, _ in population.accounts("hash")]
    assert len(set(names)) == len(names) == 1 + USERS + population.MAKERS
