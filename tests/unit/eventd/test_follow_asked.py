from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from eventd.counts import Counts
from eventd.tagged import Change, recall
from ganeti_ext.outbox import Outbox
from tests.unit.eventd.following import DAY, SERVER, Clock, Following, cursors, told

Start = Callable[..., Following]


def test_ganeti_is_asked_about_final_messages_only(queue_directory: Any, start: Start, answers: Any) -> None:
    following = start()
    following.held = True
    queue_directory.put("create-running")
    following.changed(["job-17"])
    assert answers.asked == []
    queue_directory.put("create-success")
    following.changed(["job-17"])
    assert [item.status for item in answers.asked] == ["success"]


def full(*_: Any, **__: Any) -> None:
    raise sqlite3.OperationalError("database or disk is full")


def test_what_could_not_be_written_is_told_later(
    queue_directory: Any, outbox: Outbox, start: Start, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    following = start()
    for name in ("create-running", "create-success"):  # the one is put at once, the other when Ganeti has answered
        queue_directory.put(name)
        with monkeypatch.context() as patch:
            patch.setattr(outbox, "put", full)
            with pytest.raises(sqlite3.OperationalError):
                following.changed(["job-17"])
        following.scan()
    assert told(outbox) == [(17, 0, "running"), (17, 0, "success")]
    assert counts.spool_failures == 2


def test_what_waits_for_ganeti_is_read_again_after_a_crash(
    queue_directory: Any, outbox: Outbox, start: Start, clock: Clock
) -> None:
    clock.now += 2 * 3600
    queue_directory.put("create-success")
    queue_directory.put("startup-success")
    dying = start()
    dying.held = True
    dying.scan()
    assert (told(outbox), cursors(outbox)) == ([], {"floor": "0", "mine": ""})
    start().scan()
    assert told(outbox) == [(17, 0, "success"), (20, 0, "success")]


def test_nothing_waits_for_an_answer_about_another_object(queue_directory: Any, outbox: Outbox, start: Start) -> None:
    following = start()
    following.held = True
    queue_directory.put("network-add-success")
    queue_directory.put("create-running")
    queue_directory.put("cluster-modify-success")
    following.changed(["job-26", "job-17", "job-28"])
    following.changed(["job-26"])
    assert told(outbox) == [(17, 0, "running"), (28, 0, "success")]
    following.held = False
    following.collect()
    assert told(outbox) == [(26, 0, "success"), (26, 1, "success")]


def test_messages_about_an_object_wait_for_those_before_them(
    queue_directory: Any, outbox: Outbox, start: Start
) -> None:
    following = start()
    following.held = True
    queue_directory.put("startup-success")
    following.changed(["job-20"])
    queue_directory.put("modify-canceling", 30)
    following.changed(["job-30"])
    queue_directory.put("remove-success", 31)
    following.changed(["job-31"])
    assert told(outbox) == []
    following.held = False
    following.collect()
    assert told(outbox) == [(20, 0, "success"), (30, 0, "canceling"), (31, 0, "success")]


def test_a_status_that_was_overtaken_while_it_waited_is_not_told(
    queue_directory: Any, outbox: Outbox, start: Start
) -> None:
    following = start()
    following.held = True
    queue_directory.put("startup-success")
    following.changed(["job-20"])
    for name in ("create-running", "create-success"):
        queue_directory.put(name, 30)
        following.changed(["job-30"])
    following.held = False
    following.collect()
    assert told(outbox) == [(20, 0, "success"), (30, 0, "success")]


def test_a_final_message_without_ganetis_word_is_told_once_more_with_it(
    queue_directory: Any, outbox: Outbox, start: Start, answers: Any, counts: Counts
) -> None:
    following = start()
    following.held = True
    queue_directory.put("startup-success")
    following.changed(["job-20"])
    answers.answer(read_at=False)
    following.follower.collect()
    (first,) = (json.loads(message.body) for message in outbox.take(9))
    assert "read_at" not in first
    term, number = first["seq"]
    assert cursors(outbox) == {"20/0": "success", "unread/20/0": f"{term} {number} ganeti-op-status/{SERVER}"}
    assert counts.owed == 1
    # eventd is killed, and luxid is back.
    start().scan()
    _, again = (json.loads(message.body) for message in outbox.take(9))
    assert again["read_at"] == [1795300000, 500000]
    assert again == {**first, "read_at": again["read_at"]}  # also the same `seq`: what came later is newer
    assert cursors(outbox) == {"20/0": "success", "floor": "0", "mine": ""}
    assert counts.owed == 0
    start().scan()
    assert len(outbox) == 2


def test_what_is_owed_of_a_job_that_is_gone_is_forgotten(
    queue_directory: Any, outbox: Outbox, start: Start, answers: Any
) -> None:
    following = start()
    following.held = True
    queue_directory.put("startup-success")
    following.changed(["job-20"])
    answers.answer(read_at=False)
    following.follower.collect()
    (queue_directory.path / "job-20").unlink()
    start().scan()
    assert "unread/20/0" not in outbox.cursors()


def test_the_sequence_rises_whatever_the_clock_does(
    queue_directory: Any, outbox: Outbox, start: Start, clock: Clock
) -> None:
    following = start()
    following.follower.enter(7)
    for number, step in ((50, 0), (51, -3600), (52, 1), (53, 7200), (54, -7200)):
        clock.now += step
        queue_directory.put("startup-success", number)
        following.changed([f"job-{number}"])
    restarted = start()
    restarted.follower.enter(None)  # luxid's file cannot be read just now
    queue_directory.put("startup-success", 55)
    restarted.changed(["job-55"])
    found = [json.loads(message.body)["seq"] for message in outbox.take(9)]
    assert found == sorted(found)
    assert len({tuple(seq) for seq in found}) == 6
    assert {term for term, _ in found} == {7}


def test_a_node_that_was_master_long_ago_tells_what_is_recent_alone(
    queue_directory: Any, outbox: Outbox, start: Start, clock: Clock
) -> None:
    queue_directory.put("create-running")
    following = start()
    following.scan()
    following.follower.leave()
    told(outbox)
    # Another is the master for a month, and ends that job.
    for name in ("create-success", "startup-success", "network-add-success"):
        queue_directory.put(name)
    clock.now += 30 * DAY
    queue_directory.put("remove-success", 5000, received_timestamp=[int(clock.now) - 60, 0],
                        end_timestamp=[int(clock.now) - 50, 0])  # fmt: skip
    again = start()
    again.scan()
    assert told(outbox) == [(5000, 0, "success")]
    assert "17/0" not in outbox.cursors()
    again.scan()
    start().scan()
    assert told(outbox) == []


def test_who_is_master_no_more_tells_nothing_that_waits(
    queue_directory: Any, outbox: Outbox, start: Start, answers: Any
) -> None:
    following = start()
    following.scan()
    following.held = True
    queue_directory.put("startup-success")
    following.changed(["job-20"])
    late = list(answers.asked)
    following.follower.leave()
    answers.ready = late
    following.follower.collect()
    assert (told(outbox), answers.forgotten) == ([], 1)
    following.held = False
    following.scan()
    assert told(outbox) == [(20, 0, "success")]


def test_many_final_jobs_do_not_pile_up_while_ganeti_is_asked(
    queue_directory: Any, outbox: Outbox, start: Start, answers: Any
) -> None:
    following = start()
    following.held = True
    for number in range(1, 1701):
        queue_directory.put("startup-success", number)
    following.scan()
    assert len(answers.asked) <= 1000
    following.held = False
    following.collect()
    assert len(set(told(outbox))) == 1700


def test_changes_of_tags_are_kept_with_the_cursor_of_their_job(
    queue_directory: Any, outbox: Outbox, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    owed: list[Change] = []

    def owe(changes: list[Change]) -> None:
        assert recall(outbox.cursors()) == changes  # what is told of it is safe
        owed.extend(changes)

    follower = start(owe=owe)
    queue_directory.put("tags-set-success")
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "put", full)
        with pytest.raises(sqlite3.OperationalError):
            follower.changed(["job-27"])
    assert (owed, outbox.cursors()) == ([], {})
    follower.changed(["job-27"])
    follower.changed(["job-27"])
    assert [(change.cause, change.kind) for change in owed] == [("27/0", "instance"), ("27/1", "network")]
    assert set(cursors(outbox)) == {"27/0", "27/1", "27/2", "tags/27/0", "tags/27/1"}


def test_changes_of_tags_are_seen_before_anything_is_written(
    queue_directory: Any, outbox: Outbox, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Change] = []
    follower = start(see=seen.extend)
    queue_directory.put("startup-success")
    queue_directory.put("tags-set-success")
    monkeypatch.setattr(outbox, "put", full)
    with pytest.raises(sqlite3.OperationalError):
        follower.changed(["job-20", "job-27"])
    assert [(change.cause, change.kind) for change in seen] == [("27/0", "instance"), ("27/1", "network")]


def test_without_hooks_for_tags_nothing_is_kept(queue_directory: Any, outbox: Outbox, start: Start) -> None:
    queue_directory.put("tags-set-success")
    start().changed(["job-27"])
    assert set(cursors(outbox)) == {"27/0", "27/1", "27/2"}


def test_what_is_kept_survives_the_floor(queue_directory: Any, outbox: Outbox, start: Start, clock: Clock) -> None:
    follower = start(owe=lambda _: None)
    queue_directory.put("tags-set-success")
    follower.scan()
    clock.now += 2 * 3600
    follower.scan()
    assert set(cursors(outbox)) == {"floor", "mine", "tags/27/0", "tags/27/1"}


def test_at_the_end_what_ganeti_answers_yet_is_told(queue_directory: Any, outbox: Outbox, start: Start) -> None:
    following = start()
    following.held = True
    queue_directory.put("startup-success")
    following.changed(["job-20"])
    assert told(outbox) == []
    following.follower.finish(1.0)
    assert told(outbox) == [(20, 0, "success")]
