"""When comparisons are started."""

from __future__ import annotations

import pytest

from frontend.reconcile.schedule import Schedule


class Work:
    """A comparison that takes `seconds` and then wants to be repeated as `wishes` say, one after the other."""

    def __init__(self, seconds: float = 0.5) -> None:
        self.now = 0.0
        self.seconds = seconds
        self.wishes: list[float | None] = []
        self.again: float | None = None
        self.started: list[tuple[float, str]] = []
        self._ends = -1.0

    @property
    def is_busy(self) -> bool:
        return self.now < self._ends

    def start(self, trigger: str) -> None:
        assert not self.is_busy
        self.started.append((self.now, trigger))
        self.again = self.wishes.pop(0) if self.wishes else None
        self._ends = self.now + self.seconds


@pytest.fixture
def work() -> Work:
    return Work()


def schedule(work: Work, seconds: float = 300) -> Schedule:
    return Schedule(seconds, work, clock=lambda: work.now)


def ticks(work: Work, plan: Schedule, until: int, idle_from: int = 0) -> None:
    for second in range(int(work.now) + 1, until + 1):
        work.now = float(second)
        plan.tick(idle=second >= idle_from)


def test_it_starts_at_once_and_comes_again(work: Work) -> None:
    ticks(work, schedule(work), 1000)
    assert work.started == [(1, "start"), (302, "timer"), (603, "timer"), (904, "timer")]


def test_without_a_timer_only_triggers_count(work: Work) -> None:
    plan = schedule(work, seconds=0)
    ticks(work, plan, 5000)
    plan.trigger("lost")
    ticks(work, plan, 9000)
    assert work.started == [(1, "start"), (5001, "lost")]


def test_a_trigger_waits_for_messages_a_second_and_no_more(work: Work) -> None:
    plan = schedule(work)
    ticks(work, plan, 100)
    plan.trigger("broker")
    ticks(work, plan, 120, idle_from=999)
    assert work.started[1:] == [(101, "broker")]


def test_once_more_when_the_backlog_is_applied(work: Work) -> None:
    ticks(work, schedule(work), 40, idle_from=20)
    assert work.started == [(1, "start"), (20, "backlog")]


def test_a_backlog_without_end_does_not_put_it_off_for_ever(work: Work) -> None:
    ticks(work, schedule(work, seconds=0), 130, idle_from=999)
    assert work.started == [(1, "start"), (61, "backlog"), (121, "backlog")]


def test_a_trigger_during_a_comparison_makes_another(work: Work) -> None:
    work.seconds = 10
    plan = schedule(work)
    ticks(work, plan, 5)
    plan.trigger("lost")
    plan.trigger("broker")  # one comparison serves both
    ticks(work, plan, 60)
    assert work.started == [(1, "start"), (11, "lost")]


def test_a_comparison_may_ask_to_be_repeated(work: Work) -> None:
    work.wishes = [2.0, 4.0, None]
    ticks(work, schedule(work), 60)
    assert work.started == [(1, "start"), (4, "again"), (9, "again")]


def test_a_repetition_needs_no_timer(work: Work) -> None:
    work.wishes = [2.0]
    ticks(work, schedule(work, seconds=0), 60)
    assert work.started == [(1, "start"), (4, "again")]
