"""What jobs did, one row for each opcode, in whatever order its messages come."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from frontend.update import actions
from ganeti_ext import event
from tests.unit.frontend.updates import BEGIN, NAME, op

HISTORY = [op("STARTUP", status, at=at, seq=[1, at]) for at, status in enumerate(("queued", "waiting", "running"))] + [
    op("STARTUP", "error", at=9, seq=[1, 9], result="node is down")
]


def apply(row: dict[str, Any] | None, *messages: dict[str, Any]) -> tuple[dict[str, Any] | None, int]:
    """The row after these messages, and how often it was said to have ended."""
    ends = 0
    for message in messages:
        told = actions.told(row, message, "its-id")
        row, ends = told.row or row, ends + told.ended
    return row, ends


def test_an_opcode_from_queued_to_failed() -> None:
    row, ends = apply(None, *HISTORY)
    assert ends == 1
    assert row == {
        "cluster": "c", "job": 10, "op_index": 0, "operation": "OP_INSTANCE_STARTUP", "kind": "instance", "name": NAME,
        "server_id": "its-id", "status": "error", "rank": 4, "began": BEGIN, "updated": BEGIN + 9,
        "message": "node is down", "ended": BEGIN + 9, "seq": [1, 9], "source": None, "target": None,
    }  # fmt: skip


def test_any_order_and_any_repetition_end_in_one_row_that_ended_once() -> None:
    expected = apply(None, *HISTORY)
    for order in itertools.permutations(HISTORY):
        assert apply(None, *order) == expected
        assert apply(None, *order, *reversed(order), *order) == expected


def test_the_last_status_alone_is_enough() -> None:
    row, ends = apply(None, HISTORY[-1])
    assert row is not None
    assert (row["status"], row["began"], ends) == ("error", BEGIN + 9, 1)


def test_a_message_that_says_nothing_new_writes_nothing() -> None:
    row, _ = apply(None, *HISTORY)
    for message in HISTORY:
        assert actions.told(row, message, "its-id") == actions.Told(None, False)


def test_what_a_job_says_of_its_end_stands_where_it_was_taken_for_lost() -> None:
    """A master that comes back has it still; what hangs on the end was done when it was taken for lost."""
    queued, lost = HISTORY[0], op("STARTUP", "error", at=5, result="job 10 is not known to Ganeti any more")
    end = op("STARTUP", "success", at=9, seq=[3, 1])
    row, ends = apply(None, queued, lost)
    assert row is not None
    assert (row["status"], ends) == ("error", 1)
    for messages in ((queued, lost, end), (queued, end, lost), (queued, lost, end, lost, queued)):
        row, ends = apply(None, *messages)
        assert row is not None
        assert (row["status"], row["message"], row["ended"], ends) == ("success", None, BEGIN + 9, 1)


def test_success_keeps_no_text() -> None:
    row, _ = apply(None, op("STARTUP", "success", logmsg="all is well"))
    assert row is not None
    assert row["message"] is None


def test_a_cluster_made_anew_counts_from_one_again() -> None:
    """Its job 10 is another one: it begins, and ends once."""
    old, _ = apply(None, *HISTORY)
    day = 100_000
    again = [op("STARTUP", "queued", at=day), op("STARTUP", "success", at=day + 9)]
    row, ends = apply(old, *again)
    assert row is not None
    assert (row["status"], row["began"], row["message"], ends) == ("success", BEGIN + day, None, 1)
    # What is still told of the old one changes nothing of its end any more.
    late, ends = apply(row, *HISTORY)
    assert (late, ends) == (row | {"began": BEGIN}, 0)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_another_job_of_the_number_is_known_by_its_object(order: tuple[int, int]) -> None:
    messages = [op("STARTUP", "success", at=5), op("SHUTDOWN", "success", at=900, instance="gx-other")]
    row, _ = apply(None, *(messages[number] for number in order))
    assert row is not None
    assert (row["name"], row["operation"]) == ("gx-other", "OP_INSTANCE_SHUTDOWN")


def test_an_end_told_again_by_another_master_is_the_same_end() -> None:
    """A canceled opcode has no times of its own: its job's end counts once that is known."""
    row, ends = apply(None, op("STARTUP", "canceled", at=5), op("STARTUP", "canceled", at=70))
    assert row is not None
    assert (row["ended"], ends) == (BEGIN + 5, 1)


def test_clocks_set_back_do_not_hide_the_end() -> None:
    told = [op("STARTUP", "queued", at=3000), op("STARTUP", "running", at=3600), op("STARTUP", "success", at=5)]
    for order in itertools.permutations(told):
        row, ends = apply(None, *order, *order)
        assert row is not None
        assert (row["status"], row["ended"], ends) == ("success", BEGIN + 5, 1)


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (event.NETWORK_STATUS, "network"),
        (event.NODE_STATUS, "node"),
        (event.GROUP_STATUS, "group"),
        (event.CLUSTER_STATUS, "cluster"),
    ],
)
def test_objects_of_other_kinds(kind: str, key: str) -> None:
    row, _ = apply(None, {**op("OP_X_SET_PARAMS", "success"), "type": kind, key: "its-name"})
    assert row is not None
    assert (row["kind"], row["name"]) == (key, "its-name")


def test_a_row_gives_its_message_back() -> None:
    row, _ = apply(None, *HISTORY)
    assert row is not None
    message = actions.message_of(row)
    assert message["order"] == HISTORY[-1]["order"]
    assert apply(None, message)[0] == row | {"began": BEGIN + 9}
