from __future__ import annotations

import pytest

from bench.stats import Summary, highest, percentile, ratios, summary


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1.0), (0.5, 2.0), (0.51, 3.0), (0.75, 3.0), (0.99, 4.0), (1.0, 4.0)]
)
def test_a_percentile_is_one_of_the_values(share: float, value: float) -> None:
    assert percentile([4.0, 2.0, 1.0, 3.0], share) == value


def test_there_is_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_turns_without_a_figure_are_left_out_and_counted() -> None:
    assert summary([3.0, None, 1.0, 10.0]) == Summary(3.0, 1.0, 10.0, 3, 4)
    assert summary([None, None]) is None
    assert summary([]) is None


def test_ratios_are_of_the_same_turn() -> None:
    assert ratios([2.0, 9.0, None, 1.0], [1.0, 3.0, 1.0, None]) == [2.0, 3.0, None, None]
    assert ratios([2.0], [0.0]) == [None]


@pytest.mark.parametrize("start", [10.0, 400.0, 990.0, 1010.0, 30_000.0])
def test_the_highest_value_is_found_from_either_side(start: float) -> None:
    asked: list[float] = []

    def passes(value: float) -> bool:
        asked.append(value)
        return value <= 1000

    found = highest(passes, start, step=1.5, halvings=2, least=1, most=40_000)
    assert found is not None
    assert 1000 / 1.5**0.25 < found <= 1000
    assert found in asked


@pytest.mark.parametrize(("answer", "found", "last"), [(True, 1000.0, 1000.0), (False, None, 10.0)])
def test_the_search_stays_within_its_limits(answer: bool, found: float | None, last: float) -> None:
    asked: list[float] = []

    def passes(value: float) -> bool:
        asked.append(value)
        return answer

    assert highest(passes, 100, step=2, halvings=3, least=10, most=1000) == found
    assert asked[-1] == last
    assert all(10 <= value <= 1000 for value in asked)
