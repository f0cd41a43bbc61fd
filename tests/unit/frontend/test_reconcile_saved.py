"""Images of servers and snapshots of volumes whose end was never told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from frontend.database import db
from tests.unit.frontend.cluster import NOW, Both, job

SNAPSHOT = "5a1f0a52-52b4-4f0d-9d39-0a0b7c4f9c11"
ABORTED = ["HooksAbort", [[["node7", "50-ganeti-ext-image", "no room"]]]]


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    made = Both(tmp_path)
    yield made
    made.engine.dispose()


def saving(both: Both, **columns: Any) -> None:
    known = {"id": "i", "name": "image", "visibility": "private", "size": 1, "sha256": "", "min_disk": 1, "min_ram": 0,
             "created": NOW - 60, "properties": {}, "status": "saving", "origin": "snapshot:saved-i",
             "job": 23}  # fmt: skip
    with both.engine.begin() as connection:
        connection.execute(insert(db.image).values({**known, **columns}))


def snapshot(both: Both, **columns: Any) -> None:
    known = {"id": SNAPSHOT, "volume_id": "v", "project_id": "p", "user_id": "u", "name": "s", "size": 1,
             "status": "creating", "provider": "cow", "created": NOW - 60, "updated": NOW - 60, "job": 23}  # fmt: skip
    with both.engine.begin() as connection:
        connection.execute(insert(db.volume_snapshot).values({**known, **columns}))


def statuses(both: Both) -> list[tuple[str, str | None]]:
    with both.engine.connect() as connection:
        images = db.rows(connection, select(db.image))
        snapshots = db.rows(connection, select(db.volume_snapshot))
    return [*((row["status"], None) for row in images), *((row["status"], row["fault"]) for row in snapshots)]


def chain(status: str, result: Any = None, last: str = "success") -> list[dict[str, Any]]:
    """The job that makes a snapshot, and the one behind it that takes its tag away."""
    made = {**job(status, "SET_PARAMS", 22, result), "ops": [{"OP_ID": "OP_INSTANCE_SET_PARAMS"}]}
    ends = ["success", "error", "canceled"]
    untag = {**job(last, "TAGS_DEL", 23), "ops": [{"OP_ID": "OP_TAGS_DEL", "depends": [[22, ends]]}]}
    return [made, untag]


@pytest.mark.parametrize(
    ("status", "jobs", "words", "image", "shown"),
    [
        ("creating", chain("success"), "has succeeded", "active", ("available", None)),
        ("creating", chain("success", last="queued"), "has succeeded", "active", ("available", None)),
        (
            "creating",
            chain("error", ABORTED),
            "job 22 has ended as error: ",
            "killed",
            ("error", "job 22 has ended as error: [['node7', '50-ganeti-ext-image', 'no room']]"),
        ),
        ("creating", [], "job 23 is not known", "killed", ("error", "job 23 is not known to Ganeti any more")),
        ("deleting", chain("canceled"), "canceled", "killed", ("error_deleting", "job 22 has ended as canceled")),
        ("deleting", chain("success"), "has succeeded", "active", None),
    ],
)
def test_settled_by_the_job_that_counts(
    both: Both, status: str, jobs: list[dict[str, Any]], words: str, image: str, shown: tuple[str, str | None] | None
) -> None:
    saving(both)
    snapshot(both, status=status)
    both.rapi.jobs = jobs
    said = both.mended()
    assert len(said) == 2
    assert all(line.startswith("saved: ") and words in line for line in said)
    assert statuses(both) == [(image, None), *([shown] if shown else [])]


@pytest.mark.parametrize("status", ["queued", "waiting", "running", "canceling"])
def test_left_alone_while_its_job_goes_on(both: Both, status: str) -> None:
    saving(both)
    snapshot(both)
    both.rapi.jobs = chain(status, last="queued")
    assert both.found() == []


def test_one_whose_jobs_were_never_submitted(both: Both) -> None:
    saving(both, job=None)
    snapshot(both, job=None)
    assert both.found() == []
    both.now += 601
    assert [line.partition(", and ")[2] for line in both.mended()] == ["no job of it was ever submitted"] * 2
    assert statuses(both) == [("killed", None), ("error", "no job of it was ever submitted")]


def test_an_upload_is_not_for_a_job_to_end(both: Both) -> None:
    saving(both, origin=None, job=None, created=NOW - 9999)
    assert both.found() == []


def test_messages_that_may_still_come_are_waited_for(both: Both) -> None:
    snapshot(both)
    both.rapi.jobs = chain("success")
    for age, status in ((0, "creating"), (9, "creating"), (10, "available")):
        both.now = NOW + age
        both.reconciler.run("timer")
        assert [each for each, _ in statuses(both)] == [status]
