from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from eventd.sequence import Sequence


def numbers(count: int) -> list[dict[str, Any]]:
    return [{} for _ in range(count)]


def test_numbers_are_times_where_that_can_be() -> None:
    sequence = Sequence({})
    sequence.enter(5)
    messages = numbers(3)
    sequence.stamp(messages, 1_000_000)
    assert sequence.cursor() == {"seq": "5 1000002"}
    assert [message["seq"] for message in messages] == [[5, 1_000_000], [5, 1_000_001], [5, 1_000_002]]
    sequence.stamp([], 2_000_000)
    assert sequence.cursor() == {"seq": "5 1000002"}


def test_an_unknown_or_lower_term_changes_nothing() -> None:
    sequence = Sequence({"seq": "9 77", "17/0": "success"})
    for term in (None, 3, 0):
        sequence.enter(term)
        assert sequence.term == 9
    (message,) = messages = numbers(1)
    sequence.stamp(messages, 50)
    assert message["seq"] == [9, 78]


@given(st.lists(st.tuples(st.integers(0, 10**17), st.integers(0, 3), st.booleans(), st.none() | st.integers(0, 9))))
def test_it_rises_over_clocks_restarts_and_terms(steps: list[tuple[int, int, bool, int | None]]) -> None:
    stored: dict[str, str] = {}
    sequence = Sequence(stored)
    told: list[list[int]] = []
    for now, count, restart, term in steps:
        if restart:
            sequence = Sequence(stored)
        sequence.enter(term)
        messages = numbers(count)
        sequence.stamp(messages, now)
        stored.update({name: value or "" for name, value in sequence.cursor().items()})
        told += [message["seq"] for message in messages]
    assert all(one < two for one, two in pairwise(told))
