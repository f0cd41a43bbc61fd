"""A tenant's reads cost what his own servers cost: by an index, without a sort, and without the remote API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event

from frontend.effect import pressure
from tests.unit.frontend.admins import administrator
from tests.unit.frontend.conftest import COMPUTE, FOREIGN, Api

SERVERS = f"{COMPUTE}/servers"


class Plans:
    """How SQLite looks for what is asked of it, a line for each table of each statement."""

    def __init__(self, engine: Any) -> None:
        self.lines: list[str] = []
        event.listen(engine, "before_cursor_execute", self._explain)

    def _explain(self, _connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            self.lines += [row[3] for row in cursor.fetchall()]


@pytest.fixture
def plans(api: Api) -> Iterator[Plans]:
    for number in range(20):
        api.server(project_id=FOREIGN if number % 2 else api.server()["project_id"])
    yield Plans(api.engine)
    assert not (api.rapi.calls or api.rapi.asked or api.rapi.queried)


@pytest.mark.parametrize("query", ["", "?limit=5", "?limit=5&marker=00000000-0000-4000-8000-000000000000"])
@pytest.mark.parametrize("path", [SERVERS, f"{SERVERS}/detail"])
def test_a_page_is_read_in_the_order_of_its_index(api: Api, plans: Plans, path: str, query: str) -> None:
    assert api.get(path + query).status_code == 200
    assert any("server USING INDEX server_page (project_id=?" in line for line in plans.lines), plans.lines
    assert not [line for line in plans.lines if "SCAN server" in line or "TEMP B-TREE" in line]


def test_a_page_of_all_projects_is_read_in_the_order_of_its_index(nobody: Api, plans: Plans) -> None:
    assert administrator(nobody).get(f"{SERVERS}/detail?all_tenants=1&limit=5").status_code == 200
    assert any("server USING INDEX server_newest" in line for line in plans.lines), plans.lines
    assert not [line for line in plans.lines if "server" in line and "TEMP B-TREE" in line]


@pytest.mark.parametrize("path", [f"{SERVERS}?changes-since=2020-01-01T00:00:00Z", f"{SERVERS}?status=ACTIVE",
                                  f"{SERVERS}?name=web", "/network/v2.0/ports"])  # fmt: skip
def test_no_filter_looks_at_others_servers(api: Api, plans: Plans, path: str) -> None:
    assert api.get(path).status_code == 200
    assert not [line for line in plans.lines if "SCAN server" in line], plans.lines


def test_jobs_that_go_on_are_counted_by_an_index(api: Api, plans: Plans) -> None:
    pressure.unfinished(api.engine)
    named = [line.split(maxsplit=1)[1] for line in plans.lines if line.startswith(("SCAN", "SEARCH"))]
    # Of clusters there are few, and the two counts are one row.
    found = {line.split(" (")[0] for line in named if not line.startswith(("cluster", "CONSTANT ROW"))}
    assert found == {"action USING INDEX action_unended", "server USING INDEX server_busy"}
