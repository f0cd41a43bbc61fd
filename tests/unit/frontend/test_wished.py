"""What a tenant changed is shown at once, and in the end what Ganeti has, whatever order messages come in."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontend.compute import wished
from frontend.update import state
from ganeti_ext import tags
from tests.unit.frontend.updates import FACTS, op, read, row

OLD, NEW = {"description": "old"}, {"description": "new"}


def tagged(facts: dict[str, str], **meta: str) -> list[str]:
    return [*tags.encode({**FACTS, **facts}), *tags.encode_metadata(meta)]


def told(opcode: str, job: int, number: int, said: list[str] | None, status: str = "success") -> dict[str, Any]:
    """A final message, with what Ganeti said of the tags when it was asked."""
    more = read(True, number, tags=said) if said is not None else {}
    return op(opcode, status, job=job, at=number, seq=[1, number], **more)


def after(start: dict[str, Any], messages: Iterable[dict[str, Any]]) -> dict[str, Any]:
    for message in messages:
        start = {**start, **(state.advance(start, message, {"blue": None}) or {})}
    return start


def wishing(
    facts: dict[str, str], facets: tuple[str, ...] = ("facts",), jobs: tuple[int, ...] = (20,)
) -> dict[str, Any]:
    """A running server whose tenant has just asked for these facts."""
    known = after(row(), [told("STARTUP", 11, 1, tagged(OLD))])
    assert known["facts"] == OLD
    return {**known, "facts": facts, "wished": wished.added(None, facets, jobs)}


def test_what_was_read_before_the_job_ended_is_not_shown() -> None:
    found = after(wishing(NEW), [told("REBOOT", 19, 5, tagged(OLD))])
    assert (found["facts"], found["status"]) == (NEW, "ACTIVE")
    found = after(found, [told("OP_TAGS_SET", 20, 6, tagged(NEW))])
    assert (found["facts"], found["wished"]) == (NEW, None)


def test_a_failed_job_brings_the_truth_back() -> None:
    found = after(wishing(NEW), [told("OP_TAGS_SET", 20, 6, tagged(OLD), "error")])
    assert (found["facts"], found["wished"]) == (OLD, None)


@pytest.mark.parametrize("status", ["error", "canceled"])
def test_a_failed_job_of_which_ganeti_was_not_asked_shows_what_it_said_last(status: str) -> None:
    silent = told("OP_TAGS_SET", 20, 6, None, status)
    found = after(wishing(NEW), [told("REBOOT", 19, 5, tagged(OLD)), silent])
    assert (found["facts"], found["wished"]) == (OLD, None)
    # Nobody has said anything: it stays as it was shown, until the same message comes with a reading.
    found = after(wishing(NEW), [silent])
    assert found["facts"] == NEW
    assert after(found, [{**told("OP_TAGS_SET", 20, 6, tagged(OLD), status)}])["facts"] == OLD


def test_a_success_of_which_ganeti_was_not_asked_is_newer_than_what_it_said_before() -> None:
    found = after(wishing(NEW), [told("OP_TAGS_SET", 20, 6, None), told("REBOOT", 19, 5, tagged(OLD))])
    assert (found["facts"], found["wished"]) == (NEW, None)


def test_what_changed_after_the_job_and_was_told_before_its_end_counts() -> None:
    other = {"description": "an administrator's"}
    found = after(wishing(NEW), [told("OP_TAGS_SET", 21, 9, tagged(other)), told("OP_TAGS_SET", 20, 6, tagged(NEW))])
    assert (found["facts"], found["wished"]) == (other, None)


def test_only_what_was_asked_for_is_held_back() -> None:
    found = after(wishing(NEW), [told("REBOOT", 19, 5, tagged({**OLD, "name": "renamed"}, role="db"))])
    assert (found["facts"], found["name"], found["metadata"]) == (NEW, "renamed", {"role": "db"})


def test_two_changes_one_after_the_other() -> None:
    start = wishing(NEW, jobs=(20, 21))
    start = {**start, "facts": {"description": "third"}, "wished": wished.added(start["wished"], ["facts"], [22, 23])}
    ends = [
        told("OP_TAGS_SET", 20, 6, tagged(NEW)),
        told("OP_TAGS_DEL", 21, 7, tagged(NEW)),
        told("OP_TAGS_SET", 22, 8, tagged({"description": "third"})),
        told("OP_TAGS_DEL", 23, 9, tagged({"description": "third"})),
    ]
    for order in itertools.permutations(ends):
        for count in range(4):
            assert after(start, order[:count])["facts"] == {"description": "third"}
        found = after(start, order)
        assert (found["facts"], found["wished"]) == ({"description": "third"}, None)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_order_ends_as_ganeti_is(data: st.DataObject) -> None:
    """Jobs of the tenant and of others change the value, some fail, some are not asked about until later."""
    value, messages, mine = "old", [], []
    for number in range(data.draw(st.integers(1, 5))):
        job = 20 + number
        is_mine, status = data.draw(st.booleans()), data.draw(st.sampled_from(("success", "success", "error")))
        if is_mine:
            mine.append(job)
        if status == "success":
            value = f"value {job}"
        message = told("OP_TAGS_SET", job, 2 + number, tagged({"description": value}), status)
        if data.draw(st.booleans()):  # Ganeti did not answer at first
            messages.append({**told("OP_TAGS_SET", job, 2 + number, None, status)})
        messages.append(message)
    start = wishing({"description": "wished"}, jobs=tuple(mine)) if mine else after(row(), [])
    again = data.draw(st.lists(st.sampled_from(messages), max_size=3))
    found = after(start, data.draw(st.permutations(messages + again)))
    assert (found["facts"], found["wished"]) == ({"description": value}, None)


def test_progress_of_bookkeeping_alone_is_no_change_of_the_server() -> None:
    changed = state.advance(wishing(NEW, jobs=(20, 21)), told("OP_TAGS_SET", 20, 6, tagged(NEW)), {"blue": None})
    assert changed is not None
    assert changed.keys() <= state.BOOKKEEPING


def test_columns_of_changes() -> None:
    known = {**row(), "facts": {"key": "k", "ip4": "192.0.2.1"}}
    changes = {"ip4": None, "description": "d", "flavor": "f2", "name": "n"}
    assert wished.columns(known, changes) == {
        "facts": {"key": "k", "description": "d"},
        "flavor_id": "f2",
        "name": "n",
    }
    assert wished.facts(known, ["key", "name", "description", "image"]) == {
        "key": "k",
        "name": known["name"],
        "image": known["image_id"],
    }
    with pytest.raises(ValueError, match="'server' is no fact that changes"):
        wished.facet("server")
