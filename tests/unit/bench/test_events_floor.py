"""The floor's own ends: what one puts the other takes, and whoever reads the rows sees it."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

import pytest

from bench.events import inside, rows, sinks, sqlitequeue
from bench.events.matching import Event


@pytest.mark.parametrize("synchronous", ["FULL", "NORMAL"])
def test_what_is_put_is_taken_in_order_and_once(tmp_path: Path, synchronous: str) -> None:
    path = str(tmp_path / "queue.db")
    taker = sqlitequeue.Taker(path, synchronous)
    sender = sqlitequeue.Sender(path, synchronous)
    for number in range(150):
        sender.send(str(number))
    found: list[str] = []
    while len(found) < 150:
        found += taker.take()
        taker.done()
    assert found == [str(number) for number in range(150)]
    assert sqlite3.connect(path).execute("SELECT count(*) FROM message").fetchone() == (0,)
    assert sqlite3.connect(path).execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_taker_waits_for_what_comes(tmp_path: Path) -> None:
    taker = sqlitequeue.Taker(str(tmp_path / "queue.db"), "NORMAL")
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.extend(taker.take()))
    thread = threading.Thread(target=_take_in_its_own, args=(tmp_path / "other.db", found))
    thread.start()
    while not (tmp_path / "other.db.wake").exists():
        time.sleep(0.001)
    sqlitequeue.Sender(str(tmp_path / "other.db"), "NORMAL").send("one")
    thread.join(10)
    assert found == ["one"]


def _take_in_its_own(path: Path, found: list[str]) -> None:
    found += sqlitequeue.Taker(str(path), "NORMAL").take()


@pytest.mark.parametrize("kind", ["sqlite", "lines"])
def test_rows_are_seen_as_they_come(tmp_path: Path, kind: str) -> None:
    where = str(tmp_path / "rows")
    sink = sinks.KINDS[kind](where)
    sink.keep([(1, 4)])
    began = time.monotonic()
    inside.listen(kind, where, "seen")
    sink.keep([(51, 0)])
    sink.keep([(51, 4), (52, 4)])
    found = inside.heard(51, 2, 10)
    assert [(job, rank) for job, rank, _ in found] == [(51, 0), (51, 4), (52, 4)]
    assert all(began <= at <= time.monotonic() for _, _, at in found)


@pytest.mark.parametrize("kind", ["sqlite", "lines"])
def test_a_backlog_has_arrived_when_its_last_row_is_there(tmp_path: Path, kind: str) -> None:
    where = str(tmp_path / "rows")
    sink = sinks.KINDS[kind](where)
    sink.keep([(1, 4), (2, 4)])
    began = time.monotonic()
    late = threading.Timer(0.1, lambda: sinks.KINDS[kind](where).keep([(5, 4)]))
    late.start()
    sink.keep([(3, 4), (4, 4)])
    at, newest, found = inside.arrived(kind, where, "seen", 3, 3, 10)
    late.join()
    assert (newest, found) == (5, 3)
    assert 0.1 <= at - began < 5
    assert inside.arrived(kind, where, "seen", 3, 4, 0.05)[1:] == (5, 3)
    sink.keep([(7, 4)])  # without the one before it
    assert inside.arrived(kind, where, "seen", 3, 5, 0.05)[1:] == (7, 4)


def test_half_a_line_is_read_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_text("1 3 0.5\n2 3 1.")
    found = rows.LineRows(str(path), "")
    assert found.events(0) == [Event(1, 3, 0.5)]
    assert found.newest() == 1
    path.write_text("1 3 0.5\n2 3 1.25\n")
    assert found.events(0) == [Event(2, 3, 1.25)]
    assert (found.newest(), found.ended(1), found.ended(2)) == (2, 2, 1)
    found.close()
