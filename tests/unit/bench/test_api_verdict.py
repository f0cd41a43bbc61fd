"""A create that was lost or doubled is seen, wherever it was."""

from __future__ import annotations

import pytest

from bench.api.verdict import wrong


def test_one_job_and_one_row_of_each_is_right() -> None:
    assert wrong(["a", "b"], ["gx-b", "gx-a"], [("a", "gx-a"), ("b", "gx-b")]) == []


@pytest.mark.parametrize(
    ("answered", "submitted", "rows", "told"),
    [
        ("ab", "a", "ab", ["1 told, but never submitted, one is gx-b"]),
        ("ab", "aab", "ab", ["1 submitted twice, one is gx-a"]),
        ("ab", "ab", "a", ["1 told, but without a row, one is gx-b"]),
        ("aa", "a", "a", ["1 told twice, one is gx-a"]),
        ("a", "abc", "a", ["2 submitted, but never told, one is gx-b"]),
        ("a", "a", "ab", ["1 a row, but never told, one is gx-b"]),
    ],
)
def test_what_does_not_fit(answered: str, submitted: str, rows: str, told: list[str]) -> None:
    assert wrong(list(answered), [f"gx-{each}" for each in submitted], [(each, f"gx-{each}") for each in rows]) == told
