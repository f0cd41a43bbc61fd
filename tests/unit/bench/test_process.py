from __future__ import annotations

import os
import subprocess
import time

import pytest

from bench import process

BUSY = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; read line"


def test_a_process_has_the_time_that_it_says_it_has() -> None:
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    ended = os.times()
    mine = time.process_time() + ended.children_user + ended.children_system
    assert process._cpu(os.getpid()) == pytest.approx(mine, abs=0.03)


def test_children_count() -> None:
    shell = subprocess.Popen(
        ["sh", "-c", f"sh -c '{BUSY}; exit'; exit"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 20
        while process._cpu(process._tree(shell.pid)[-1]) < 0.05:
            assert time.monotonic() < deadline
        below = process._tree(shell.pid)
        assert below[0] == shell.pid
        assert len(below) == 2
        assert sum(map(process._cpu, below)) > 0.05 > process._cpu(shell.pid)
        assert process._rss(os.getpid()) > process._rss(shell.pid) > 0.1
    finally:
        assert shell.stdin is not None
        shell.stdin.close()
        shell.wait(10)
