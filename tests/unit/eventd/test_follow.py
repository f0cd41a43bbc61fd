from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from typing import Any

import pytest

from ganeti_ext.outbox import Outbox
from tests.unit.eventd.following import DAY, T0, Clock, Following, cursors, told

Start = Callable[..., Following]


def test_each_status_is_told_once(queue_directory: Any, outbox: Outbox, start: Start) -> None:
    follower = start()
    for name in ("create-queued", "create-waiting", "create-waiting", "create-running", "create-success"):
        queue_directory.put(name)
        follower.changed(["job-17"])
        follower.changed(["job-17"])
    assert told(outbox) == [(17, 0, status) for status in ("queued", "waiting", "running", "success")]


def test_message_and_cursor_are_one(queue_directory: Any, outbox: Outbox, start: Start) -> None:
    follower = start()
    follower.follower.cluster = "cluster.example.org"
    queue_directory.put("create-success")
    follower.changed(["job-17", "serial", "job-17x.new"])
    (message,) = outbox.take(10)
    assert (message.key, json.loads(message.body)["cluster"]) == ("ganeti.gx.event.op", "cluster.example.org")
    assert cursors(outbox) == {"17/0": "success"}


def test_a_restart_tells_what_was_missed_and_nothing_twice(queue_directory: Any, outbox: Outbox, start: Start) -> None:
    queue_directory.put("create-running")
    start().scan()
    assert told(outbox) == [(17, 0, "running")]
    queue_directory.put("create-success", folder="archive/0")
    (queue_directory.path / "job-17").unlink()
    queue_directory.put("startup-success")
    start().scan()
    start().scan()
    assert told(outbox) == [(17, 0, "success"), (20, 0, "success")]


def test_the_first_start_tells_the_ends_of_the_last_day(
    queue_directory: Any, outbox: Outbox, start: Start, clock: Clock
) -> None:
    queue_directory.put("network-add-success", folder="archive/0")
    queue_directory.put("remove-success")
    queue_directory.put("create-running", 30)
    old = queue_directory.put("startup-success", 5, folder="archive/0")
    os.utime(queue_directory.path / f"archive/0/job-{old}", (T0, T0))
    os.utime(queue_directory.path / "archive/0/job-26", (T0 + 102, T0 + 102))
    clock.now = T0 + DAY + 90
    start().scan()
    # 5 and 23 ended too long ago, 30 goes on.
    assert told(outbox) == [(30, 0, "running"), (26, 0, "success"), (26, 1, "success")]
    start().scan()
    assert told(outbox) == []


def test_after_a_long_rest_everything_is_told(queue_directory: Any, outbox: Outbox, start: Start, clock: Clock) -> None:
    start().scan()
    queue_directory.put("network-add-success", folder="archive/0")
    clock.now += 30 * DAY
    start().scan()
    assert told(outbox) == [(26, 0, "success"), (26, 1, "success")]


def test_cursors_are_forgotten_when_a_job_has_long_ended(
    queue_directory: Any, outbox: Outbox, start: Start, clock: Clock
) -> None:
    follower = start()
    queue_directory.put("create-running")
    queue_directory.put("startup-success")
    follower.scan()
    clock.now += 2 * 3600
    follower.scan()
    assert cursors(outbox) == {"mine": "", "floor": "20", "17/0": "running"}
    queue_directory.put("create-success")
    start().scan()
    assert told(outbox)[-1] == (17, 0, "success")
    start().scan()
    assert cursors(outbox) == {"mine": "", "floor": "20"}
    assert told(outbox) == []


def test_an_open_job_that_vanished_is_forgotten(queue_directory: Any, outbox: Outbox, start: Start) -> None:
    queue_directory.put("create-running")
    start().scan()
    (queue_directory.path / "job-17").unlink()
    start().scan()
    assert "17/0" not in outbox.cursors()


def test_a_new_cluster_starts_anew(
    queue_directory: Any, outbox: Outbox, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    queue_directory.put("create-success", 1)
    queue_directory.put("startup-success", 900)
    start().scan()
    (queue_directory.path / "job-900").unlink()
    queue_directory.put("startup-success", 1)
    (queue_directory.path / "serial").write_text("1\n")
    told(outbox)
    with caplog.at_level(logging.WARNING):
        start().scan()
    assert told(outbox) == [(1, 0, "success")]
    assert "serial 1 is below the known job 900" in caplog.text
    start().scan()
    assert told(outbox) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": 40, "ops": [{"inp', "job-40 is skipped: not JSON, or half of it"),
        ("", "job-40 is skipped: not JSON, or half of it"),
        ('{"id": 41, "ops": [{"input": {"OP_ID": "OP_X"}, "status": "queued"}]}', "job-40 is skipped: says that it is"),
        ('{"id": 40, "ops": [{"input": {"OP_ID": "OP_X"}, "status": "paused"}]}', "unknown status 'paused'"),
    ],
)
def test_bad_jobs_are_skipped_with_one_line(
    queue_directory: Any, outbox: Outbox, start: Start, caplog: pytest.LogCaptureFixture, text: str, message: str
) -> None:
    queue_directory.write(40, text)
    queue_directory.put("startup-success")
    follower = start()
    follower.scan()
    follower.changed(["job-40"])
    follower.scan()
    assert [message in record.getMessage() for record in caplog.records] == [True]
    assert told(outbox) == [(20, 0, "success")]
    queue_directory.put("create-success", 40)
    follower.changed(["job-40"])
    assert told(outbox) == [(40, 0, "success")]


def test_an_unreadable_job_is_skipped(
    queue_directory: Any, outbox: Outbox, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    (queue_directory.path / "job-40").mkdir()
    start().scan()
    assert "job-40 is skipped: [Errno 21]" in caplog.text
    assert told(outbox) == []


def test_a_file_that_is_gone_when_we_come_is_no_error(
    queue_directory: Any, outbox: Outbox, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    start().changed(["job-77"])
    assert (told(outbox), caplog.records) == ([], [])


def test_a_batch_is_told_in_the_order_of_the_jobs(queue_directory: Any, outbox: Outbox, start: Start) -> None:
    queue_directory.put("remove-success", 50)
    queue_directory.put("create-success", 60)
    start().changed(["job-60", "job-50"])
    assert told(outbox) == [(50, 0, "success"), (60, 0, "success")]


def test_a_large_archive_is_read_once(queue_directory: Any, outbox: Outbox, start: Start, clock: Clock) -> None:
    for number in range(1, 1001):
        queue_directory.put("startup-success", number, folder="archive/0")
        os.utime(queue_directory.path / f"archive/0/job-{number}", (T0 + 42, T0 + 42))
    follower = start()
    follower.scan()
    assert len(told(outbox)) == 1000
    clock.now += 2 * 3600
    follower.scan()
    assert cursors(outbox) == {"mine": "", "floor": "1000"}
    assert told(outbox) == []
