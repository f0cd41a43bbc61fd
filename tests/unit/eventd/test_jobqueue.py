from __future__ import annotations

from pathlib import Path

import pytest

from eventd.jobqueue import JobQueue


def write(path: Path, text: str = "x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_only_job_files_are_jobs() -> None:
    names = [
        "job-7",
        "serial",
        "lock",
        "job-5",
        "job-7",
        "job-8k2.new",
        "job-91234-0",
        ".job-6",
        "job-",
        "job-٣",
        "jobs-1",
    ]
    assert list(JobQueue.ids(names)) == [7, 5]


def test_queued_and_archived_jobs_above_the_floor(tmp_path: Path) -> None:
    for name in (
        "job-3",
        "job-10001",
        "archive/0/job-1",
        "archive/0/job-2",
        "archive/1/job-10000",
        "archive/lost/job-9",
    ):
        write(tmp_path / name)
    queue = JobQueue(str(tmp_path))
    assert queue.above(0) == ({3, 10001}, {1, 2, 10000})
    assert queue.above(2) == ({3, 10001}, {10000})
    assert queue.above(10000) == ({10001}, set())


def test_an_archived_job_is_read_where_it_went(tmp_path: Path) -> None:
    write(tmp_path / "archive/1/job-10007", "archived")
    write(tmp_path / "job-10008", "queued")
    queue = JobQueue(str(tmp_path))
    assert (queue.read(10007), queue.read(10008), queue.read(10009)) == (b"archived", b"queued", None)
    assert queue.changed(10007) > 0
    assert queue.changed(10009) == 0


@pytest.mark.parametrize(("text", "serial"), [("17\n", 17), ("", None), ("x", None)])
def test_serial(tmp_path: Path, text: str, serial: int | None) -> None:
    write(tmp_path / "serial", text)
    assert JobQueue(str(tmp_path)).serial() == serial


def test_a_queue_that_is_not_there_is_empty(tmp_path: Path) -> None:
    queue = JobQueue(str(tmp_path / "none"))
    assert queue.above(0) == (set(), set())
    assert queue.serial() is None
