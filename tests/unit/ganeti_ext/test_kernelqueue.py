"""The kernel's word on the queues."""

from __future__ import annotations

import os
from pathlib import Path

from ganeti_ext import kernelqueue as kernel
from ganeti_ext.kernelqueue import Queue

# As Linux 6.12 prints it, seq_show() of net/netfilter/nfnetlink_queue.c.
TEXT = "   42  27421     3 2 65531     7     2      129  1\n   43 4294940     0 2 65531     0     0        0  1\n"


def test_the_columns() -> None:
    assert kernel.queues(TEXT) == {42: Queue(3, 7, 2), 43: Queue(0, 0, 0)}


def test_no_queue_at_all() -> None:
    assert kernel.queues("") == {}


def test_what_cannot_be_read_tells_nothing(tmp_path: Path) -> None:
    assert kernel.read(str(tmp_path / "none"), {}) == {}


def test_reads_the_file(tmp_path: Path) -> None:
    (tmp_path / "queues").write_text(TEXT)
    assert set(kernel.read(str(tmp_path / "queues"), {})) == {42, 43}


def test_reads_again_and_again_what_systemd_has_opened(tmp_path: Path) -> None:
    (tmp_path / "queues").write_text(TEXT)
    opened = os.open(tmp_path / "queues", os.O_RDONLY)
    names = ["x"] * (opened - 3) + ["nfqueue"]
    env = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(names)), "LISTEN_FDNAMES": ":".join(names)}
    try:
        for _ in range(2):
            assert set(kernel.read("/none", env)) == {42, 43}
        assert kernel.read("/none", {**env, "LISTEN_PID": "1"}) == {}
        assert kernel.read("/none", {**env, "LISTEN_FDNAMES": "other"}) == {}
    finally:
        os.close(opened)
