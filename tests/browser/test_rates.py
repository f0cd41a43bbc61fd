"""What the page makes of measurements: its pure module alone, in the browser that runs it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from frontend.page.served import FOLDER

BASE = "http://page.example/"
MINUTE = 60_000


class Module:
    """Calls what rates.js gives; times in it are milliseconds."""

    def __init__(self, page: Any) -> None:
        self._page = page

    def __call__(self, name: str, *values: Any) -> Any:
        words = "async ([name, values]) => (await import('./rates.js'))[name](...values)"
        return self._page.evaluate(words, [name, list(values)])

    def rates(self, samples: list[dict[str, Any]], key: str, count: int = 4, step: int = MINUTE) -> Any:
        """One of what there was in each step, from 00:00 on."""
        return [each[key] for each in self("rates", samples, {"from": 0, "step": step, "count": count})]


@pytest.fixture(scope="module")
def module(browser: Any) -> Iterator[Module]:
    page = browser.new_page()
    page.route(f"{BASE}**", lambda route: route.fulfill(content_type="text/html", body=""))
    script = (FOLDER / "rates.js").read_text()
    page.route(f"{BASE}rates.js", lambda route: route.fulfill(content_type="text/javascript", body=script))
    page.goto(BASE)
    yield Module(page)
    page.close()


def sample(seconds: float, amount: int, began: str = "a", **more: int) -> dict[str, Any]:
    """Of the first hour of 1970; all counters are the amount."""
    at = f"1970-01-01T00:{int(seconds) // 60:02}:{seconds % 60:06.3f}Z"
    counters = dict.fromkeys(("cpu_ns", "received", "sent", "read", "written"), amount)
    return {"at": at, "began": began, "memory_kib": 1024, **counters, **more}


def test_a_rate_is_what_grew_in_a_second(module: Module) -> None:
    found = [sample(0, 1000), sample(60, 7000), sample(120, 7000, memory_kib=2048), sample(180, 7060)]
    assert module.rates(found, "received") == [100, 0, 1, None]
    assert module.rates(found, "memory_kib") == [1024, 2048, 1024, None]
    assert [each["at"] for each in module("rates", found, {"from": 0, "step": MINUTE, "count": 2})] == [0, MINUTE]


def test_what_is_between_two_steps_is_put_to_both(module: Module) -> None:
    found = [sample(30, 0), sample(90, 600), sample(150, 600)]
    assert module.rates(found, "sent") == [10, 5, 0, None]


def test_nothing_is_lost_in_long_steps(module: Module) -> None:
    found = [sample(60 * n + 7, 60 * n * n) for n in range(11)]
    rates = module.rates(found, "read", count=3, step=5 * MINUTE)
    assert sum(each * seconds for each, seconds in zip(rates, (293, 300, 7), strict=True)) == pytest.approx(6000)


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (sample(60, 5, "b"), "a restart"),
        (sample(60, 9999, "b"), "another node, of which the counter is larger"),
        (sample(60, 999), "a counter that went back"),
        (sample(0, 2000), "the same time"),
    ],
)
def test_where_counters_begin_anew_there_is_a_gap(module: Module, second: dict[str, Any], why: str) -> None:
    third = {**second, "at": sample(120, 0)["at"], "cpu_ns": second["cpu_ns"] + 600}
    rates = module.rates([sample(0, 1000), second, third], "cpu_ns", count=2)
    assert rates == ([5, 5] if why == "the same time" else [None, 10])


def test_a_counter_that_went_back_leaves_the_others(module: Module) -> None:
    """As when a connection is taken away."""
    found = [sample(0, 600), sample(60, 1200, received=5), sample(120, 1200, received=65)]
    assert module.rates(found, "received", count=2) == [None, 1]
    assert module.rates(found, "cpu_ns", count=2) == [10, 0]


def test_where_nothing_was_measured_for_long_there_is_a_gap(module: Module) -> None:
    found = [sample(0, 0), sample(600, 600), sample(1260, 9000), sample(1320, 9060)]
    rates = module.rates(found, "written", count=23)
    assert rates == [1] * 10 + [None] * 11 + [1, None]


@pytest.mark.parametrize("found", [[], [sample(60, 5)]])
def test_of_one_measurement_nothing_is_known(module: Module, found: list[dict[str, Any]]) -> None:
    assert module.rates(found, "received") == [None] * 4


def test_what_is_before_or_behind_the_steps_is_left_out(module: Module) -> None:
    found = [{**sample(0, 0), "at": "1969-12-31T23:58:30Z"}, sample(0, 90), sample(240, 330), sample(300, 9000)]
    assert module.rates(found, "received") == [1] * 4


def test_measurements_come_together_once_and_old_ones_go(module: Module) -> None:
    known, found = [sample(0, 0), sample(60, 1), sample(120, 2)], [sample(180, 3), sample(120, 2)]
    assert module("merged", known, found, MINUTE) == [sample(60, 1), sample(120, 2), sample(180, 3)]


def test_a_line_is_broken_where_nothing_is_known(module: Module) -> None:
    assert module("runs", [None, 1, 2, None, None, 3]) == [{"start": 1, "values": [1, 2]}, {"start": 5, "values": [3]}]
    assert module("runs", [None]) == []
    assert module("folded", [1, 3, None, None, 4], 2) == [2, None, 4]
    assert module("mean", [None]) is None


def test_axes_end_at_round_numbers(module: Module) -> None:
    ends = {0: 1, 0.3: 0.5, 1: 1, 3: 5, 11: 20, 700: 1000, 1_100_000: 2_000_000}
    assert {value: module("ceiling", value) for value in ends} == pytest.approx(ends)
    assert module("prefix", 500) == ["", 1]
    assert module("prefix", 2000) == ["k", 1000]
    assert module("prefix", 5e6) == ["M", 1e6]
    assert module("prefix", 2e12) == ["G", 1e9]
