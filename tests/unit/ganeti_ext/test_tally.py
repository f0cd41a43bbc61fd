"""Counting by several processes in one file."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from ganeti_ext import __version__, tally
from ganeti_ext.tally import Shape, Tally

SHAPE = Shape(("GET /a", "GET /b"), ("200", "404", "other"), (0.1, 1.0))


def children(counted: Tally, count: int, times: int) -> None:
    """Processes that count in blocks of their own, as gunicorn's workers."""
    pids = {}
    for _ in range(count):
        block = counted.claim()
        pid = os.fork()
        if pid == 0:
            counted.use(block)
            for _ in range(times):
                counted.count("GET /a", "200", 0.05)
            os._exit(0)
        pids[pid] = block
    for pid, block in pids.items():
        assert os.waitpid(pid, 0)[1] == 0
        counted.release(block)


def test_what_processes_counted_is_summed(tmp_path: Path) -> None:
    counted = Tally(str(tmp_path / "counts"), SHAPE, 4)
    children(counted, 3, 2000)
    children(counted, 3, 1000)  # those that follow go on where others ended
    counted.count("GET /b", "999", 2.0)
    counted.count("GET /b", "404", 0.1)
    found = tally.read(str(tmp_path / "counts"))
    assert found is not None
    assert found.rows["GET /a"].codes == {"200": 9000}
    assert found.rows["GET /a"].times == [9000, 0, 0]
    assert found.rows["GET /a"].seconds == pytest.approx(450)
    assert found.rows["GET /b"] == ({"other": 1, "404": 1}, [1, 0, 1], 2.1)
    assert (found.version, found.bounds) == (__version__, [0.1, 1.0])


def test_threads_lose_nothing(tmp_path: Path) -> None:
    counted = Tally(str(tmp_path / "counts"), SHAPE, 1)

    def work() -> None:
        for _ in range(5000):
            counted.count("GET /a", "200", 0.5)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = tally.read(str(tmp_path / "counts"))
    assert found is not None
    assert found.rows["GET /a"].codes == {"200": 20000}


def test_too_many_processes_share_the_last_block(tmp_path: Path) -> None:
    counted = Tally(str(tmp_path / "counts"), SHAPE, 2)
    assert [counted.claim() for _ in range(4)] == [0, 1, 1, 1]
    counted.release(1)
    counted.release(0)
    assert counted.claim() == 0


def test_when_whoever_made_it_is_gone_there_is_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "counts")
    assert tally.read(path) is None
    pid = os.fork()
    if pid == 0:
        Tally(path, SHAPE, 1).count("GET /a", "200", 0)
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.path.exists(path)
    assert tally.read(path) is None
    Tally(path, SHAPE, 1)
    found = tally.read(path)
    assert found is not None
    assert found.rows["GET /a"].codes == {}


def test_a_child_that_outlives_the_master_still_holds_it(tmp_path: Path) -> None:
    path = str(tmp_path / "counts")
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        Tally(path, SHAPE, 1)
        if os.fork() == 0:
            os.read(read, 1)
        os._exit(0)
    os.waitpid(pid, 0)
    assert tally.read(path) is not None
    os.write(write, b"x")


def test_no_place_for_it(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        Tally(str(tmp_path / "none/counts"), SHAPE, 1)
    assert list(tmp_path.iterdir()) == []


def test_others_may_not_read_it(tmp_path: Path) -> None:
    Tally(str(tmp_path / "counts"), SHAPE, 1)
    assert os.stat(tmp_path / "counts").st_mode & 0o777 == 0o640
