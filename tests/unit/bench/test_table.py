from __future__ import annotations

import pytest

from bench import table


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0123, "0.012"),
        (0.128, "0.13"),
        (0.00094, "0.00094"),
        (1.26, "1.3"),
        (99.94, "99.9"),
        (123.4, "123"),
        (12345.6, "12,346"),
    ],
)
def test_a_number_has_the_digits_that_mean_something(value: float, text: str) -> None:
    assert table.number(value) == text


def test_a_cell_is_the_median_with_the_span_and_the_failures() -> None:
    assert table.cell([2.0]) == "2.0"
    assert table.cell([1.0, 5.0, 2.0]) == "2.0 (1.0..5.0)"
    assert table.cell([1.0, None, 2.0]) == "1.5 (1.0..2.0) [2 of 3]"
    assert table.cell([None, None]) == "-"


def test_ours_is_compared_with_each_other_turn_by_turn() -> None:
    samples: table.Samples = {
        "rate": {"ours": [200.0, 400.0, 900.0], "theirs": [100.0, 200.0, 300.0], "slow": [None, 1.0, None]},
        "queue": {"ours": [0.0, 0.0, 0.0]},
    }
    assert table.compare(samples, "ours") == [
        ["", "ours", "theirs", "slow", "ours / theirs", "ours / slow"],
        ["rate", "400 (200..900)", "200 (100..300)", "1.0 [1 of 3]", "2.0x (2.0..3.0)", "400x [1 of 3]"],
        ["queue", "0", "", "", "", ""],
    ]


def test_columns_stand_below_each_other() -> None:
    assert table.render([["", "a", "bb"], ["first", "10", ""], ["x", "1", "2"]]) == (
        "        a  bb\nfirst  10\nx       1   2"
    )
