"""Messages from a source into the database."""

from __future__ import annotations

import itertools
import os
import select
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from frontend.update.consumer import BATCH, Backoff, Delivery, OutboxSource, Pump
from ganeti_ext.errors import ConfigError, ExtError
from ganeti_ext.outbox import Outbox
from ganeti_ext.service import Loop


class Recorder:
    """Stands for the mirror; fails as long as `down`."""

    def __init__(self) -> None:
        self.taken: list[str | bytes] = []
        self.down = False

    def take_all(self, bodies: Sequence[str | bytes]) -> Iterator[int]:
        for body in bodies:
            if self.down:
                raise OperationalError("SELECT 1", {}, Exception("connection refused"))
            self.taken.append(body)
            yield 1


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    outbox = Outbox(str(tmp_path / "outbox.db"))
    yield outbox
    outbox.close()


def run(pump: Pump, loop: Loop, until: Callable[[], bool]) -> None:
    """Turn the loop until something holds, for no longer than 20 seconds."""
    loop.every(0.01, lambda: loop.stop() if until() else None)
    loop.every(20, loop.stop)
    loop.run()


def put(outbox: Outbox, bodies: Sequence[str]) -> None:
    outbox.put([("key", body) for body in bodies])


def test_a_backlog_and_what_comes_later_arrive_in_order(outbox: Outbox, tmp_path: Path) -> None:
    bodies = [str(number) for number in range(2 * BATCH + 5)]
    put(outbox, bodies[:-1])
    taken, loop = Recorder(), Loop()
    pump = Pump(OutboxSource(str(tmp_path / "outbox.db")), taken)
    pump.start(loop)
    loop.every(0.05, lambda: put(outbox, bodies[-1:]) if len(taken.taken) == len(bodies) - 1 else None)
    run(pump, loop, lambda: len(taken.taken) == len(bodies))
    assert taken.taken == bodies
    assert (len(outbox), pump.idle) == (0, True)
    pump.close()


def test_messages_wait_while_the_database_is_down(
    outbox: Outbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now, returns = [0.0], []
    taken = Recorder()
    source = OutboxSource(str(tmp_path / "outbox.db"))
    pump = Pump(source, taken, Backoff(lambda: now[0]), lambda: returns.append(now[0]))
    put(outbox, ["a", "b"])
    taken.down = True
    for moment in (0.0, 0.9, 1.0, 2.9, 3.0, 11.1):
        now[0] = moment
        pump.work()
    assert (len(outbox), source.waiting(), pump.idle, pump.batches) == (2, 2, False, 0)
    assert caplog.text.count("connection refused; messages wait; trying again every 2 s") == 1
    taken.down = False
    now[0] = 13.1
    pump.work()
    assert (taken.taken, len(outbox), pump.idle, pump.batches) == (["a", "b"], 0, True, 1)
    assert returns == [13.1]
    pump.close()


def test_a_short_absence_of_the_database_is_not_told(outbox: Outbox, tmp_path: Path) -> None:
    now, returns = [0.0], []
    taken = Recorder()
    pump = Pump(OutboxSource(str(tmp_path / "outbox.db")), taken, Backoff(lambda: now[0]), lambda: returns.append(1))
    put(outbox, ["a"])
    taken.down = True
    pump.work()
    taken.down = False
    now[0] = 9.0
    pump.work()
    assert (taken.taken, returns) == (["a"], [])
    pump.close()


def test_what_was_applied_before_a_failure_does_not_come_again(outbox: Outbox, tmp_path: Path) -> None:
    taken = Recorder()

    def take_all(bodies: Sequence[str | bytes]) -> Iterator[int]:
        yield from Recorder.take_all(taken, bodies[:1])
        taken.down = True
        yield from Recorder.take_all(taken, bodies[1:])

    taken.take_all = take_all  # type: ignore[method-assign]
    pump = Pump(OutboxSource(str(tmp_path / "outbox.db")), taken)
    put(outbox, ["a", "b"])
    pump.work()
    assert [message.body for message in outbox.take(9)] == ["b"]
    pump.close()


def test_it_is_tried_again_within_two_seconds_however_long_it_lasts(caplog: pytest.LogCaptureFixture) -> None:
    now, tried = [0.0], []
    backoff = Backoff(lambda: now[0])
    while now[0] < 120:
        if not backoff.waiting:
            backoff.failed("database: away")
            tried.append(now[0])
        now[0] += 0.25
    assert tried[:3] == [0, 1, 3]
    assert max(later - earlier for earlier, later in itertools.pairwise(tried)) == 2
    assert caplog.text.count("database: away") == 2  # not each time
    assert backoff.worked() == 120
    assert not backoff.waiting
    assert backoff.worked() == 0


def test_another_failure_is_logged_at_once(caplog: pytest.LogCaptureFixture) -> None:
    backoff = Backoff(lambda: 0.0)
    for why in ("refused", "refused", "no such table"):
        backoff.failed(why)
    assert (caplog.text.count("refused"), caplog.text.count("no such table")) == (1, 1)


def test_a_second_taker_is_refused_by_name(outbox: Outbox, tmp_path: Path) -> None:
    path = str(tmp_path / "outbox.db")
    first = OutboxSource(path)
    put(outbox, ["a"])
    with pytest.raises(ExtError, match=rf"outbox\.db: process {os.getpid()} takes from it already"):
        OutboxSource(path)
    put(outbox, ["b"])
    assert [one.body for one in first.take(9)] == ["a", "b"]  # and is still woken
    assert select.select([first._wake], [], [], 0)[0]
    first.close()
    OutboxSource(path).close()


def test_an_outbox_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none/outbox\.db"):
        OutboxSource(str(tmp_path / "none" / "outbox.db"))


def test_delivery_carries_the_number_of_its_message(outbox: Outbox, tmp_path: Path) -> None:
    put(outbox, ["a", "b", "c"])
    source = OutboxSource(str(tmp_path / "outbox.db"))
    assert source.take(2) == [Delivery(1, "a"), Delivery(2, "b")]
    source.settle([Delivery(1, "a")])
    assert source.take(2) == [Delivery(2, "b"), Delivery(3, "c")]
    source.close()
