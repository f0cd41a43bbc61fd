"""Ends of jobs that no message told of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from frontend.database import db
from frontend.update.mirror import Mirror
from ganeti_ext import event
from tests.unit.frontend import updates
from tests.unit.frontend.cluster import NOW, Both, job, running
from tests.unit.frontend.updates import BEGIN, IDENT, NAME, instance

BROKEN = ["OpPrereqError", ["not enough memory on node n1", "insufficient_resources"]]


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    made = Both(tmp_path)
    yield made
    made.engine.dispose()


def action(both: Both, **columns: Any) -> None:
    known = {
        "cluster": "c", "job": 12, "op_index": 0, "operation": "OP_INSTANCE_REBOOT", "kind": "instance", "name": NAME,
        "server_id": IDENT, "status": "running", "rank": 3, "began": BEGIN + 1.0, "updated": BEGIN + 2.0,
    }  # fmt: skip
    with both.engine.begin() as connection:
        connection.execute(insert(db.action).values({**known, **columns}))


def actions(both: Both) -> list[tuple[Any, ...]]:
    with both.engine.connect() as connection:
        found = db.rows(connection, select(db.action).order_by(db.action.c.job))
    return [(row["job"], row["status"], row["ended"], row["message"]) for row in found]


@pytest.mark.parametrize(
    ("jobs", "words", "row"),
    [
        ([job("success", "REBOOT", number=12)], "has ended as success", ("success", BEGIN + 7.25, None)),
        (
            [job("error", "REBOOT", number=12, result=BROKEN)],
            "has ended as error",
            ("error", BEGIN + 7.25, "not enough memory on node n1 (insufficient_resources)"),
        ),
        (
            [],
            "job 12 is not known to Ganeti any more",
            ("error", BEGIN + 2.0, "job 12 is not known to Ganeti any more"),
        ),
    ],
)
def test_the_end_of_a_job_that_no_message_told_of(
    both: Both, jobs: list[dict[str, Any]], words: str, row: tuple[Any, ...]
) -> None:
    both.add(**running())
    both.rapi.instances, both.rapi.jobs = [instance()], jobs
    action(both)
    (said,) = both.mended()
    assert said.startswith(f"action: instance {NAME}: job 12")
    assert said.endswith(words)
    assert actions(both) == [(12, *row)]
    assert both.server()["status"] == "ACTIVE"


def test_a_create_that_failed_is_left_to_its_end_which_may_be_tried_again(both: Both) -> None:
    both.add()
    busy = ["OpPrereqError", ["no memory just now", "temp_insufficient_resources"]]
    both.rapi.jobs = [job("error", result=busy)]
    action(both, job=10, operation="OP_INSTANCE_CREATE")
    kept = {"id": "o", "server_id": IDENT, "what": "create", "job": 10, "tries": 0, "due": 0.0}
    with both.engine.begin() as connection:
        connection.execute(insert(db.owed).values(kept))
    (found,) = both.found()
    assert found.kind == "action"
    both.reconciler.mend([found])
    with both.engine.connect() as connection:
        assert connection.execute(select(db.owed.c.tries)).scalar() == 1
    assert both.server()["status"] == "BUILD"
    assert both.found() == []


def test_the_end_of_a_job_that_goes_on_is_awaited(both: Both) -> None:
    both.add(**running())
    both.rapi.instances, both.rapi.jobs = [instance()], [job("running", "REBOOT", number=12)]
    action(both)
    assert both.found() == []


def test_the_consumer_waits_for_the_message_first(both: Both) -> None:
    both.add(**running())
    both.rapi.instances, both.rapi.jobs = [instance()], [job("success", "REBOOT", number=12)]
    action(both)
    for age, counts in ((0, {}), (9, {}), (10, {"action": 1})):
        both.now = NOW + age
        report = both.reconciler.run("timer")
        assert (report.found, report.mended, report.differs) == (counts, sum(counts.values()), True)
    report = both.reconciler.run("again")
    assert (report.found, report.differs) == ({}, False)


def test_a_lost_end_comes_after_all(both: Both) -> None:
    both.add(**running())
    both.rapi.instances, both.rapi.jobs = [instance()], [job("error", "REBOOT", number=12, result=BROKEN)]
    action(both)
    both.mended()
    before = actions(both)
    late = updates.op("REBOOT", "error", job=12, at=7, result="as eventd says it", seq=[1, 5])
    Mirror(both.engine, "gx-").take(event.encode(late))
    assert actions(both) == before
