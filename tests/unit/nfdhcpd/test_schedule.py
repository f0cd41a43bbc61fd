from __future__ import annotations

import random
from itertools import pairwise

from nfdhcpd.schedule import Schedule


def simulate(schedule: Schedule, until: float, step: float = 0.5) -> list[tuple[float, int]]:
    sent, now = [], 0.0
    while now < until:
        sent += [(now, ifindex) for ifindex in schedule.due(now)]
        now += step
    return sent


def test_first_comes_soon_then_one_in_each_period() -> None:
    schedule = Schedule(600, random.Random(1).random)
    schedule.start(7, 0.0)
    times = [when for when, _ in simulate(schedule, 7200)]
    gaps = [after - before for before, after in pairwise(times)]
    assert times[0] <= 2.5
    assert all(gap <= 16.5 for gap in gaps[:2])
    assert all(450 <= gap <= 600.5 for gap in gaps[2:])
    assert len(times) > 12


def test_taps_are_spread_over_the_period() -> None:
    schedule = Schedule(600, random.Random(1).random)
    for ifindex in range(1000):
        schedule.start(ifindex, 0.0)
    seconds = [int(when) for when, _ in simulate(schedule, 4000) if when > 2500]
    assert max(seconds.count(second) for second in set(seconds)) < 25


def test_stopped_and_begun_again() -> None:
    schedule = Schedule(600, lambda: 1.0)
    schedule.start(7, 0.0)
    schedule.start(8, 0.0)
    schedule.stop(7)
    assert list(schedule.due(2.0)) == [8]
    schedule.start(7, 2.0)
    schedule.start(7, 2.0)
    assert list(schedule.due(4.0)) == [7]
    assert list(schedule.due(4.0)) == []
