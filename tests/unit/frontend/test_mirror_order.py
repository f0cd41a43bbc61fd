"""The same as test_state_order.py down to the database, with the notes of nodes whose clocks are far off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Engine

from frontend.database import db
from frontend.update.mirror import Mirror
from ganeti_ext import event
from tests.unit.frontend import updates
from tests.unit.frontend.history import Cluster
from tests.unit.frontend.test_state_order import deliveries, histories


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    path: Path = tmp_path_factory.mktemp("order") / "front.db"
    engine = db.connect_writer(f"sqlite:///{path}")
    yield engine
    engine.dispose()


def begin(engine: Engine, *, has_row: bool) -> None:
    with engine.begin() as connection:
        for table in (db.server, db.action, db.dead_letter):
            connection.execute(delete(table))
        if has_row:
            connection.execute(insert(db.server).values(updates.row()))


def rows(engine: Engine, table: Any) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return db.rows(connection, select(table))


@st.composite
def notes(draw: st.DrawFn) -> list[dict[str, Any]]:
    nodes = st.sampled_from(("n1", "n2", "n3"))
    hours = st.integers(-3, 3)
    return [
        updates.note(draw(nodes), draw(nodes), at=100_000 + 3600 * draw(hours)) for _ in range(draw(st.integers(0, 4)))
    ]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories(), st.data())
def test_the_database_ends_as_ganeti_is(engine: Engine, cluster: Cluster, data: st.DataObject) -> None:
    begin(engine, has_row=True)
    mirror = Mirror(engine, "gx-")
    messages = data.draw(st.permutations(data.draw(deliveries(cluster.said)) + data.draw(notes())))
    size = data.draw(st.integers(1, 50))
    for start in range(0, len(messages), size):
        assert sum(mirror.take_all([event.encode(each) for each in messages[start : start + size]]))
    (found,) = rows(engine, db.server)
    there = cluster.instance
    assert rows(engine, db.dead_letter) == []
    assert (found["task"], found["deleted"] is not None) == (None, there.is_deleted)
    if there.exists and not there.is_deleted:
        power = "ACTIVE" if there.is_running else "SHUTOFF"
        stands = "VERIFY_RESIZE" if there.is_resized else power
        assert found["status"] == ("ERROR" if there.is_broken else stands)
        assert (found["instance"], found["name"], found["host"]) == (there.name, there.label, there.node)
    ended = {job.number: job.last["status"] for job in cluster.ended}
    actions = {each["job"]: each["status"] for each in rows(engine, db.action)}
    assert actions == ended
    assert all(each["ended"] is not None for each in rows(engine, db.action))
