"""How the consumer compares: what it keeps of it, what it says, when it does it again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select

from frontend.database import db
from frontend.effect import owed
from frontend.network import grouptags
from frontend.reconcile.reconcile import Background
from tests.unit.frontend.cluster import CLUSTER, NOW, Both, job, running
from tests.unit.frontend.test_reconcile_group import GROUP
from tests.unit.frontend.updates import instance

OTHER = "7a1f0a52-52b4-4f0d-9d39-0a0b7c4f9c22"


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    made = Both(tmp_path)
    yield made
    made.engine.dispose()


def last(both: Both) -> dict[str, Any]:
    with both.engine.connect() as connection:
        found = db.row(connection, select(db.comparison))
    assert found is not None
    return found


def test_each_comparison_is_kept(both: Both) -> None:
    both.add(**running(host="n7"))
    both.rapi.instances = [instance(), instance(f"gx-{OTHER}", tags=[])]
    report = both.reconciler.run("lost")
    assert (report.found, report.mended, report.differs) == ({"host": 1, "orphan": 1}, 1, True)
    kept = last(both)
    assert (kept["time"], kept["trigger"], kept["found"], kept["mended"]) == (NOW, "lost", report.found, 1)
    assert (kept["error"], kept["cluster"]) == (None, CLUSTER)
    assert both.reconciler.run("again").differs is False
    both.rapi.down = True
    background(both)
    kept = last(both)
    assert (kept["error"], kept["cluster"]) == ("RAPI n1:5080: connection refused", CLUSTER)


def test_another_cluster_is_not_taken_for_ours(both: Both, caplog: pytest.LogCaptureFixture) -> None:
    both.rapi.instances = [instance()]
    both.reconciler.run("start")
    both.rapi.instances, both.rapi.cluster = [], OTHER
    background(both)
    assert f"the database is of the cluster with UUID {CLUSTER}, and Ganeti's is {OTHER}" in caplog.text
    assert both.server()["deleted"] is None
    assert last(both)["cluster"] == CLUSTER


def test_a_remote_api_that_is_down_is_one_line(both: Both, caplog: pytest.LogCaptureFixture) -> None:
    both.rapi.down = True
    work = Background(both.reconciler)
    for _ in range(3):
        wait_for(work, "start")
        assert work.again == 2
    assert [record.message for record in caplog.records] == [
        "reconcile: RAPI n1:5080: connection refused; again every 2 s"
    ]


def test_an_answer_of_another_shape_is_one_line(both: Both, caplog: pytest.LogCaptureFixture) -> None:
    both.rapi.instances = [{"id": "web", "uri": "/2/instances/web"}]
    background(both)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "TypeError" in caplog.text or "AttributeError" in caplog.text


def test_what_was_mended_is_looked_at_again_ever_more_seldom(both: Both) -> None:
    work = Background(both.reconciler)
    both.rapi.instances = [instance()]
    waits = []
    for node in range(7):
        both.rapi.instances = [instance(pnode=f"n{node}")]
        wait_for(work, "timer")
        waits.append(work.again)
    assert waits == [2, 4, 8, 16, 32, 60, 60]
    wait_for(work, "timer")
    assert work.again is None


def test_what_was_left_alone_when_something_was_lost_is_looked_at_until_its_job_has_ended(both: Both) -> None:
    """Of a server that a new master knows nothing of, the end of a job that it had changes nothing."""
    both.add(**running(task="rebooting", job=12))
    both.rapi.jobs = [job("running", "REBOOT", number=12)]
    work = Background(both.reconciler)
    waits = []
    for trigger in ("timer", "master", "again", "again"):
        wait_for(work, trigger)
        waits.append(work.again)
    assert waits == [None, 2, 4, 8]
    assert both.server()["deleted"] is None
    both.rapi.jobs = [job("error", "REBOOT", number=12)]
    wait_for(work, "again")
    assert both.server()["deleted"] is not None
    wait_for(work, "again")
    assert work.again is None


def test_what_is_busy_later_is_not_waited_for(both: Both) -> None:
    work = Background(both.reconciler)
    wait_for(work, "master")
    both.add(**running(task="rebooting", job=12))
    both.rapi.instances, both.rapi.jobs = [instance()], [job("running", "REBOOT", number=12)]
    wait_for(work, "timer")
    assert work.again is None


def test_a_group_that_was_left_alone_is_looked_at_again(both: Both) -> None:
    """An administrator took it away while the front had something to tell of it still."""
    row, _ = grouptags.rows(GROUP)
    with both.engine.begin() as connection:
        connection.execute(insert(db.security_group).values(**row, version=3))
        owed.promise_group(connection, GROUP.ident, 3, 0.0, "")
    work = Background(both.reconciler)
    wait_for(work, "groups")
    assert work.again == 2
    with both.engine.begin() as connection:
        connection.execute(delete(db.owed))
    wait_for(work, "again")
    with both.engine.begin() as connection:
        assert db.rows(connection, select(db.security_group)) == []


def test_while_a_node_is_silent_it_is_asked_again_soon(both: Both) -> None:
    both.add(**running(power="UNKNOWN", status="UNKNOWN"))
    both.rapi.instances = [instance(running=None)]
    work = Background(both.reconciler)
    wait_for(work, "timer")
    assert work.again == 3
    both.rapi.instances = [instance(running=None, status="ERROR_nodeoffline")]
    wait_for(work, "timer")
    assert work.again is None


def background(both: Both) -> None:
    wait_for(Background(both.reconciler), "timer")


def wait_for(work: Background, trigger: str) -> None:
    work.start(trigger)
    assert work._thread is not None
    work._thread.join(10)
    assert not work.is_busy
