from __future__ import annotations

from bench.events.jobfiles import SERVERS
from bench.events.matching import Event, latencies


def test_each_is_seen_with_its_own_row() -> None:
    written = [Event(1, 0, 10.0), Event(2, 0, 11.0), Event(1, 1, 12.0)]
    seen = [Event(1, 1, 12.5), Event(1, 0, 10.25), Event(2, 0, 11.125)]
    assert [late for _, late in latencies(written, seen)] == [0.25, 0.125, 0.5]


def test_what_came_at_once_with_something_later_came_with_it() -> None:
    written = [Event(1, 2, 10.0), Event(1, 3, 10.5), Event(1 + SERVERS, 0, 11.0)]
    seen = [Event(1 + SERVERS, 0, 12.0)]
    assert [late for _, late in latencies(written, seen)] == [2.0, 1.5, 1.0]


def test_what_never_came_is_none_and_not_what_came_before_it() -> None:
    written = [Event(1, 0, 10.0), Event(1, 1, 11.0), Event(2, 3, 11.0)]
    seen = [Event(1, 0, 10.5), Event(1 + SERVERS - 1, 3, 20.0)]
    assert [late for _, late in latencies(written, seen)] == [0.5, None, None]


def test_an_older_row_that_comes_again_is_no_new_one() -> None:
    written = [Event(1, 0, 10.0), Event(1, 1, 11.0)]
    seen = [Event(1, 0, 10.5), Event(1, 1, 11.5), Event(1, 0, 11.75), Event(1, 1, 12.0)]
    assert [late for _, late in latencies(written, seen)] == [0.5, 0.5]
